"""Charges, captures, voids and refunds over HTTP."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.simulator.service import Processor, new

CHARGE_FIELDS = {
    *("id", "object", "reference", "amount", "currency", "status", "amount_captured", "amount_voided"),
    *("amount_refunded", "amount_refund_pending", "idempotency_key", "failure_code", "failure_message"),
    *("next_action", "created_at"),
}


async def authorized(processor: Processor, amount: int = 100) -> dict[str, Any]:
    answer = await processor.charge(amount=amount, capture=False)
    assert answer.status_code == 200, answer.text
    charge: dict[str, Any] = answer.json()
    return charge


async def captured(processor: Processor, amount: int = 100, source: str = "tok_visa") -> dict[str, Any]:
    answer = await processor.charge(source, amount=amount)
    assert answer.status_code == 200, answer.text
    charge: dict[str, Any] = answer.json()
    return charge


async def test_a_charge_is_captured_at_once(processor: Processor) -> None:
    reference, key = new("pay"), new("op")
    charge = (await processor.charge(key=key, reference=reference, amount=1250, currency="JPY")).json()
    assert set(charge) == CHARGE_FIELDS
    assert charge["object"] == "charge"
    assert charge["status"] == "captured"
    assert (charge["amount"], charge["currency"], charge["amount_captured"]) == (1250, "JPY", 1250)
    assert (charge["reference"], charge["idempotency_key"]) == (reference, key)
    assert charge["created_at"].endswith("Z")
    assert (await processor.get(f"/charges/{charge['id']}")).json() == charge
    assert await processor.charges_of(reference) == [charge]


async def test_a_charge_that_is_only_authorized(processor: Processor) -> None:
    charge = await authorized(processor)
    assert (charge["status"], charge["amount_captured"]) == ("authorized", 0)


async def test_one_partial_capture_twice_under_two_keys_captures_twice(processor: Processor) -> None:
    charge = await authorized(processor)
    first = await processor.move("capture", charge["id"], amount=30)
    second = await processor.move("capture", charge["id"], amount=30)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["amount_captured"] == 30
    assert second.json()["amount_captured"] == 60
    too_much = await processor.move("capture", charge["id"], amount=41)
    assert too_much.status_code == 422
    assert too_much.json()["error"]["code"] == "amount_too_large"
    rest = await processor.move("capture", charge["id"])
    assert rest.json()["amount_captured"] == 100
    nothing_left = await processor.move("capture", charge["id"], amount=1)
    assert nothing_left.status_code == 409
    assert nothing_left.json()["error"]["code"] == "charge_not_capturable"


async def test_a_void_before_capture_gives_everything_back(processor: Processor) -> None:
    charge = await authorized(processor)
    voided = (await processor.move("void", charge["id"])).json()
    assert (voided["status"], voided["amount_voided"], voided["amount_captured"]) == ("voided", 100, 0)
    for what in ("capture", "void", "refunds"):
        refused = await processor.move(what, charge["id"])
        assert refused.status_code == 409, what


async def test_a_void_after_a_partial_capture_gives_the_rest_back(processor: Processor) -> None:
    charge = await authorized(processor)
    await processor.move("capture", charge["id"], amount=30)
    voided = (await processor.move("void", charge["id"])).json()
    assert (voided["status"], voided["amount_captured"], voided["amount_voided"]) == ("captured", 30, 70)
    assert (await processor.move("capture", charge["id"], amount=1)).status_code == 409
    assert (await processor.move("refunds", charge["id"], amount=31)).status_code == 422
    assert (await processor.move("refunds", charge["id"], amount=30)).status_code == 200


async def test_a_void_needs_no_body(processor: Processor) -> None:
    charge = await authorized(processor)
    voided = await processor.post(f"/charges/{charge['id']}/void", headers={"Idempotency-Key": new("op")})
    assert (voided.status_code, voided.json()["status"]) == (200, "voided")


async def test_refunds_are_partial_and_many_and_never_more_than_captured(processor: Processor) -> None:
    charge = await captured(processor)
    key = new("op")
    first = await processor.move("refunds", charge["id"], key, amount=30)
    assert first.status_code == 200
    assert first.json()["amount_refunded"] == 30
    refund = first.json()["refund"]
    assert (refund["amount"], refund["status"], refund["charge"]) == (30, "succeeded", charge["id"])
    assert refund["idempotency_key"] == key
    assert (await processor.move("refunds", charge["id"], amount=71)).status_code == 422
    assert (await processor.move("refunds", charge["id"])).json()["amount_refunded"] == 100
    refused = await processor.move("refunds", charge["id"], amount=1)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "charge_not_refundable")
    listed = (await processor.get(f"/charges/{charge['id']}/refunds")).json()["data"]
    assert [one["amount"] for one in listed] == [30, 70]
    assert listed[0] == refund


async def test_of_fifty_concurrent_refunds_of_ten_on_a_hundred_ten_succeed(processor: Processor) -> None:
    charge = await captured(processor)
    answers = await asyncio.gather(*(processor.move("refunds", charge["id"], amount=10) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] * 10 + [409] * 40
    assert sorted(answer.json()["amount_refunded"] for answer in answers if answer.is_success) == [*range(10, 101, 10)]
    after = (await processor.get(f"/charges/{charge['id']}")).json()
    assert after["amount_refunded"] == 100


async def test_of_fifty_concurrent_captures_of_ten_on_a_hundred_ten_succeed(processor: Processor) -> None:
    charge = await authorized(processor)
    answers = await asyncio.gather(*(processor.move("capture", charge["id"], amount=10) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] * 10 + [409] * 40
    assert (await processor.get(f"/charges/{charge['id']}")).json()["amount_captured"] == 100


async def test_captures_against_a_void_leave_nothing_over(processor: Processor) -> None:
    charge = await authorized(processor)
    moves = [processor.move("capture", charge["id"], amount=5) for _ in range(15)]
    moves.insert(7, processor.move("void", charge["id"]))
    answers = await asyncio.gather(*moves)
    after = (await processor.get(f"/charges/{charge['id']}")).json()
    succeeded = sum(answer.is_success for index, answer in enumerate(answers) if index != 7)
    assert answers[7].status_code == 200
    assert after["amount_captured"] == 5 * succeeded
    assert after["amount_captured"] + after["amount_voided"] == 100


async def test_charges_are_listed_page_by_page_newest_first(processor: Processor) -> None:
    reference = new("pay")
    made = [(await processor.charge(reference=reference)).json()["id"] for _ in range(5)]
    seen: list[str] = []
    parameters: dict[str, str | int] = {"reference": reference, "limit": 2}
    for expected_more in (True, True, False):
        page = (await processor.get("/charges", params=parameters)).json()
        assert page["has_more"] is expected_more
        seen += [charge["id"] for charge in page["data"]]
        parameters["starting_after"] = seen[-1]
    assert seen == made[::-1]


async def test_charges_are_listed_by_time(processor: Processor) -> None:
    reference = new("pay")
    charges = [(await processor.charge(reference=reference)).json() for _ in range(3)]
    middle = charges[1]["created_at"]
    for bounds, expected in [
        ({"created_gte": middle}, [2, 1]),
        ({"created_lte": middle}, [1, 0]),
        ({"created_gte": middle, "created_lte": middle}, [1]),
    ]:
        page = (await processor.get("/charges", params={"reference": reference, **bounds})).json()
        assert [charge["id"] for charge in page["data"]] == [charges[index]["id"] for index in expected]


async def test_all_charges_of_a_time_are_listed_without_a_reference(processor: Processor) -> None:
    charge = (await processor.charge()).json()
    now = datetime.now(UTC)
    bounds = {"created_gte": charge["created_at"], "created_lte": (now + timedelta(seconds=5)).isoformat()}
    page = (await processor.get("/charges", params=bounds)).json()
    assert charge["id"] in [listed["id"] for listed in page["data"]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 0},
        {"amount": -1},
        {"amount": 10.5},
        {"amount": "100"},
        {"amount": True},
        {"amount": 10**16},
        {"currency": "eur"},
        {"currency": "EURO"},
        {"reference": "r" * 256},
        {"capture": "yes"},
        {"card_number": "4242424242424242"},
    ],
)
async def test_a_malformed_charge_is_refused_and_leaves_no_trace(processor: Processor, wrong: dict[str, Any]) -> None:
    key = new("op")
    refused = await processor.charge(key=key, **wrong)
    assert refused.status_code == 400
    assert refused.json()["error"]["type"] == "invalid_request"
    assert (await processor.get(f"/operations/{key}")).status_code == 404


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": ""}, {"Idempotency-Key": "k" * 256}])
async def test_an_idempotency_key_is_required(processor: Processor, headers: dict[str, str]) -> None:
    body = {"reference": new("pay"), "amount": 1, "currency": "EUR", "source": "tok_visa"}
    refused = await processor.post("/charges", json=body, headers=headers)
    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request")


async def test_errors_all_look_alike(processor: Processor) -> None:
    nothing = new("ch")
    for answer, status in [
        (await processor.get(f"/charges/{nothing}"), 404),
        (await processor.move("capture", nothing, amount=1), 404),
        (await processor.get(f"/charges/{nothing}/refunds"), 404),
        (await processor.get("/charges", params={"starting_after": nothing}), 404),
        (await processor.get("/charges", params={"limit": 0}), 400),
        (await processor.get("/charges", params={"created_gte": "yesterday"}), 400),
        (await processor.get("/nothing"), 404),
        (await processor.delete("/charges"), 405),
        (await processor.post("/charges", content=b"{", headers={"Idempotency-Key": new("op")}), 400),
    ]:
        assert answer.status_code == status, answer.text
        assert set(answer.json()["error"]) == {"type", "code", "message"}
