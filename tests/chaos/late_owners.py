"""What is put into a worker that comes late: a processor whose answers take long to arrive, and a fence in the wrong place.

The right fence stands on the row that the statement updates: PostgreSQL checks it again once it has waited for that row. A fence in a
sub-query reads the state from before the wait, in which the late owner still was the owner.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from guilder import operations, payments, refunds
from guilder.processors import Outcome, Unknown
from guilder.processors.simulator import Simulator

from tests.support.workers import Preparation

LATE_S = 3.0

_IN_A_SUB_QUERY = (
    " AND EXISTS (SELECT FROM operations AS fence WHERE fence.slot = $1 AND fence.merchant_id = $2 AND fence.livemode = $3"
    " AND fence.id = {operation} AND fence.owner = {owner})"
)


@dataclass(frozen=True, slots=True)
class Fence:
    """The guard of one statement, and the same guard moved into a sub-query."""

    statement: str
    on_the_row: str
    operation: str
    owner: str

    @property
    def in_a_sub_query(self) -> str:
        """The guard where it must not be."""
        return _IN_A_SUB_QUERY.format(operation=self.operation, owner=self.owner)


FENCES = {
    "settle": Fence("settle", " AND owner = $6", "$16", "$6"),
    "close": Fence("close", " AND owner = $5", "$4", "$5"),
    "pending": Fence("pending", " AND owner = $5", "$4", "$5"),
    "leave_open": Fence("leave_open", " AND owner = $5", "$4", "$5"),
}


def late(*, unknown: bool = False) -> Preparation:
    """A worker that hears the processor's answer late, or that it does not know."""
    return partial(_hear_late, unknown)


def late_with_fence_in_a_sub_query(name: str, *, unknown: bool = False) -> Preparation:
    """The same with one statement changed: its guard is in a sub-query."""
    return partial(_hear_late, unknown, name)


def _hear_late(unknown: bool, misplaced: str | None = None) -> None:
    original = Simulator._order

    async def instead(self: Simulator, *args: Any) -> Outcome:
        outcome = await original(self, *args)
        await asyncio.sleep(LATE_S)
        return Unknown("heard too late") if unknown else outcome

    setattr(Simulator, "_order", instead)  # noqa: B010 (an assignment would have to lie about the type)
    if misplaced is not None:
        _misplace(FENCES[misplaced])


def _misplace(fence: Fence) -> None:
    blocks: Mapping[str, dict[str, str]] = {
        "settle": payments.SQL,
        "close": operations.SQL,
        "pending": refunds.SQL,
        "leave_open": operations.SQL,
    }
    sql = blocks[fence.statement]
    assert sql[fence.statement].count(fence.on_the_row) == 1, (
        "the statement is guarded in another way by now: look at this test"
    )
    sql[fence.statement] = sql[fence.statement].replace(fence.on_the_row, fence.in_a_sub_query)
