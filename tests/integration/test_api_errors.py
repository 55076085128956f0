"""Every refusal is problem+json with its status and type, says what to do, and leaves nothing behind."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from guilder import ids
from guilder.config import Settings

from tests.conftest import new_merchant
from tests.support.environment import Environment
from tests.support.sql import Sql

VALID = {"amount": 1050, "currency": "EUR", "payment_method": "tok_visa"}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"amount": 0}, "/amount"),
        ({"amount": -1}, "/amount"),
        ({"amount": 1.5}, "/amount"),
        ({"amount": "1050"}, "/amount"),
        ({"amount": True}, "/amount"),
        ({"amount": 10**12}, "/amount"),
        ({"amount": None}, "/amount"),
        ({"currency": "eur"}, "/currency"),
        ({"currency": "XXX"}, "/currency"),
        ({"payment_method": ""}, "/payment_method"),
        ({"payment_method": "tok visa"}, "/payment_method"),
        ({"payment_method": None}, "/payment_method"),
        ({"capture_method": "later"}, "/capture_method"),
        ({"metadata": {"k": "v" * 501}}, "/metadata/k"),
        ({"metadata": {"a/b~c": 1}}, "/metadata/a~1b~0c"),
        ({"metadata": {str(n): "" for n in range(51)}}, "/metadata"),
        ({"metadata": {str(n): "v" * 400 for n in range(30)}}, "/metadata"),
        ({"description": "a\0b"}, "/description"),
        ({"description": "x" * 1001}, "/description"),
        ({"merchant_reference": ""}, "/merchant_reference"),
        ({"captured": True}, "/captured"),
    ],
)
def test_each_wrong_field_is_named_and_its_value_is_not_repeated(
    environment: Environment, change: dict[str, Any], pointer: str
) -> None:
    answer = environment.pay(**change)
    assert (answer.status, answer.problem) == (422, "validation-failed")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"amount": NaN}', b"[" * 60_000])
def test_a_body_that_is_no_json(environment: Environment, body: bytes) -> None:
    answer = environment.request("POST", "/v1/payments", body)
    assert (answer.status, answer.problem) == (400, "malformed-request")


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"1"])
def test_json_that_is_no_object(environment: Environment, body: bytes) -> None:
    answer = environment.request("POST", "/v1/payments", body)
    assert (answer.status, answer.problem) == (422, "validation-failed")


def test_a_lone_surrogate_is_refused(environment: Environment) -> None:
    answer = environment.request(
        "POST", "/v1/payments", b'{"amount":1,"currency":"EUR","payment_method":"tok_visa","description":"\\ud800"}'
    )
    assert answer.status in {400, 422}


def test_a_large_body_is_refused(environment: Environment) -> None:
    answer = environment.pay(description="x" * 70_000)
    assert (answer.status, answer.problem) == (413, "request-too-large")


@pytest.mark.parametrize(
    ("key", "problem"),
    [(None, "idempotency-key-missing"), ("a b", "idempotency-key-invalid"), ("x" * 256, "idempotency-key-invalid")],
)
def test_the_idempotency_key_is_required_and_checked(environment: Environment, key: str | None, problem: str) -> None:
    headers = environment.headers(key or "x")
    if key is None:
        del headers["Idempotency-Key"]
    answer = environment.request("POST", "/v1/payments", VALID, headers=headers)
    assert (answer.status, answer.problem) == (400, problem)


@pytest.mark.parametrize(
    "change",
    [
        {"payment_method": "4242424242424242"},
        {"description": "my card is 4242 4242 4242 4242"},
        {"metadata": {"4242-4242-4242-4242": "x"}},
        {"unknown": {"nested": ["5555555555554444"]}},
        {"amount": 4242424242424242},
    ],
)
def test_a_card_number_is_refused_and_stands_nowhere(
    environment: Environment, change: dict[str, Any], caplog: pytest.LogCaptureFixture, sql: Sql
) -> None:
    before = sql.value("SELECT count(*) FROM idempotency")
    answer = environment.pay(**change)
    assert (answer.status, answer.problem) == (422, "card-number-refused")
    shown = answer.body.decode() + caplog.text
    assert "4242" not in shown
    assert "4444" not in shown
    assert sql.value("SELECT count(*) FROM idempotency") == before


def test_a_card_number_hidden_by_escapes_or_in_the_key_is_refused(environment: Environment) -> None:
    escaped = b'{"amount":1050,"currency":"EUR","payment_method":"tok_visa","description":"\\u0034242424242424242"}'
    assert environment.request("POST", "/v1/payments", escaped).problem == "card-number-refused"
    assert environment.pay("4242424242424242").problem == "card-number-refused"


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic abc",
        "Bearer nonsense",
        "Bearer gk_test_00" + "X" * 32,
        "Bearer gk_test_!!" + "X" * 32,
    ],
)
def test_without_a_valid_key(environment: Environment, value: str | None) -> None:
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"} | (
        {} if value is None else {"Authorization": value}
    )
    for answer in (
        environment.request("POST", "/v1/payments", VALID, headers=headers),
        environment.request("GET", "/v1/payments/pay_x", headers=headers),
    ):
        assert (answer.status, answer.problem) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_revoked_key_ends_within_a_minute_and_an_expired_one_at_once(settings: Settings, sql: Sql) -> None:
    now = datetime.now(UTC)
    merchant = new_merchant(settings)
    place = ids.decode("mer", merchant["merchant_id"])
    with Environment(settings, merchant["api_key"], clock=lambda: now) as environment:
        assert environment.get("pay_x").status == 404
        sql.rows("UPDATE api_keys SET revoked_at = now() WHERE slot = $1 AND merchant_id = $2", place.slot, place.uuid)
        now += timedelta(seconds=59)
        assert environment.get("pay_x").status == 404
        now += timedelta(seconds=1)
        assert environment.get("pay_x").status == 401
        sql.rows(
            "UPDATE api_keys SET revoked_at = NULL, expires_at = $3 WHERE slot = $1 AND merchant_id = $2",
            place.slot, place.uuid, now + timedelta(seconds=30),
        )  # fmt: skip
        assert environment.get("pay_x").status == 404
        now += timedelta(seconds=30)
        assert environment.get("pay_x").status == 401


def test_a_key_without_the_scope(settings: Settings, sql: Sql) -> None:
    merchant = new_merchant(settings)
    place = ids.decode("mer", merchant["merchant_id"])
    sql.rows(
        "UPDATE api_keys SET scopes = ARRAY['payments:read'] WHERE slot = $1 AND merchant_id = $2",
        place.slot,
        place.uuid,
    )
    with Environment(settings, merchant["api_key"]) as environment:
        answer = environment.pay()
        assert (answer.status, answer.problem) == (403, "forbidden")
        assert "payments:write" in answer.json()["detail"]
        assert environment.get("pay_x").status == 404


def test_api_keys_are_stored_as_hashes_only(merchant: dict[str, str], sql: Sql) -> None:
    rows = sql.rows("SELECT * FROM api_keys")
    assert rows
    assert merchant["api_key"] not in str(rows)
    assert merchant["api_key"][10:] not in str(rows)


@pytest.mark.parametrize(
    ("method", "path", "status", "problem"),
    [
        ("GET", "/v1/nothing", 404, "not-found"),
        ("GET", "/nothing", 404, "not-found"),
        ("POST", "/v1/payments/", 404, "not-found"),
        ("DELETE", "/v1/payments", 405, "method-not-allowed"),
        ("GET", "/v1/payments/pay_nonsense", 404, "not-found"),
        ("GET", f"/v1/payments/{'x' * 500}", 404, "not-found"),
        ("GET", "/docs/../../secrets", 404, "not-found"),
    ],
)
def test_unknown_places(environment: Environment, method: str, path: str, status: int, problem: str) -> None:
    answer = environment.request(method, path, VALID if method != "GET" else None)
    assert (answer.status, answer.problem) == (status, problem)


def test_an_unforeseen_error_tells_nothing_and_is_logged_under_the_request_id(
    environment: Environment, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        name = "simulator"

        async def authorize(self, _: object) -> None:
            raise RuntimeError("a secret in a message")

        async def close(self) -> None:
            return None

    environment.runtime._processors = {"simulator": Broken()}  # type: ignore[dict-item]
    answer = environment.pay()
    assert (answer.status, answer.problem) == (500, "internal-error")
    (record,) = [record for record in caplog.records if record.message == "unforeseen error"]
    assert record.request_id == answer.headers["request-id"]  # type: ignore[attr-defined]
    assert "a secret" not in answer.body.decode() + caplog.text


def test_the_docs_load_offline_and_below_any_stage(environment: Environment) -> None:
    page = environment.request("GET", "/docs")
    assert page.status == 200
    text = page.body.decode()
    assert "://" not in text
    for name in ("docs/swagger-ui-bundle.js", "docs/swagger-ui.css"):
        assert f'"{name}"' in text
        assert environment.request("GET", f"/{name}").status == 200
    document = environment.request("GET", "/openapi.json")
    assert document.json()["servers"] == [{"url": "./", "description": "Where this document came from."}]


def test_health_needs_no_key(environment: Environment) -> None:
    answer = environment.request("GET", "/healthz", headers={})
    assert (answer.status, answer.json()) == (200, {"status": "ok"})
