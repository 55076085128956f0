"""Logging in on AWS: the functions with a token of their role, the administrator with a secret. AWS is moto's here."""

import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from guilder import administration
from guilder.config import Settings
from guilder.db import password_source
from guilder.iam import database_token
from moto import mock_aws

CELL = {"name": "c1", "first_slot": 0, "last_slot": 1023, "writer": "w", "reader": "r", "cache": "c"}
HOST = "guilder.proxy-abc.eu-central-1.rds.amazonaws.com"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Credentials of a function's role, and no way to the real AWS."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        yield


def settings(**variables: str) -> Settings:
    return Settings.from_environment(
        {
            "GUILDER_ENV": "prod",
            "GUILDER_CELLS": json.dumps([CELL]),
            "GUILDER_DATABASE_AUTH": "iam",
            "GUILDER_STATEMENT_CACHE_SIZE": "256",
            "AWS_REGION": "eu-central-1",
            **variables,
        }
    )


@pytest.mark.usefixtures("aws")
def test_a_token_says_what_boto3s_says() -> None:
    ours = database_token(HOST, 5432, "guilder_app", "eu-central-1")
    theirs = boto3.client("rds").generate_db_auth_token(DBHostname=HOST, Port=5432, DBUsername="guilder_app")

    def parts(token: str) -> tuple[str, dict[str, list[str]]]:
        url = urlsplit(f"https://{token}")
        query = parse_qs(url.query)
        for changing in ("X-Amz-Date", "X-Amz-Signature"):  # of the second in which each was signed
            assert query.pop(changing)
        return url.netloc, query

    assert parts(ours) == parts(theirs)


@pytest.mark.usefixtures("aws")
async def test_the_functions_sign_a_token_for_each_new_connection() -> None:
    source = password_source(f"postgresql://guilder_app@{HOST}:5432/guilder", settings())
    assert callable(source)
    assert (await source()).startswith(f"{HOST}:5432/?Action=connect&DBUser=guilder_app")


def test_locally_the_password_file_serves() -> None:
    assert (
        password_source("postgresql://guilder_app@127.0.0.1/guilder", settings(GUILDER_DATABASE_AUTH="passfile"))
        is None
    )


@pytest.mark.usefixtures("aws")
def test_the_administrators_secret_is_read_from_secrets_manager() -> None:
    secret = boto3.client("secretsmanager").create_secret(
        Name="administrator", SecretString=json.dumps({"username": "postgres", "password": "not-this-one"})
    )
    assert administration._log_in(settings(GUILDER_ADMIN_SECRET_ARN=secret["ARN"])) == ("postgres", "not-this-one")
    assert administration._log_in(settings()) == (None, None)
