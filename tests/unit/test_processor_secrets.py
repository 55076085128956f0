"""The processors' secrets: read from a file or from Secrets Manager, shown nowhere."""

import json
from pathlib import Path

import boto3
import pytest
from guilder import processor_secrets
from guilder.config import ConfigurationError, Settings
from guilder.errors import Unavailable
from guilder.processor_secrets import ProcessorSecrets
from moto import mock_aws

CELL = {"name": "c1", "first_slot": 0, "last_slot": 1023, "writer": "w", "reader": "r", "cache": "c"}
COMPLETE = {
    "GUILDER_ENV": "dev",
    "GUILDER_CELLS": json.dumps([CELL]),
    "GUILDER_DATABASE_AUTH": "iam",
    "GUILDER_STATEMENT_CACHE_SIZE": "0",
}
ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:nowhere"
SECRETS = json.dumps({"simulator": {"notification_secret": "s3cr3t"}})


def settings(**variables: str) -> Settings:
    return Settings.from_environment(COMPLETE | variables)


def test_a_function_that_was_not_told_has_none() -> None:
    assert processor_secrets.load(settings()).notification_secret("simulator") == ""


def test_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text(SECRETS)
    loaded = processor_secrets.load(settings(GUILDER_PROCESSOR_SECRETS_FILE=str(tmp_path / "secrets")))
    assert loaded.notification_secret("simulator") == "s3cr3t"
    assert loaded.notification_secret("another") == ""
    assert "s3cr3t" not in f"{loaded!r} {loaded}"


@pytest.mark.parametrize("text", ["", "garbage", "[]", "null", '"s3cr3t"'])
def test_a_file_that_is_no_object_is_refused_without_being_quoted(tmp_path: Path, text: str) -> None:
    (tmp_path / "secrets").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        processor_secrets.load(settings(GUILDER_PROCESSOR_SECRETS_FILE=str(tmp_path / "secrets")))
    assert "s3cr3t" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="GUILDER_PROCESSOR_SECRETS_FILE"):
        processor_secrets.load(settings(GUILDER_PROCESSOR_SECRETS_FILE=str(tmp_path / "nowhere")))


@pytest.mark.parametrize("entry", [None, [], "s3cr3t", {}, {"notification_secret": None}, {"notification_secret": 7}])
def test_a_processor_without_a_proper_entry_has_none(entry: object) -> None:
    assert ProcessorSecrets({"simulator": entry}).notification_secret("simulator") == ""


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Lambda gives a function."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


def test_from_secrets_manager(credentials: None) -> None:
    with mock_aws():
        arn = boto3.client("secretsmanager").create_secret(Name="processors", SecretString=SECRETS)["ARN"]
        loaded = processor_secrets.load(settings(GUILDER_PROCESSOR_SECRETS_ARN=arn))
    assert loaded.notification_secret("simulator") == "s3cr3t"


def test_a_secret_that_is_not_there_is_a_reason_to_send_again(credentials: None) -> None:
    with mock_aws(), pytest.raises(Unavailable):
        processor_secrets.load(settings(GUILDER_PROCESSOR_SECRETS_ARN=ARN))


def test_a_secrets_manager_out_of_reach_is_a_reason_to_send_again(
    credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(Unavailable):
        processor_secrets.load(settings(GUILDER_PROCESSOR_SECRETS_ARN=ARN))
