"""Lists of payments: which statement, and so which index, serves which filters.

| given                  | rows read                                                            |
|------------------------|----------------------------------------------------------------------|
| ``merchant_reference`` | one, by its unique index                                             |
| ``customer``           | that customer's, by ``payments_by_customer``                         |
| neither                | the merchant's, by the primary key                                   |
| a range of times       | of these, the ids of that range                                      |
| ``status``, metadata   | tested on each of these rows, ``pages.EXAMINED`` of them at most     |
"""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from guilder import db, pages, payments
from guilder.payments import Payment
from guilder.phases import Context
from guilder.states import Status

SQL = pages.statements("payments", db.load_queries(__file__))


@dataclass(frozen=True, slots=True)
class Filters:
    """Which payments; all that is given must hold."""

    status: Status | None = None
    customer: str | None = None
    merchant_reference: str | None = None
    metadata: Mapping[str, str] | None = None


async def page(
    context: Context, cut: pages.Cut, wanted: Filters, examined: int = pages.EXAMINED
) -> pages.Page[Payment]:
    """Read a page of the merchant's payments.

    Raises:
        ValidationFailed: the cursor is not one of them.
    """
    tenant = context.tenant
    name, filters = _choose(wanted, "older" if cut.older else "newer")
    return await pages.read(
        context.database.writer,
        SQL[name],
        tenant,
        cut,
        lambda row: payments.read(row, tenant),
        *filters,
        examined=examined,
    )


def _choose(wanted: Filters, direction: str) -> tuple[str, tuple[object, ...]]:
    """Pick the statement that reads the fewest rows, and its parameters from $11 on."""
    metadata = orjson.dumps(dict(wanted.metadata)).decode() if wanted.metadata else None
    filters = (wanted.status, metadata, wanted.customer)
    if wanted.merchant_reference is not None:
        return f"{direction}_of_reference", (*filters, wanted.merchant_reference)
    if wanted.customer is not None:
        return f"{direction}_of_customer", filters
    return direction, filters
