"""Roll-ups of the ledger: a worker adds transfers up per account, off the request path.

No payment waits for a balance row, so a busy merchant is not slower than a quiet one. Reads (``ledger.balance``) add the roll-up and the
transfers since in one statement: they are exact however far the worker is behind, and only slower the further it is. Why nothing is lost
and nothing counts twice is written where the watermark is set, in ``rollup.sql``.
"""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from guilder import db

_SQL = db.load_queries(__file__)

MERCHANTS_PER_STATEMENT = 100
TRANSFERS_PER_STEP = 5_000
"""Of one merchant in one statement. A hundred merchants that are all this far behind take about a second, and a statement may take five."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a pass over the merchants has come: after this one."""

    slot: int
    merchant: UUID


BEGINNING = Place(0, UUID(int=0))


@dataclass(frozen=True, slots=True)
class Advance:
    """What a pass did. ``resume`` says where the next one should begin where time ran out; None: every merchant had its turn."""

    rollups: int
    transfers: int
    statements: int
    resume: Place | None


async def advance(
    endpoint: db.Endpoint,
    *,
    start: Place = BEGINNING,
    limit_s: float = 10.0,
    merchants_per_statement: int = MERCHANTS_PER_STATEMENT,
    transfers_per_step: int = TRANSFERS_PER_STEP,
) -> Advance:
    """Advance the roll-ups of one cell's merchants after ``start``, for ``limit_s`` seconds and the statement in hand.

    Any number of these may run at once, and each statement may be sent twice.

    Raises:
        Unavailable: the database did not answer. What was done stays done; the next pass goes on.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    rollups = transfers = statements = 0
    place: Place | None = start
    while place is not None and (statements == 0 or loop.time() < deadline):
        row = await endpoint.fetchrow(
            _SQL["advance"], place.slot, place.merchant, merchants_per_statement, transfers_per_step
        )
        assert row is not None  # noqa: S101 (the statement returns one row)
        rollups += row["rollups_advanced"]
        transfers += row["transfers_added"]
        statements += 1
        place = _following(row, place, merchants_per_statement)
    return Advance(rollups, transfers, statements, place)


def _following(row: db.Row, place: Place, asked_for: int) -> Place | None:
    """The same merchants again while some of them have more; else those after them."""
    if row["more"]:
        return place
    if row["merchants_seen"] < asked_for:
        return None
    return Place(row["last_slot"], row["last_merchant"])
