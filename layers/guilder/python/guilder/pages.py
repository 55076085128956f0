"""Lists, one page at a time: newest first by id, from a cursor that is an object's id.

Ids are UUIDv7s, so their order is the order of creation, and a page is a range of the primary key: objects that come in while somebody
pages do not shift what is still to come. What lists of all kinds share is here and in ``pages.sql``; each module adds its
columns and filters. A statement takes and gives:

    $1 slot, $2 merchant, $3 livemode: whose.
    $4, $5: the ids lie between these two, both excluded.
    $6: the cursor, or NULL.
    $7: how many objects to find, one more than the page holds.
    $8: how many rows to examine at most.
    $9, $10: created at or after, created at or before; NULL for no limit.
    $11 and on: the list's own filters.

    known: whether the cursor is an object of this merchant in this mode (true without one).
    edge: where fewer than $7 were found, the last row examined if there may be more behind it; else NULL.
    id and the object's columns: one row per object found, in the direction of travel; one row of NULLs where there is none.

Why rows are counted: no filter may make a request read a merchant's whole history. A filter that an index serves (a customer, a reference,
a payment, a time) makes the statement read that index; any other is tested row by row, on ``EXAMINED`` rows at most. A page may therefore
hold fewer objects than asked for while there are more; the cursor then is the edge.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from guilder import db
from guilder.errors import ValidationFailed
from guilder.ids import Tenant

_SQL = db.load_queries(__file__)

EXAMINED = 10_000
"""Rows that one page examines at most: tens of milliseconds."""

_SLACK = timedelta(seconds=60)
"""An object's id and its ``created_at`` are read from the same clock within one request, which ends after 25 s: no further apart than this.
A range of times is thus a range of ids, give or take; ``created_at`` itself is tested on the rows of that range."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOWEST = UUID(int=0)
_HIGHEST = UUID(int=(1 << 128) - 1)


@dataclass(frozen=True, slots=True)
class Cut:
    """Which part of a list: up to ``limit`` objects (1 to 100) next to the cursor, towards the older ones or the newer ones."""

    limit: int
    cursor: UUID | None = None
    older: bool = True
    created_gte: datetime | None = None
    created_lte: datetime | None = None

    def bounds(self) -> tuple[UUID, UUID]:
        """Give the ids between which the objects lie, both excluded."""
        low = _LOWEST if self.created_gte is None else _first_id(self.created_gte, -_SLACK)
        high = _HIGHEST if self.created_lte is None else _first_id(self.created_lte, _SLACK)
        if self.cursor is None:
            return low, high
        return (low, min(high, self.cursor)) if self.older else (max(low, self.cursor), high)


@dataclass(frozen=True, slots=True)
class Page[T]:
    """Objects, newest first. ``has_more`` speaks of the direction asked for; ``older`` and ``newer`` are the neighbours' cursors."""

    items: list[T]
    has_more: bool
    older: UUID | None
    newer: UUID | None


async def read[T](
    endpoint: db.Endpoint,
    statement: str,
    tenant: Tenant,
    cut: Cut,
    make: Callable[[db.Row], T],
    *filters: object,
    examined: int = EXAMINED,
) -> Page[T]:
    """Read one page with a statement that keeps to the module's contract and runs in ``cut``'s direction.

    Raises:
        ValidationFailed: the cursor is not an object of this merchant in this mode.
    """
    low, high = cut.bounds()
    rows = await endpoint.fetch(
        statement, tenant.slot, tenant.merchant, tenant.livemode, low, high, cut.cursor, cut.limit + 1, examined,
        cut.created_gte, cut.created_lte, *filters,
    )  # fmt: skip
    if not rows[0]["known"]:
        raise unknown_cursor(older=cut.older)
    found = [row for row in rows if row["id"] is not None]
    return _page(cut, found[: cut.limit], len(found) > cut.limit, rows[0]["edge"], make)


def statements(table: str, fragments: Mapping[str, str]) -> dict[str, str]:
    """Build a list's statements from ``pages.sql`` and what the list says of itself.

    ``fragments`` are ``columns``, ``seen`` (the columns that filters test), ``tested`` (these filters), and ``served_<name>`` for each
    filter that an index serves. Gives ``older`` and ``newer``, and ``older_<name>`` and ``newer_<name>``: newest first, and the other way.
    """
    served = {"": ""} | {
        name.removeprefix("served"): _uncommented(sql) for name, sql in fragments.items() if name.startswith("served")
    }
    made: dict[str, str] = {}
    for name, predicate in served.items():
        for direction, order in (("older", "DESC"), ("newer", "")):
            text = _SQL["page"]
            parts = {"table": table, "served": predicate, "order": order} | {
                part: fragments[part] for part in ("columns", "seen", "tested")
            }
            for part, sql in parts.items():
                text = text.replace("{" + part + "}", sql)
            made[direction + name] = text
    return made


def _uncommented(sql: str) -> str:
    return "\n".join(line for line in sql.splitlines() if not line.startswith("--"))


def unknown_cursor(*, older: bool) -> ValidationFailed:
    """Make the error that a cursor gets which is nobody's, another merchant's or the other mode's: all the same."""
    name = "starting_after" if older else "ending_before"
    return ValidationFailed([{"pointer": name, "message": "is not the id of an object in this list"}])


def _page[T](cut: Cut, found: list[db.Row], more: bool, edge: UUID | None, make: Callable[[db.Row], T]) -> Page[T]:
    onward = found[-1]["id"] if more else edge
    back = found[0]["id"] if found and cut.cursor is not None else None
    items = [make(row) for row in found]
    if cut.older:
        return Page(items, onward is not None, older=onward, newer=back)
    return Page(items[::-1], onward is not None, older=back, newer=onward)


def empty[T]() -> Page[T]:
    """Give the page of a list that can hold nothing."""
    return Page([], has_more=False, older=None, newer=None)


def _first_id(moment: datetime, shift: timedelta) -> UUID:
    """Give the smallest UUIDv7 of a millisecond."""
    milliseconds = (moment - _EPOCH + shift) // timedelta(milliseconds=1)
    return UUID(int=min(max(milliseconds, 0) << 80, _HIGHEST.int))
