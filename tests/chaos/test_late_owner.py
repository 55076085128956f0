"""A lease ends while its owner is still at work, and somebody takes over: the late owner writes nothing.

The two meet at the worst moment: the take-over has changed the row and is not committed, and the late owner's statement already waits for
that row. Each statement is run as it is, and with its guard moved into a sub-query, which lets the late owner win: the meeting is the one
that tells the two apart.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from guilder import operations

from tests.chaos.late_owners import late, late_with_fence_in_a_sub_query
from tests.chaos.world import HURRIED, Merchant, World
from tests.support.gateway import Answer
from tests.support.sql import Sql
from tests.support.workers import Call, Preparation, RemoteEnvironment, payment, until_decided

pytestmark = pytest.mark.timeout(180)

LEASE_S = 0.5
LONG_S = 60.0

_STANDING = """
SELECT o.owner, o.outcome, o.lease_until > clock_timestamp() AS leased, p.status, i.response_body IS NOT NULL AS answered
FROM operations AS o JOIN payments AS p ON (p.slot, p.merchant_id, p.livemode, p.id) = (o.slot, o.merchant_id, o.livemode, o.payment_id)
JOIN idempotency AS i ON (i.slot, i.merchant_id, i.livemode, i.key) = (o.slot, o.merchant_id, o.livemode, o.idempotency_key)
WHERE o.idempotency_key = $1
"""
_EXPIRED = """
SELECT slot, merchant_id, livemode, id FROM operations WHERE idempotency_key = $1 AND lease_until < clock_timestamp() AND outcome IS NULL
"""
_BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"

type Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Meeting:
    """One statement of a late owner, and how one sees that it took effect after the take-over."""

    statement: str
    deed: Callable[[RemoteEnvironment], Call]
    overwritten: Callable[[Row], bool]
    unknown: bool = False
    """The late owner does not know what came of it, and wants to end the lease."""


def _paid(environment: RemoteEnvironment, **fields: object) -> str:
    answer = environment.pay(uuid4().hex, **fields)
    assert answer.status == 201, answer
    return str(answer.json()["id"])


def _create(_: RemoteEnvironment) -> Call:
    return payment(uuid4().hex)


def _capture(environment: RemoteEnvironment) -> Call:
    paid = _paid(environment, capture_method="manual")
    return Call("POST", f"/v1/payments/{paid}/capture", {}, uuid4().hex)


def _refund(environment: RemoteEnvironment) -> Call:
    return Call("POST", "/v1/refunds", {"payment": _paid(environment), "amount": 400}, uuid4().hex)


def _slow_refund(environment: RemoteEnvironment) -> Call:
    paid = _paid(environment, payment_method="tok_refund_pending")
    return Call("POST", "/v1/refunds", {"payment": paid, "amount": 400}, uuid4().hex)


MEETINGS = {
    "authorization": Meeting("settle", _create, lambda row: bool(row["status"] == "succeeded")),
    "capture": Meeting("close", _capture, lambda row: row["outcome"] is not None),
    "refund": Meeting("close", _refund, lambda row: row["outcome"] is not None),
    "pending refund": Meeting("pending", _slow_refund, lambda row: bool(row["answered"])),
    "unknown": Meeting("leave_open", _create, lambda row: not row["leased"], unknown=True),
}


def until_some(sql: Sql, query: str, *args: object, limit_s: float = 30.0) -> Row:
    """Ask until there is a row."""
    deadline = time.monotonic() + limit_s
    while not (rows := sql.rows(query, *args)):
        assert time.monotonic() < deadline, query
        time.sleep(0.02)
    return rows[0]


@dataclass(frozen=True, slots=True)
class Met:
    """How a meeting ended."""

    late_answer: Answer
    taken_over_by: UUID
    standing: Row


def meet(merchant: Merchant, preparation: Preparation, call: Call) -> Met:
    """Let the late owner's statement wait for the row that an uncommitted take-over has changed, then commit that."""
    new_owner = uuid4()
    with merchant.worker(1, preparation) as worker, Sql(merchant.database_url) as sql, ThreadPoolExecutor(1) as thread:
        answer = thread.submit(worker.environments[0].send, call)
        expired = until_some(sql, _EXPIRED, call.key)
        sql.script("BEGIN")
        taken = sql.rows(operations.SQL["take_over"], *expired.values(), new_owner, LONG_S)
        assert len(taken) == 1
        deadline = time.monotonic() + 30
        while sql.value(_BLOCKED) == 0:
            assert time.monotonic() < deadline, "the late owner never came"
            assert not answer.done(), f"the late owner did not wait: {answer.result()}"
            time.sleep(0.02)
        sql.script("COMMIT")
        return Met(answer.result(60), new_owner, sql.rows(_STANDING, call.key)[0])


@pytest.mark.parametrize("name", MEETINGS)
def test_a_late_owner_cannot_overwrite_and_with_the_fence_in_a_sub_query_could(world: World, name: str) -> None:
    meeting = MEETINGS[name]
    merchant = world.merchant(replace(HURRIED, lease=LEASE_S, wait_for_first=0.3, processor=15.0))
    preparations = (
        late(unknown=meeting.unknown),
        late_with_fence_in_a_sub_query(meeting.statement, unknown=meeting.unknown),
    )
    with merchant.worker() as worker, ThreadPoolExecutor(2) as threads:
        survivor = worker.environments[0]
        calls = [meeting.deed(survivor) for _ in preparations]
        real, mutated = (
            future.result()
            for future in [threads.submit(meet, merchant, *both) for both in zip(preparations, calls, strict=True)]
        )
        assert real.standing["owner"] == real.taken_over_by
        assert not meeting.overwritten(real.standing), "the late owner has overwritten what was no longer its own"
        assert real.late_answer.status in {202, 409}, real.late_answer
        assert meeting.overwritten(mutated.standing), "this meeting does not tell a good fence from a bad one"

        end_leases(merchant)
        decided = until_decided(survivor, calls[0])
        assert decided.status in {200, 201}
        assert merchant.settle_down(survivor) == []


def end_leases(merchant: Merchant) -> None:
    """Whoever took over is gone."""
    with Sql(merchant.database_url) as sql:
        for table in ("operations", "idempotency"):
            sql.script(f"UPDATE {table} SET lease_until = now() WHERE lease_until > now()")  # noqa: S608 (two names of our own)
