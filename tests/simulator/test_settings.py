"""The settings: a wrong one is named before anything runs."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from simulator.iam import database_token
from simulator.settings import Settings

REQUIRED = {"SIMULATOR_DATABASE_URL": "postgresql://simulator@localhost/simulator"}


def test_the_defaults() -> None:
    settings = Settings.from_environment(REQUIRED)
    assert (settings.hang_seconds, settings.slow_seconds, settings.settle_seconds) == (20, 3, 2)
    assert (settings.latency_seconds, settings.notification_url, settings.public_url) == (0, "", "")


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"SIMULATOR_DATABASE_URL": ""}, "SIMULATOR_DATABASE_URL"),
        ({"SIMULATOR_DATABASE_AUTH": "trust"}, "SIMULATOR_DATABASE_AUTH"),
        ({"SIMULATOR_HANG_SECONDS": "long"}, "SIMULATOR_HANG_SECONDS"),
        ({"SIMULATOR_LATENCY_MS": "-1"}, "SIMULATOR_LATENCY_MS"),
        ({"SIMULATOR_LATENCY_MS": "nan"}, "SIMULATOR_LATENCY_MS"),
        ({"SIMULATOR_NOTIFICATION_URL": "http://localhost/n"}, "SIMULATOR_NOTIFICATION_SECRET"),
    ],
)
def test_a_wrong_setting_is_named(variables: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Settings.from_environment(REQUIRED | variables)


def test_on_aws_the_password_is_a_signed_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session")
    token = urlsplit("//" + database_token("postgresql://simulator@proxy.test:5432/simulator", "eu-central-1"))
    assert token.netloc == "proxy.test:5432"
    query = parse_qs(token.query)
    assert (query["Action"], query["DBUser"]) == (["connect"], ["simulator"])
    assert query["X-Amz-Credential"][0].endswith("/eu-central-1/rds-db/aws4_request")
    assert len(query["X-Amz-Signature"][0]) == 64


def test_the_secret_is_not_shown() -> None:
    secret = "not for the log"
    settings = Settings.from_environment(REQUIRED | {"SIMULATOR_NOTIFICATION_SECRET": secret})
    assert secret not in repr(settings)
