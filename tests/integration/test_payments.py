"""One payment through Mangum, PostgreSQL behind PgBouncer, Valkey and the simulator: the books, the event and the charge agree."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from guilder import ids
from guilder.config import Settings
from guilder.operations import read_key

from tests.support.environment import Environment
from tests.support.gateway import Answer
from tests.support.sql import Sql


def charges(settings: Settings, payment_id: str) -> list[dict[str, Any]]:
    """Ask the simulator: independent evidence of what was charged."""
    response = httpx.get(f"{settings.simulator_url}/charges", params={"reference": payment_id}, timeout=10)
    found: list[dict[str, Any]] = response.raise_for_status().json()["data"]
    return found


_BY_PAYMENT = {
    "events": "SELECT * FROM events WHERE slot = $1 AND object_id = $2 ORDER BY version",
    "transfers": "SELECT * FROM transfers WHERE slot = $1 AND payment_id = $2 ORDER BY id",
    "operations": "SELECT * FROM operations WHERE slot = $1 AND payment_id = $2 ORDER BY id",
}


def of_payment(sql: Sql, table: str, payment_id: str) -> list[dict[str, Any]]:
    """Read a payment's rows of one table."""
    place = ids.decode("pay", payment_id)
    return sql.rows(_BY_PAYMENT[table], place.slot, place.uuid)


def test_an_approved_payment_is_the_same_everywhere(environment: Environment, settings: Settings, sql: Sql) -> None:
    reference = uuid4().hex
    answer = environment.pay(merchant_reference=reference, metadata={"basket": "7"}, description="Zwei Bücher")
    payment = answer.json()
    assert answer.status == 201
    assert (payment["status"], payment["amount_captured"], payment["version"]) == ("succeeded", 1050, 2)
    assert (payment["merchant_reference"], payment["metadata"], payment["livemode"]) == (
        reference,
        {"basket": "7"},
        False,
    )
    assert environment.get(payment["id"]).json() == payment

    (charge,) = charges(settings, payment["id"])
    assert (charge["amount"], charge["currency"], charge["status"], charge["amount_captured"]) == (
        1050,
        "EUR",
        "captured",
        1050,
    )

    (transfer,) = of_payment(sql, "transfers", payment["id"])
    assert (transfer["debit_account"], transfer["credit_account"]) == ("processor:simulator", "merchant:pending")
    assert (transfer["amount"], transfer["currency"]) == (1050, "EUR")

    created, succeeded = of_payment(sql, "events", payment["id"])
    assert (created["type"], created["version"]) == ("payment.created", 1)
    assert (succeeded["type"], succeeded["version"]) == ("payment.succeeded", 2)
    assert json.loads(created["data"])["status"] == "processing"
    assert json.loads(succeeded["data"]) == payment

    (operation,) = of_payment(sql, "operations", payment["id"])
    assert read_key(charge["idempotency_key"]).operation == operation["id"]
    assert (operation["outcome"], operation["processor_reference"], operation["attempt"]) == (
        "approved",
        charge["id"],
        1,
    )


@pytest.mark.parametrize(
    ("fields", "expected", "event", "transfers"),
    [
        (
            {"capture_method": "manual"},
            {"status": "requires_capture", "amount_capturable": 1050, "amount_captured": 0},
            "payment.authorized",
            0,
        ),
        ({"payment_method": "tok_declined"}, {"status": "failed", "amount_captured": 0}, "payment.failed", 0),
        ({"payment_method": "tok_insufficient_funds"}, {"status": "failed"}, "payment.failed", 0),
        ({"payment_method": "tok_unheard_of"}, {"status": "failed"}, "payment.failed", 0),
        (
            {"payment_method": "tok_requires_action"},
            {"status": "requires_action", "amount_captured": 0},
            "payment.requires_action",
            0,
        ),
        ({"currency": "JPY", "amount": 1}, {"status": "succeeded", "amount_captured": 1}, "payment.succeeded", 1),
        (
            {"amount": 999_999_999_999},
            {"status": "succeeded", "amount_captured": 999_999_999_999},
            "payment.succeeded",
            1,
        ),
    ],
)
def test_each_outcome(
    environment: Environment,
    sql: Sql,
    fields: dict[str, Any],
    expected: dict[str, object],
    event: str,
    transfers: int,
) -> None:
    answer = environment.pay(**fields)
    payment = answer.json()
    assert answer.status == 201
    assert {name: payment[name] for name in expected} == expected
    assert [row["type"] for row in of_payment(sql, "events", payment["id"])] == ["payment.created", event]
    assert len(of_payment(sql, "transfers", payment["id"])) == transfers


def test_a_decline_says_why_in_our_words_and_the_processors(environment: Environment) -> None:
    failure = environment.pay(payment_method="tok_insufficient_funds").json()["failure"]
    assert (failure["code"], failure["processor_code"]) == ("insufficient_funds", "insufficient_funds")
    assert failure["message"]


def test_a_required_action_gives_the_payer_an_address(environment: Environment, settings: Settings) -> None:
    action = environment.pay(payment_method="tok_requires_action").json()["next_action"]
    assert action["type"] == "redirect"
    assert httpx.get(action["redirect_url"], timeout=10).status_code == 200


def test_a_repeated_request_gets_the_same_bytes_and_charges_once(environment: Environment, settings: Settings) -> None:
    key = uuid4().hex
    first, second = environment.pay(key), environment.pay(key)
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert (first.status, first.body) == (second.status, second.body)
    assert first.headers["idempotency-expires"] == second.headers["idempotency-expires"]
    assert len(charges(settings, first.json()["id"])) == 1


def test_a_repeated_decline_is_a_replay_too(environment: Environment, settings: Settings) -> None:
    key = uuid4().hex
    first, second = (environment.pay(key, payment_method="tok_declined") for _ in range(2))
    assert first.body == second.body
    assert second.headers["idempotency-replayed"] == "true"


def test_a_key_with_another_body_is_refused_and_charges_nothing(environment: Environment) -> None:
    key = uuid4().hex
    environment.pay(key)
    answer = environment.pay(key, amount=1051)
    assert (answer.status, answer.problem) == (422, "idempotency-key-reused")


def test_the_same_key_of_another_merchant_or_mode_is_another_key(environment: Environment, settings: Settings) -> None:
    from tests.conftest import new_merchant

    key = uuid4().hex
    ours = environment.pay(key).json()
    for livemode in (False, True):
        with Environment(settings, new_merchant(settings, livemode=livemode)["api_key"]) as other:
            theirs = other.pay(key).json()
            assert theirs["id"] != ours["id"]
            assert theirs["livemode"] is livemode
            assert (other.get(ours["id"]).status, other.get(ours["id"]).problem) == (404, "not-found")


def test_a_merchant_reference_is_unique_for_ever(environment: Environment) -> None:
    reference = uuid4().hex
    key = uuid4().hex
    assert environment.pay(merchant_reference=reference).status == 201
    for _ in range(2):  # nothing is stored, and nothing is in the way of the next try
        answer = environment.pay(key, merchant_reference=reference)
        assert (answer.status, answer.problem) == (409, "merchant-reference-taken")
    assert environment.pay(key, merchant_reference=uuid4().hex).status == 201


def pay_at_once(settings: Settings, merchant: dict[str, str], key: str, callers: int, **fields: object) -> list[Answer]:
    """Send one request from many environments at the same time."""
    with ExitStack() as stack, ThreadPoolExecutor(callers) as threads:
        environments = [stack.enter_context(Environment(settings, merchant["api_key"])) for _ in range(callers)]
        return [future.result(60) for future in [threads.submit(each.pay, key, **fields) for each in environments]]


def test_many_callers_with_one_key_make_one_charge_and_get_one_answer(
    settings: Settings, merchant: dict[str, str]
) -> None:
    answers = pay_at_once(settings, merchant, uuid4().hex, 12)
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert len(charges(settings, answers[0].json()["id"])) == 1


def test_callers_do_not_wait_for_ever(settings: Settings, merchant: dict[str, str]) -> None:
    """The first one's charge takes 3 s and the others wait half a second: they are told to come again, and then get the first's answer."""
    patient = replace(settings, budgets=replace(settings.budgets, processor=10.0, lease=20.0, wait_for_first=0.5))
    key = uuid4().hex
    answers = sorted(
        pay_at_once(patient, merchant, key, 4, payment_method="tok_slow"), key=lambda answer: answer.status
    )
    assert [answer.status for answer in answers] == [201, 409, 409, 409]
    for refused in answers[1:]:
        assert refused.problem == "idempotency-key-in-flight"
        assert int(refused.headers["retry-after"]) >= 1
    (again,) = pay_at_once(patient, merchant, key, 1, payment_method="tok_slow")
    assert again.body == answers[0].body
