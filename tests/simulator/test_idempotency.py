"""One key, one charge: however many ask, from however many processes, and whatever is going on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg

from tests.simulator.service import Processor, new, running


async def test_the_same_request_gets_the_same_answer_to_the_byte(processor: Processor) -> None:
    for source in ("tok_visa", "tok_declined", "tok_requires_action"):
        key, reference = new("op"), new("pay")
        first = await processor.charge(source, key, reference=reference)
        again = await processor.charge(source, key, reference=reference)
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert len(await processor.charges_of(reference)) == 1


async def test_moves_are_repeated_too_and_so_are_refusals(processor: Processor) -> None:
    charge = (await processor.charge(capture=False, amount=100)).json()
    key = new("op")
    first = await processor.move("capture", charge["id"], key, amount=40)
    await processor.move("capture", charge["id"], amount=60)
    again = await processor.move("capture", charge["id"], key, amount=40)
    assert (again.status_code, again.content) == (200, first.content)
    refund, refused = new("op"), new("op")
    assert (await processor.move("refunds", charge["id"], refused, amount=101)).status_code == 422
    first = await processor.move("refunds", charge["id"], refund, amount=100)
    again = await processor.move("refunds", charge["id"], refund, amount=100)
    assert again.content == first.content
    assert (await processor.move("refunds", charge["id"], refused, amount=101)).status_code == 422
    assert (await processor.get(f"/charges/{charge['id']}")).json()["amount_refunded"] == 100


async def test_the_same_key_with_another_request_is_refused(processor: Processor) -> None:
    key, reference = new("op"), new("pay")
    charge = (await processor.charge(key=key, reference=reference, amount=100)).json()
    for refused in [
        await processor.charge(key=key, reference=reference, amount=101),
        await processor.charge(key=key, reference=reference, amount=100, capture=False),
        await processor.move("capture", charge["id"], key, amount=100),
        await processor.move("refunds", charge["id"], key, amount=100),
        await processor.move("void", charge["id"], key),
    ]:
        assert refused.status_code == 422
        assert refused.json()["error"]["code"] == "idempotency_key_reused"
    assert await processor.charges_of(reference) == [charge]


async def test_fifty_concurrent_callers_get_one_charge(processor: Processor) -> None:
    for source in ("tok_visa", "tok_slow"):
        key, reference = new("op"), new("pay")
        answers = await asyncio.gather(*(processor.charge(source, key, reference=reference) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        assert [charge["id"] for charge in await processor.charges_of(reference)] == [answers[0].json()["id"]]


async def test_fifty_concurrent_callers_make_one_refund(processor: Processor) -> None:
    charge = (await processor.charge(amount=100)).json()
    key = new("op")
    answers = await asyncio.gather(*(processor.move("refunds", charge["id"], key, amount=10) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert (await processor.get(f"/charges/{charge['id']}")).json()["amount_refunded"] == 10


async def test_two_processes_share_the_keys(processor: Processor, database_url: str, tmp_path: Path) -> None:
    with running(database_url, tmp_path / "log") as other:
        async with other.client() as neighbour:
            for source in ("tok_visa", "tok_slow"):
                key, reference = new("op"), new("pay")
                asked = [client.charge(source, key, reference=reference) for client in (processor, neighbour) * 10]
                answers = await asyncio.gather(*asked)
                assert {answer.status_code for answer in answers} == {200}
                assert len({answer.content for answer in answers}) == 1
                assert len(await processor.charges_of(reference)) == 1


async def test_an_attempt_that_fails_takes_nobody_else_s_place(processor: Processor) -> None:
    """The first try fails; who waited for it is told to come back, and then one try succeeds."""
    key, reference = new("op"), new("pay")
    first = await asyncio.gather(*(processor.charge("tok_error_once", key, reference=reference) for _ in range(10)))
    codes = [answer.status_code for answer in first]
    assert codes.count(500) == 1
    assert set(codes) <= {200, 409, 500}
    second = await asyncio.gather(*(processor.charge("tok_error_once", key, reference=reference) for _ in range(10)))
    assert {answer.status_code for answer in second if answer.status_code != 409} == {200}
    assert len(await processor.charges_of(reference)) == 1


async def test_a_key_in_use_is_waited_for_and_then_refused(database_url: str, tmp_path: Path) -> None:
    with running(database_url, tmp_path / "log", SIMULATOR_SLOW_SECONDS="3.5") as simulator:
        async with simulator.client() as processor:
            key, reference = new("op"), new("pay")
            first = asyncio.create_task(processor.charge("tok_slow", key, reference=reference))
            await asyncio.sleep(0.3)
            impatient = await processor.charge("tok_slow", key, reference=reference)
            assert impatient.status_code == 409
            assert impatient.json()["error"]["code"] == "idempotency_key_in_use"
            other = await processor.charge("tok_slow", key, reference=reference, amount=7)
            assert other.status_code == 422
            in_flight = await processor.get(f"/operations/{key}")
            assert (in_flight.status_code, in_flight.json()["error"]["code"]) == (409, "in_progress")
            assert await processor.charges_of(reference) == []
            assert (await first).status_code == 200
            assert (await processor.get(f"/operations/{key}")).json()["charge"]["id"] == (await first).json()["id"]


async def test_an_operation_is_found_by_its_key(processor: Processor) -> None:
    keys = {kind: new("op") for kind in ("charge", "capture", "void", "refund", "refused", "declined")}
    charge_id = (await processor.charge(key=keys["charge"], amount=100, capture=False)).json()["id"]
    await processor.move("capture", charge_id, keys["capture"], amount=60)
    await processor.move("void", charge_id, keys["void"])
    refund = (await processor.move("refunds", charge_id, keys["refund"], amount=10)).json()["refund"]
    await processor.move("refunds", charge_id, keys["refused"], amount=51)
    declined = (await processor.charge("tok_declined", keys["declined"])).json()["id"]

    now = (await processor.get(f"/charges/{charge_id}")).json()
    for name, kind, status, expected_refund in [
        ("charge", "charge", 200, None),
        ("capture", "capture", 200, None),
        ("void", "void", 200, None),
        ("refund", "refund", 200, refund),
        ("refused", "refund", 422, None),
    ]:
        found = (await processor.get(f"/operations/{keys[name]}")).json()
        assert found == {
            "idempotency_key": keys[name],
            "kind": kind,
            "status_code": status,
            "charge": now,
            "refund": expected_refund,
        }
    found = (await processor.get(f"/operations/{keys['declined']}")).json()
    assert (found["status_code"], found["charge"]["id"]) == (402, declined)
    assert (await processor.get(f"/operations/{new('op')}")).status_code == 404


async def test_what_was_said_not_to_be_done_is_not_done_afterwards(database_url: str, processor: Processor) -> None:
    """An attempt that outlives its lease must not charge once a look-up has answered 404."""
    key, reference = new("op"), new("pay")
    slow = asyncio.create_task(processor.charge("tok_slow", key, reference=reference))
    await asyncio.sleep(0.3)
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        expire = (
            "UPDATE operations SET lease_until = clock_timestamp() - interval '1 second' WHERE idempotency_key = $1"
        )
        assert await connection.execute(expire, key) == "UPDATE 1"
    finally:
        await connection.close()
    assert (await processor.get(f"/operations/{key}")).status_code == 404
    answer = await slow
    assert answer.status_code == 409
    assert (await processor.get(f"/operations/{key}")).status_code == 404
    assert await processor.charges_of(reference) == []
    assert (await processor.charge("tok_slow", key, reference=reference)).status_code == 200


async def test_a_look_up_waits_for_a_transaction_that_holds_the_key(database_url: str, processor: Processor) -> None:
    charge = (await processor.charge(amount=100)).json()
    key = new("op")
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.fetch("SELECT id FROM charges WHERE id = $1 FOR UPDATE", charge["id"])
        refund = asyncio.create_task(processor.move("refunds", charge["id"], key, amount=10))
        await asyncio.sleep(0.3)
        assert (await processor.get(f"/operations/{key}")).status_code == 409
        await transaction.rollback()
    finally:
        await connection.close()
    assert (await refund).status_code == 200
    assert (await processor.get(f"/operations/{key}")).status_code == 200
