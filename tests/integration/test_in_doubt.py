"""When the processor does not answer, or the owner of a payment is gone: nobody charges twice, and the truth is told."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

from guilder.config import Settings

from tests.integration.test_payments import charges, of_payment
from tests.support.environment import Environment
from tests.support.gateway import Answer
from tests.support.sql import Sql


def until_decided(environment: Environment, key: str, limit_s: float = 20, **fields: object) -> Answer:
    """Retry as a caller would, until the answer is final."""
    deadline = time.monotonic() + limit_s
    while (answer := environment.pay(key, **fields)).status in {202, 409}:
        assert time.monotonic() < deadline, answer
        time.sleep(0.2)
    return answer


def test_charged_but_never_answered(environment: Environment, settings: Settings, sql: Sql) -> None:
    key = uuid4().hex
    open_answer = environment.pay(key, payment_method="tok_timeout_after_charge")
    payment = open_answer.json()
    assert (open_answer.status, payment["status"]) == (202, "processing")
    assert environment.get(payment["id"]).json()["status"] == "processing"

    decided = until_decided(environment, key, payment_method="tok_timeout_after_charge")
    assert (decided.status, decided.json()["status"], decided.json()["id"]) == (201, "succeeded", payment["id"])
    assert len(charges(settings, payment["id"])) == 1
    (operation,) = of_payment(sql, "operations", payment["id"])
    assert operation["attempt"] == 2
    assert len(of_payment(sql, "transfers", payment["id"])) == 1
    assert [row["version"] for row in of_payment(sql, "events", payment["id"])] == [1, 2]

    replay = environment.pay(key, payment_method="tok_timeout_after_charge")
    assert (replay.body, replay.headers["idempotency-replayed"]) == (decided.body, "true")


def test_never_charged_and_never_answered(environment: Environment, settings: Settings) -> None:
    """Not found at the processor is final only once the charge can no longer be on its way; then the payment failed, uncharged."""
    key = uuid4().hex
    start = time.monotonic()
    payment = environment.pay(key, payment_method="tok_timeout_before_charge").json()
    decided = until_decided(environment, key, payment_method="tok_timeout_before_charge")
    assert time.monotonic() - start >= settings.budgets.not_found_final
    assert (decided.status, decided.json()["status"]) == (201, "failed")
    assert decided.json()["failure"]["code"] == "not_processed"
    assert [charge for charge in charges(settings, payment["id"]) if charge["status"] != "failed"] == []


def test_a_processor_error_is_not_a_decline(environment: Environment, settings: Settings) -> None:
    """A 500 says nothing about the charge: the payment stays open, and a take-over looks it up instead of charging again."""
    key = uuid4().hex
    answer = environment.pay(key, payment_method="tok_error_once")
    assert (answer.status, answer.json()["status"]) == (202, "processing")
    decided = until_decided(environment, key, payment_method="tok_error_once")
    assert decided.json()["status"] in {"failed", "succeeded"}
    good = [charge for charge in charges(settings, answer.json()["id"]) if charge["status"] == "captured"]
    assert len(good) == (1 if decided.json()["status"] == "succeeded" else 0)


def test_an_owner_whose_lease_ran_out_cannot_overwrite(settings: Settings, merchant: dict[str, str], sql: Sql) -> None:
    """The first caller's charge takes 3 s and its lease ends after half a second: a second caller takes over. The first comes back late."""
    short = replace(settings, budgets=replace(settings.budgets, lease=0.5, processor=10.0, wait_for_first=0.3))
    key = uuid4().hex
    with (
        Environment(short, merchant["api_key"]) as first,
        Environment(short, merchant["api_key"]) as second,
        ThreadPoolExecutor(1) as thread,
    ):
        late = thread.submit(first.pay, key, payment_method="tok_slow")
        time.sleep(1.0)
        taken_over = second.pay(key, payment_method="tok_slow")
        assert taken_over.status == 202, "the processor has not decided yet, and nobody charges again"
        late_answer = late.result(30)
        decided = until_decided(second, key, payment_method="tok_slow")
    assert late_answer.status in {201, 409}
    if late_answer.status == 201:
        assert late_answer.body == decided.body
    assert (decided.status, decided.json()["status"]) == (201, "succeeded")
    assert len(charges(settings, decided.json()["id"])) == 1
    assert [row["version"] for row in of_payment(sql, "events", decided.json()["id"])] == [1, 2]
    assert len(of_payment(sql, "transfers", decided.json()["id"])) == 1
