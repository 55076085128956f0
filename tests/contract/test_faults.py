"""Whatever the processor or the network does, nothing is raised and nothing is made up: the outcome is unknown."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from guilder.errors import Unavailable
from guilder.processors import Approved, NotFound, Outcome, Processor, Unknown

from tests.contract import faults
from tests.contract.adapters import LIMIT_S, Adapter
from tests.contract.orders import AMOUNT, authorization, book, change, charge, eventually

WRONG_SHAPES: list[object] = [
    {}, [], None, 7, "ok",
    {"id": 7, "status": "captured"}, {"id": "ch_1"}, {"id": "ch_1", "status": "paid"}, {"id": "", "status": "captured"},
    {"id": "ch_1", "status": "requires_action", "next_action": "https://example.test"},
    {"id": "ch_1", "status": "requires_action", "next_action": {"url": None}},
    {"kind": "charge", "status_code": 200, "charge": [1], "refund": 7},
    {"kind": ["charge"], "status_code": {}, "charge": None}, {"kind": "refund", "status_code": [409], "refund": {}},
    {"refund": {"id": "re_1", "status": "soon"}}, {"refund": {"id": None, "status": "succeeded"}},
    {"error": "no"}, {"error": {"type": ["card_error"], "code": 7}}, {"data": {}, "has_more": "no"},
    {"data": [{"id": "ch_1"}], "has_more": False}, {"data": [], "has_more": True},
]  # fmt: skip

TRUNCATED = (
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"id": "ch_1", "status": "cap'
)
BEHAVIOURS = {
    "hangs": faults.hanging,
    "drips": faults.dripping,
    "hangs up": faults.hanging_up,
    "truncated": faults.answering(TRUNCATED),
    "truncated head": faults.answering(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "no HTTP": faults.answering(b"\x00\xff\xfe garbage \r\n\r\n"),
    "not UTF-8": faults.with_body("200 OK", b'{"id": "\xff\xfe"}'),
    "no JSON": faults.with_body("200 OK", b"<html>Hello</html>", "text/html"),
    "nested too deeply": faults.with_body("200 OK", b"[" * 100_000),
    "not gzip": faults.answering(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"),
    "redirects": faults.answering(b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n"),
    "somebody's 404": faults.with_body("404 Not Found", b"<html>No such page</html>", "text/html"),
    "somebody's 404 in JSON": faults.with_body("404 Not Found", b'{"message": "no route"}'),
    "refuses our key": faults.with_body("401 Unauthorized", b'{"error": {"type": "authentication", "code": "no"}}'),
    "limits us": faults.with_body("429 Too Many Requests", b'{"error": {"type": "rate_limit", "code": "slow_down"}}'),
    "fails": faults.with_body("500 Internal Server Error", b'{"error": {"type": "card_error", "code": "card_declined"}}'),
    "gateway": faults.with_body("502 Bad Gateway", b"<html>Bad gateway</html>", "text/html"),
}  # fmt: skip


async def all_outcomes(
    adapter: Adapter, processor: Processor
) -> tuple[Outcome, Outcome, Outcome, Outcome, Outcome | NotFound]:
    """Ask for everything at once."""
    return await asyncio.gather(
        processor.authorize(authorization(adapter)),
        processor.capture(change("ch_1")),
        processor.cancel(change("ch_1")),
        processor.refund(change("ch_1")),
        processor.lookup("op_1"),
    )


async def cannot_be_listed(processor: Processor) -> None:
    now = datetime.now(UTC)
    with pytest.raises(Unavailable):
        _ = [charge async for charge in processor.list_charges(now - timedelta(days=1), now)]


async def everything_is_unknown(adapter: Adapter, url: str) -> None:
    processor = adapter.at(url)
    began = time.monotonic()
    outcomes = await all_outcomes(adapter, processor)
    await cannot_be_listed(processor)
    assert all(isinstance(outcome, Unknown) and outcome.reason for outcome in outcomes), outcomes
    assert time.monotonic() - began < 2 * LIMIT_S + 1
    await processor.close()


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
async def test_a_fault_leaves_everything_unknown(adapter: Adapter, behaviour: str) -> None:
    async with faults.misbehaving(BEHAVIOURS[behaviour]) as url:
        await everything_is_unknown(adapter, url)


@pytest.mark.parametrize("body", WRONG_SHAPES, ids=json.dumps)
async def test_an_answer_of_another_shape_leaves_everything_unknown(adapter: Adapter, body: object) -> None:
    async with faults.misbehaving(faults.with_body("200 OK", json.dumps(body).encode())) as url:
        processor = adapter.at(url)
        authorized, captured, canceled, refunded, found = await all_outcomes(adapter, processor)
        await cannot_be_listed(processor)
        assert all(isinstance(outcome, Unknown) for outcome in (authorized, refunded, found))
        for changed in (captured, canceled):  # their answer is the charge, which need not be more than named
            assert isinstance(changed, Unknown) or changed == Approved("ch_1")
        await processor.close()


async def test_nobody_listens(adapter: Adapter) -> None:
    """Not even that is a failure: an earlier attempt under the same operation may have arrived."""
    await everything_is_unknown(adapter, await faults.closed_port())


@pytest.fixture
async def silent(adapter: Adapter) -> AsyncIterator[Processor]:
    """The same processor, whose answers do not arrive."""
    async with faults.misbehaving(faults.keeping_answers_of(adapter.url)) as url:
        processor = adapter.at(url)
        yield processor
        await processor.close()


async def test_a_charge_whose_answer_was_lost_is_found_later(adapter: Adapter, silent: Processor) -> None:
    order = authorization(adapter, capture=True)
    assert isinstance(await silent.authorize(order), Unknown)
    outcome = await eventually(
        lambda: adapter.processor.lookup(order.operation), lambda found: not isinstance(found, Unknown | NotFound)
    )
    assert isinstance(outcome, Approved)
    assert await adapter.processor.authorize(order) == outcome
    assert (await book(adapter.processor, outcome.reference)).amount_captured == AMOUNT


@pytest.mark.parametrize("what", ["capture", "cancel", "refund"])
async def test_a_change_whose_answer_was_lost_is_found_later(adapter: Adapter, silent: Processor, what: str) -> None:
    reference = await charge(adapter, capture=what == "refund")
    order = change(reference, 400)
    assert isinstance(await getattr(silent, what)(order), Unknown)
    outcome = await eventually(
        lambda: adapter.processor.lookup(order.operation), lambda found: not isinstance(found, Unknown | NotFound)
    )
    assert isinstance(outcome, Approved)
    assert await getattr(adapter.processor, what)(order) == outcome
    booked = await book(adapter.processor, reference)
    assert booked.amount_captured == {"capture": 400, "cancel": 0, "refund": AMOUNT}[what]
    assert booked.amount_refunded == {"capture": 0, "cancel": 0, "refund": 400}[what]
