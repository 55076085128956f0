"""Lists of refunds: those of one payment by its index, all others along the primary key."""

from uuid import UUID

from guilder import db, pages, refunds
from guilder.phases import Context
from guilder.refunds import Refund, Status

SQL = pages.statements("refunds", db.load_queries(__file__))


async def page(context: Context, cut: pages.Cut, payment: UUID | None, status: Status | None) -> pages.Page[Refund]:
    """Read a page of the merchant's refunds.

    Raises:
        ValidationFailed: the cursor is not one of them.
    """
    tenant = context.tenant
    name = "older" if cut.older else "newer"
    filters: tuple[object, ...] = (status,) if payment is None else (status, payment)
    statement = SQL[name if payment is None else f"{name}_of_payment"]
    return await pages.read(
        context.database.writer, statement, tenant, cut, lambda row: refunds.read(row, tenant), *filters
    )
