"""Confirm, capture, cancel, refund: each path, each refusal, and what meets at the same moment. Payment, ledger and processor agree."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
import redis
from guilder.config import Budgets, Settings

from tests.integration.test_payments import charges, of_payment
from tests.support.environment import Environment
from tests.support.gateway import Answer
from tests.support.sql import Sql


def agree(environment: Environment, settings: Settings, sql: Sql, payment_id: str) -> dict[str, Any]:
    """Check the payment against its transfers, its events and the processor's charge; give the payment."""
    payment: dict[str, Any] = environment.get(payment_id).json()
    transfers = of_payment(sql, "transfers", payment_id)
    captured = sum(row["amount"] for row in transfers if row["kind"] == "capture")
    refunded = sum(row["amount"] for row in transfers if row["kind"] == "refund")
    assert (payment["amount_captured"], payment["amount_refunded"]) == (captured, refunded)
    events = of_payment(sql, "events", payment_id)
    assert [row["version"] for row in events] == list(range(1, payment["version"] + 1))
    found = charges(settings, payment_id)
    assert len(found) <= 1
    if found:
        assert (found[0]["amount_captured"], found[0]["amount_refunded"]) == (captured, refunded)
    return payment


def authorized(environment: Environment, **fields: Any) -> str:
    answer = environment.pay(capture_method="manual", **fields)
    assert answer.json()["status"] == "requires_capture", answer
    return str(answer.json()["id"])


def paid(environment: Environment, **fields: Any) -> str:
    answer = environment.pay(**fields)
    assert answer.json()["status"] == "succeeded", answer
    return str(answer.json()["id"])


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.2)


def at_once(settings: Settings, merchant: dict[str, str], calls: list[Callable[[Environment], Answer]]) -> list[Answer]:
    with ExitStack() as stack, ThreadPoolExecutor(len(calls)) as threads:
        pairs = [(call, stack.enter_context(Environment(settings, merchant["api_key"]))) for call in calls]
        return [future.result(90) for future in [threads.submit(call, environment) for call, environment in pairs]]


def test_created_without_charging_then_confirmed(environment: Environment, settings: Settings, sql: Sql) -> None:
    created = environment.pay(confirm=False)
    payment_id = created.json()["id"]
    assert (created.status, created.json()["status"], created.json()["version"]) == (201, "requires_confirmation", 1)
    assert charges(settings, payment_id) == []
    key = uuid4().hex
    confirmed = environment.post(f"payments/{payment_id}/confirm", {}, key)
    assert (confirmed.status, confirmed.json()["status"], confirmed.json()["version"]) == (200, "succeeded", 3)
    assert environment.post(f"payments/{payment_id}/confirm", None, key).body == confirmed.body
    again = environment.post(f"payments/{payment_id}/confirm")
    assert (again.status, again.problem) == (409, "state-conflict")
    agree(environment, settings, sql, payment_id)
    assert [row["type"] for row in of_payment(sql, "events", payment_id)] == [
        "payment.created",
        "payment.processing",
        "payment.succeeded",
    ]


def test_a_replayed_creation_without_charge(environment: Environment) -> None:
    key = uuid4().hex
    first = environment.pay(key, confirm=False)
    second = environment.pay(key, confirm=False)
    assert (second.body, second.headers["idempotency-replayed"]) == (first.body, "true")


def test_confirmed_at_once_is_charged_once(
    environment: Environment, settings: Settings, merchant: dict[str, str], sql: Sql
) -> None:
    payment_id = environment.pay(confirm=False).json()["id"]
    answers = at_once(settings, merchant, [lambda each: each.post(f"payments/{payment_id}/confirm")] * 6)
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409, 409, 409]
    assert len(charges(settings, payment_id)) == 1
    agree(environment, settings, sql, payment_id)


@pytest.mark.parametrize("parts", [[None], [1050], [400, 650], [400, 400, None], [1, 1, 1]])
def test_captures_up_to_what_is_authorized(
    environment: Environment, settings: Settings, sql: Sql, parts: list[int | None]
) -> None:
    payment_id = authorized(environment)
    for amount in parts:
        answer = environment.post(f"payments/{payment_id}/capture", {} if amount is None else {"amount": amount})
        assert answer.status == 200, answer
    payment = agree(environment, settings, sql, payment_id)
    assert payment["amount_captured"] + payment["amount_capturable"] == 1050
    assert payment["status"] == ("succeeded" if payment["amount_capturable"] == 0 else "requires_capture")


def test_two_equal_partial_captures_are_two(environment: Environment, settings: Settings, sql: Sql) -> None:
    payment_id = authorized(environment)
    keys = uuid4().hex, uuid4().hex
    for key in (*keys, *keys):
        assert environment.post(f"payments/{payment_id}/capture", {"amount": 300}, key).status == 200
    assert agree(environment, settings, sql, payment_id)["amount_captured"] == 600


def test_never_more_captured_than_authorized(
    environment: Environment, settings: Settings, merchant: dict[str, str], sql: Sql
) -> None:
    payment_id = authorized(environment, amount=100)
    too_much = environment.post(f"payments/{payment_id}/capture", {"amount": 101})
    assert (too_much.status, too_much.problem, too_much.json()["available"]) == (422, "amount-too-large", 100)
    answers = at_once(
        settings, merchant, [lambda each: each.post(f"payments/{payment_id}/capture", {"amount": 30})] * 8
    )
    assert sum(answer.status == 200 for answer in answers) == 3
    assert {answer.status for answer in answers} == {200, 422}
    assert agree(environment, settings, sql, payment_id)["amount_captured"] == 90


@pytest.mark.parametrize(
    "fields", [{"confirm": False}, {"capture_method": "manual"}, {"payment_method": "tok_requires_action"}]
)
def test_canceled_before_capture(
    environment: Environment, settings: Settings, sql: Sql, fields: dict[str, Any]
) -> None:
    payment_id = environment.pay(**fields).json()["id"]
    key = uuid4().hex
    answer = environment.post(f"payments/{payment_id}/cancel", {}, key)
    assert (answer.status, answer.json()["status"], answer.json()["cancellation_reason"]) == (
        200,
        "canceled",
        "requested",
    )
    assert environment.post(f"payments/{payment_id}/cancel", {}, key).body == answer.body
    assert environment.post(f"payments/{payment_id}/cancel").problem == "state-conflict"
    assert environment.post(f"payments/{payment_id}/capture").problem == "state-conflict"
    agree(environment, settings, sql, payment_id)
    assert all(charge["status"] == "voided" for charge in charges(settings, payment_id))


def test_the_rest_of_a_partly_captured_payment_is_canceled(
    environment: Environment, settings: Settings, sql: Sql
) -> None:
    payment_id = authorized(environment)
    environment.post(f"payments/{payment_id}/capture", {"amount": 400})
    answer = environment.post(f"payments/{payment_id}/cancel")
    assert (answer.json()["status"], answer.json()["amount_capturable"], answer.json()["amount_captured"]) == (
        "succeeded",
        0,
        400,
    )
    agree(environment, settings, sql, payment_id)


def test_capture_against_cancel_leaves_one_winner(
    environment: Environment, settings: Settings, merchant: dict[str, str], sql: Sql
) -> None:
    for _ in range(5):
        payment_id = authorized(environment)
        captured, canceled = at_once(
            settings,
            merchant,
            [
                lambda each, payment_id=payment_id: each.post(f"payments/{payment_id}/capture"),  # type: ignore[misc]
                lambda each, payment_id=payment_id: each.post(f"payments/{payment_id}/cancel"),  # type: ignore[misc]
            ],
        )
        assert sorted([captured.status == 200, canceled.status == 200]) == [False, True]
        assert {captured.status, canceled.status} <= {200, 409, 422}
        payment = agree(environment, settings, sql, payment_id)
        assert payment["status"] == ("succeeded" if captured.status == 200 else "canceled")


@pytest.mark.parametrize("status", ["failed", "succeeded"])
def test_nothing_to_capture_or_cancel(environment: Environment, status: str) -> None:
    method = {"failed": "tok_declined", "succeeded": "tok_visa"}[status]
    payment_id = environment.pay(payment_method=method).json()["id"]
    for action in ("capture", "cancel", "confirm"):
        assert environment.post(f"payments/{payment_id}/{action}").problem == "state-conflict"
    assert environment.post("payments/pay_nothing/capture").problem == "not-found"


@pytest.mark.parametrize("parts", [[None], [1050], [50, 1000], [10] * 5, [500, None]])
def test_refunds_in_full_and_in_parts(
    environment: Environment, settings: Settings, sql: Sql, parts: list[int | None]
) -> None:
    payment_id = paid(environment)
    for amount in parts:
        body = {"payment": payment_id, "reason": "returned"} | ({} if amount is None else {"amount": amount})
        answer = environment.post("refunds", body)
        assert (answer.status, answer.json()["status"], answer.json()["version"]) == (201, "succeeded", 2), answer
        refund_id = answer.json()["id"]
        assert environment.request("GET", f"/v1/refunds/{refund_id}").json() == answer.json()
    agree(environment, settings, sql, payment_id)


def test_a_repeated_refund_is_one_refund(environment: Environment, settings: Settings, sql: Sql) -> None:
    payment_id, key = paid(environment), uuid4().hex
    answers = [environment.post("refunds", {"payment": payment_id, "amount": 50}, key) for _ in range(3)]
    assert len({answer.body for answer in answers}) == 1
    assert agree(environment, settings, sql, payment_id)["amount_refunded"] == 50


def test_fifty_refunds_of_ten_on_a_hundred(
    environment: Environment, settings: Settings, merchant: dict[str, str], sql: Sql
) -> None:
    """Ten succeed, with production's budgets: fifty at once may keep a busy machine's simulator waiting for longer than a test's."""
    patient = replace(settings, budgets=Budgets())
    payment_id = paid(environment, amount=100)

    def refund(each: Environment) -> Answer:
        key, deadline = uuid4().hex, time.monotonic() + 60
        while (answer := each.post("refunds", {"payment": payment_id, "amount": 10}, key)).status == 202:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        return answer

    answers = at_once(patient, merchant, [refund] * 50)
    assert sum(answer.status == 201 for answer in answers) == 10
    assert {answer.problem for answer in answers if answer.status != 201} <= {"amount-too-large", "state-conflict"}
    assert agree(environment, settings, sql, payment_id)["amount_refunded"] == 100


def test_refunds_are_listed(environment: Environment) -> None:
    first, second = paid(environment), paid(environment, payment_method="tok_refund_fails")
    made = [
        environment.post("refunds", {"payment": which, "amount": 5}).json()["id"]
        for which in (first, second, first, first)
    ]

    def listed(query: str) -> list[str]:
        answer = environment.request("GET", f"/v1/refunds?{query}")
        assert answer.status == 200, answer
        return [refund["id"] for refund in answer.json()["data"]]

    assert listed("limit=4") == made[::-1]
    assert listed(f"payment={first}") == [made[3], made[2], made[0]]
    assert listed(f"payment={first}&limit=2&starting_after={made[3]}") == [made[2], made[0]]
    assert listed(f"payment={first}&ending_before={made[0]}") == [made[3], made[2]]
    assert listed(f"payment={second}&status=succeeded") == []
    assert environment.request("GET", "/v1/refunds?payment=nonsense").problem == "validation-failed"


def test_refund_refusals(environment: Environment) -> None:
    uncaptured = authorized(environment)
    assert environment.post("refunds", {"payment": uncaptured}).problem == "state-conflict"
    assert environment.post("refunds", {"payment": "pay_nothing"}).problem == "not-found"
    payment_id = paid(environment)
    assert environment.post("refunds", {"payment": payment_id, "amount": 1051}).problem == "amount-too-large"
    assert environment.post("refunds", {"payment": payment_id, "amount": 0}).problem == "validation-failed"
    assert environment.request("GET", "/v1/refunds/ref_nothing").problem == "not-found"


@pytest.mark.parametrize(("token", "status"), [("tok_refund_pending", "succeeded"), ("tok_refund_fails", "failed")])
def test_a_pending_refund_is_decided_later(
    environment: Environment, settings: Settings, sql: Sql, token: str, status: str
) -> None:
    payment_id, key = paid(environment, payment_method=token), uuid4().hex
    answer = environment.post("refunds", {"payment": payment_id, "amount": 1000}, key)
    assert (answer.status, answer.json()["status"]) == (201, "pending")
    refund_id = answer.json()["id"]
    refused = environment.post("refunds", {"payment": payment_id, "amount": 51})
    assert refused.problem == "amount-too-large", "a pending refund holds its amount"

    def decided() -> bool:
        sql.rows("UPDATE operations SET check_at = now() WHERE outcome IS NULL AND kind = 'refund'")
        environment.reconcile()
        return bool(environment.request("GET", f"/v1/refunds/{refund_id}").json()["status"] != "pending")

    until(decided)
    refund = environment.request("GET", f"/v1/refunds/{refund_id}").json()
    assert (refund["status"], refund["version"], refund["failure"] is not None) == (status, 2, status == "failed")
    payment = agree(environment, settings, sql, payment_id)
    assert payment["amount_refunded"] == (1000 if status == "succeeded" else 0)
    assert environment.post("refunds", {"payment": payment_id, "amount": 1000}, key).body == answer.body, (
        "a replay stays the first answer"
    )
    assert environment.post("refunds", {"payment": payment_id, "amount": 51}).status == (
        422 if status == "succeeded" else 201
    )


@pytest.mark.parametrize(("outcome", "status"), [("approve", "succeeded"), ("decline", "failed")])
def test_a_required_action_is_completed_even_if_no_notification_arrives(
    environment: Environment, settings: Settings, sql: Sql, outcome: str, status: str
) -> None:
    payment = environment.pay(payment_method="tok_requires_action").json()
    httpx.post(payment["next_action"]["redirect_url"], data={"outcome": outcome}, timeout=10).raise_for_status()

    def decided() -> bool:
        sql.rows("UPDATE operations SET check_at = now() WHERE outcome IS NULL")
        environment.reconcile()
        return bool(environment.get(payment["id"]).json()["status"] != "requires_action")

    until(decided)
    after = agree(environment, settings, sql, payment["id"])
    assert (after["status"], after["next_action"], after["version"]) == (status, None, 3)


def test_an_authorization_that_runs_out_is_canceled_and_says_so(
    settings: Settings, merchant: dict[str, str], sql: Sql
) -> None:
    with Environment(settings, merchant["api_key"]) as environment:
        payment_id = authorized(environment)
        partly = authorized(environment)
        environment.post(f"payments/{partly}/capture", {"amount": 50})
        environment.reconcile()
        assert environment.get(payment_id).json()["status"] == "requires_capture"
    later = datetime.now(UTC) + timedelta(days=7, minutes=1)
    with Environment(settings, merchant["api_key"], clock=lambda: later) as environment:
        until(lambda: environment.reconcile()["authorizations_expired"] == 0)
        payment = agree(environment, settings, sql, payment_id)
        assert (payment["status"], payment["cancellation_reason"]) == ("canceled", "authorization_expired")
        rest = agree(environment, settings, sql, partly)
        assert (rest["status"], rest["amount_capturable"], rest["cancellation_reason"]) == (
            "succeeded",
            0,
            "authorization_expired",
        )


@pytest.mark.parametrize(
    ("token", "action", "amount"),
    [("tok_timeout_after_capture", "capture", 600), ("tok_timeout_after_refund", "refund", 600)],
)
def test_done_but_never_answered_is_finished_by_the_reconciler(
    environment: Environment, settings: Settings, sql: Sql, token: str, action: str, amount: int
) -> None:
    manual = action == "capture"
    payment_id = environment.pay(payment_method=token, capture_method="manual" if manual else "automatic").json()["id"]
    key = uuid4().hex
    path = f"payments/{payment_id}/capture" if manual else "refunds"
    body = {"amount": amount} if manual else {"payment": payment_id, "amount": amount}
    answer = environment.post(path, body, key)
    assert answer.status == 202
    before = environment.get(payment_id).json()
    assert before["amount_captured" if manual else "amount_refunded"] == 0, "a read tells what is known"

    def finished() -> bool:
        sql.rows("UPDATE operations SET check_at = now() WHERE outcome IS NULL")
        environment.reconcile()
        return bool(environment.get(payment_id).json()["amount_captured" if manual else "amount_refunded"] == amount)

    until(finished)
    agree(environment, settings, sql, payment_id)
    replay = environment.post(path, body, key)
    assert replay.status == (200 if manual else 201)
    agree(environment, settings, sql, payment_id)


def test_the_reconciler_finishes_a_payment_without_any_retry(
    environment: Environment, settings: Settings, sql: Sql
) -> None:
    payment_id = environment.pay(payment_method="tok_timeout_after_charge").json()["id"]

    def finished() -> bool:
        environment.reconcile()
        return bool(environment.get(payment_id).json()["status"] == "succeeded")

    until(finished)
    agree(environment, settings, sql, payment_id)


def test_the_reconciler_never_starts_a_charge(environment: Environment, settings: Settings, sql: Sql) -> None:
    payment_id = environment.pay(payment_method="tok_timeout_before_charge").json()["id"]

    def finished() -> bool:
        environment.reconcile()
        return bool(environment.get(payment_id).json()["status"] == "failed")

    until(finished)
    assert environment.get(payment_id).json()["failure"]["code"] == "not_processed"
    assert [charge for charge in charges(settings, payment_id) if charge["status"] == "captured"] == []


def test_a_key_is_free_again_after_its_seven_days(environment: Environment, settings: Settings, sql: Sql) -> None:
    key, other = uuid4().hex, uuid4().hex
    first, kept = environment.pay(key), environment.pay(other)
    expires = parsedate_to_datetime(first.headers["idempotency-expires"])
    created = datetime.fromisoformat(first.json()["created_at"])
    assert abs(expires - created - timedelta(days=7)) < timedelta(seconds=2)
    sql.rows("UPDATE idempotency SET expires_at = now() - interval '1 second' WHERE key = $1", key)
    until(lambda: environment.reconcile()["keys_forgotten"] == 0)
    redis.Redis.from_url(settings.cells[0].cache, socket_timeout=5).flushdb()  # which keeps an answer for a day
    again = environment.pay(key, amount=1)
    assert again.status == 201
    assert again.json()["id"] != first.json()["id"]
    assert environment.pay(other).body == kept.body, "a key whose time is not over keeps its answer"
