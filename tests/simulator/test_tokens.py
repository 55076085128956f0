"""What each test token does, and that the list of tokens is the list of tokens."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.simulator.service import QUICK, Processor, new, running

HANG_SECONDS = float(QUICK["SIMULATOR_HANG_SECONDS"])
SLOW_SECONDS = float(QUICK["SIMULATOR_SLOW_SECONDS"])
SETTLE_SECONDS = float(QUICK["SIMULATOR_SETTLE_SECONDS"])


async def until(processor: Processor, charge_id: str, **expected: Any) -> dict[str, Any]:
    """Wait until a charge has these values."""
    deadline = time.monotonic() + 10
    while True:
        charge: dict[str, Any] = (await processor.get(f"/charges/{charge_id}")).json()
        if expected.items() <= charge.items():
            return charge
        assert time.monotonic() < deadline, f"{charge} is not yet {expected}"
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("source", ["tok_visa", "tok_mastercard"])
async def test_good_cards(processor: Processor, source: str) -> None:
    answer = await processor.charge(source)
    assert (answer.status_code, answer.json()["status"]) == (200, "captured")


@pytest.mark.parametrize(
    ("source", "code"), [("tok_declined", "card_declined"), ("tok_insufficient_funds", "insufficient_funds")]
)
async def test_declined_cards(processor: Processor, source: str, code: str) -> None:
    reference = new("pay")
    answer = await processor.charge(source, reference=reference)
    assert answer.status_code == 402
    error, charge = answer.json()["error"], answer.json()
    assert (error["type"], error["code"]) == ("card_error", code)
    assert (charge["status"], charge["failure_code"], charge["failure_message"]) == ("failed", code, error["message"])
    assert charge["amount_captured"] == 0
    for what in ("capture", "void", "refunds"):
        assert (await processor.move(what, charge["id"])).status_code == 409


async def test_an_unknown_token(processor: Processor) -> None:
    key = new("op")
    answer = await processor.charge("tok_unheard_of", key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_source")
    assert (await processor.get(f"/operations/{key}")).status_code == 404


@pytest.mark.parametrize(
    ("capture", "outcome", "status"),
    [(True, "approve", "captured"), (False, "approve", "authorized"), (True, "decline", "failed")],
)
async def test_the_shopper_completes_an_action(processor: Processor, capture: bool, outcome: str, status: str) -> None:
    charge = (await processor.charge("tok_requires_action", capture=capture)).json()
    assert charge["status"] == "requires_action"
    assert charge["next_action"]["type"] == "redirect"
    page = charge["next_action"]["url"]
    assert page.startswith(str(processor.base_url))
    shown = await processor.get(page)
    assert shown.headers["content-type"].startswith("text/html")
    assert 'value="approve"' in shown.text
    assert 'value="decline"' in shown.text
    assert (await processor.post(page, data={"outcome": "perhaps"})).status_code == 400

    done = await processor.post(page, data={"outcome": outcome})
    assert done.status_code == 200
    assert "<button" not in done.text
    after = (await processor.get(f"/charges/{charge['id']}")).json()
    assert (after["status"], after["next_action"]) == (status, None)
    assert after["failure_code"] == ("authentication_failed" if status == "failed" else None)
    assert (await processor.post(page, data={"outcome": "approve"})).status_code == 409


async def test_an_action_is_completed_once(processor: Processor) -> None:
    charge = (await processor.charge("tok_requires_action", amount=10)).json()
    outcomes = ["approve", "decline"] * 10
    page = charge["next_action"]["url"]
    answers = await asyncio.gather(*(processor.post(page, data={"outcome": outcome}) for outcome in outcomes))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19


async def test_a_charge_that_awaits_the_shopper_can_be_voided(processor: Processor) -> None:
    charge = (await processor.charge("tok_requires_action", amount=10)).json()
    assert (await processor.move("capture", charge["id"])).status_code == 409
    voided = (await processor.move("void", charge["id"])).json()
    assert (voided["status"], voided["amount_voided"], voided["next_action"]) == ("voided", 10, None)
    assert (await processor.post(f"/actions/{charge['id']}", data={"outcome": "approve"})).status_code == 409


async def test_a_time_out_after_the_charge(processor: Processor) -> None:
    key, reference = new("op"), new("pay")
    begun = time.monotonic()
    asked = asyncio.create_task(processor.charge("tok_timeout_after_charge", key, reference=reference))
    await asyncio.sleep(HANG_SECONDS / 3)
    assert not asked.done()
    charge = (await processor.get(f"/operations/{key}")).json()["charge"]
    assert charge["status"] == "captured"
    again = await processor.charge("tok_timeout_after_charge", key, reference=reference)
    assert time.monotonic() - begun < HANG_SECONDS, "a repetition is answered at once"
    late = await asked
    assert time.monotonic() - begun >= HANG_SECONDS
    assert late.content == again.content
    assert await processor.charges_of(reference) == [charge]


async def test_a_time_out_before_the_charge(processor: Processor) -> None:
    key, reference = new("op"), new("pay")
    asked = asyncio.create_task(processor.charge("tok_timeout_before_charge", key, reference=reference))
    await asyncio.sleep(HANG_SECONDS / 3)
    assert (await processor.get(f"/operations/{key}")).status_code == 409
    assert (await asked).status_code == 504
    assert (await processor.get(f"/operations/{key}")).status_code == 404
    assert await processor.charges_of(reference) == []


@pytest.mark.parametrize(
    ("source", "status"),
    [("tok_timeout_before_charge", 404), ("tok_timeout_after_charge", 200), ("tok_slow", 200)],
)
async def test_who_hangs_up_ends_the_wait(processor: Processor, source: str, status: int) -> None:
    key = new("op")
    begun = time.monotonic()
    with pytest.raises(httpx.ReadTimeout):
        await processor.post(
            "/charges",
            json={"reference": key, "amount": 1, "currency": "EUR", "source": source},
            headers={"Idempotency-Key": key},
            timeout=0.1,
        )
    while (answer := await processor.get(f"/operations/{key}")).status_code == 409:
        assert time.monotonic() - begun < SLOW_SECONDS, "it goes on without its caller"
        await asyncio.sleep(0.02)
    assert answer.status_code == status


async def test_hangs_hold_no_connection(processor: Processor) -> None:
    """More hang than the pool has connections; all the others are served meanwhile."""
    sources = ["tok_timeout_before_charge", "tok_timeout_after_charge", "tok_slow"] * 8
    hanging = [asyncio.create_task(processor.charge(source)) for source in sources]
    await asyncio.sleep(0.4)
    begun = time.monotonic()
    answers = await asyncio.gather(*(processor.charge() for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert time.monotonic() - begun < 1.0
    statuses = sorted([(await task).status_code for task in hanging])
    assert statuses == [200] * 16 + [504] * 8


async def test_an_error_once(processor: Processor) -> None:
    key, reference = new("op"), new("pay")
    failed = await processor.charge("tok_error_once", key, reference=reference)
    assert (failed.status_code, failed.json()["error"]["type"]) == (500, "api_error")
    assert (await processor.get(f"/operations/{key}")).status_code == 404
    assert await processor.charges_of(reference) == []
    assert (await processor.charge("tok_error_once", key, reference=reference, amount=7)).status_code == 422
    succeeded = await processor.charge("tok_error_once", key, reference=reference)
    assert succeeded.status_code == 200
    assert (await processor.charge("tok_error_once", key, reference=reference)).content == succeeded.content
    assert await processor.charges_of(reference) == [succeeded.json()]


async def test_a_slow_card(processor: Processor) -> None:
    begun = time.monotonic()
    assert (await processor.charge("tok_slow")).status_code == 200
    assert time.monotonic() - begun >= SLOW_SECONDS


@pytest.mark.parametrize(("capture", "status"), [(True, "captured"), (False, "authorized")])
async def test_a_late_success(processor: Processor, capture: bool, status: str) -> None:
    key, reference = new("op"), new("pay")
    declined = await processor.charge("tok_late_success", key, reference=reference, capture=capture)
    assert (declined.status_code, declined.json()["status"]) == (402, "failed")
    after = await until(processor, declined.json()["id"], status=status)
    assert after["failure_code"] is None
    again = await processor.charge("tok_late_success", key, reference=reference, capture=capture)
    assert (again.status_code, again.content) == (402, declined.content)
    found = (await processor.get(f"/operations/{key}")).json()
    assert (found["status_code"], found["charge"]) == (402, after)


@pytest.mark.parametrize(("source", "status"), [("tok_refund_pending", "succeeded"), ("tok_refund_fails", "failed")])
async def test_refunds_that_are_decided_later(processor: Processor, source: str, status: str) -> None:
    key = new("op")
    charge = (await processor.charge(source, amount=100)).json()
    pending = (await processor.move("refunds", charge["id"], key, amount=60)).json()
    assert pending["refund"]["status"] == "pending"
    assert (pending["amount_refunded"], pending["amount_refund_pending"]) == (0, 60)
    too_much = await processor.move("refunds", charge["id"], amount=41)
    assert too_much.status_code == 422, "a pending refund holds its amount"
    refunded = 60 if status == "succeeded" else 0
    await until(processor, charge["id"], amount_refund_pending=0, amount_refunded=refunded)
    found = (await processor.get(f"/operations/{key}")).json()
    assert (found["status_code"], found["refund"]["status"]) == (200, status)


@pytest.mark.parametrize(
    ("source", "what", "field"),
    [
        ("tok_timeout_after_capture", "capture", "amount_captured"),
        ("tok_timeout_after_refund", "refunds", "amount_refunded"),
    ],
)
async def test_a_time_out_after_a_move(processor: Processor, source: str, what: str, field: str) -> None:
    key = new("op")
    charge = (await processor.charge(source, amount=100, capture=what == "refunds")).json()
    asked = asyncio.create_task(processor.move(what, charge["id"], key, amount=30))
    await asyncio.sleep(HANG_SECONDS / 3)
    assert not asked.done()
    assert (await processor.get(f"/operations/{key}")).json()["charge"][field] == 30
    again = await processor.move(what, charge["id"], key, amount=30)
    assert not asked.done()
    assert (await asked).content == again.content
    assert (await processor.get(f"/charges/{charge['id']}")).json()[field] == 30


async def test_the_tokens_are_listed(processor: Processor) -> None:
    listed = (await processor.get("/tokens")).json()["data"]
    assert len(listed) >= 14
    for entry in listed:
        assert entry["token"].startswith("tok_")
        assert entry["description"]


async def test_latency_is_added_to_each_call(database_url: str, tmp_path: Path) -> None:
    with running(database_url, tmp_path / "log", SIMULATOR_LATENCY_MS="150") as simulator:
        async with simulator.client() as processor:
            begun = time.monotonic()
            answers = await asyncio.gather(*(processor.charge() for _ in range(30)))
            assert {answer.status_code for answer in answers} == {200}
            assert time.monotonic() - begun >= 0.15
            assert time.monotonic() - begun < 30 * 0.15, "it holds nothing that others need"
