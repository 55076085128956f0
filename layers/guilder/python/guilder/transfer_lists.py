"""Lists of the ledger's transfers, as the API shows them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from guilder import db, ids, pages
from guilder.ids import Tenant

PREFIX = "tr"

SQL = pages.statements("transfers", db.load_queries(__file__))


@dataclass(frozen=True, slots=True)
class BookedTransfer:
    """A row as it stands in the ledger, where it never changes."""

    tenant: Tenant
    id: UUID
    kind: str
    debit_account: str
    credit_account: str
    amount: int
    currency: str
    payment_id: UUID
    available_on: datetime
    created_at: datetime

    @property
    def public_id(self) -> str:
        """The id as the API shows it."""
        return ids.encode(PREFIX, self.tenant.slot, self.id)

    def snapshot(self) -> bytes:
        """Render as the API shows it."""
        return orjson.dumps(
            {
                "id": self.public_id,
                "object": "transfer",
                "kind": self.kind,
                "debit_account": self.debit_account,
                "credit_account": self.credit_account,
                "amount": self.amount,
                "currency": self.currency,
                "payment": ids.encode("pay", self.tenant.slot, self.payment_id),
                "available_on": self.available_on,
                "livemode": self.tenant.livemode,
                "created_at": self.created_at,
            },
            option=orjson.OPT_UTC_Z,
        )


@dataclass(frozen=True, slots=True)
class Filters:
    """Which transfers: ``account`` on either side."""

    payment: UUID | None = None
    account: str | None = None
    kind: str | None = None
    currency: str | None = None


async def page(endpoint: db.Endpoint, tenant: Tenant, cut: pages.Cut, wanted: Filters) -> pages.Page[BookedTransfer]:
    """Read a page of transfers.

    Raises:
        ValidationFailed: the cursor is not one of them.
    """
    direction = "older" if cut.older else "newer"
    filters: tuple[object, ...] = (wanted.account, wanted.kind, wanted.currency)
    if wanted.payment is not None:
        direction, filters = f"{direction}_of_payment", (*filters, wanted.payment)
    return await pages.read(endpoint, SQL[direction], tenant, cut, _reader(tenant), *filters)


def _reader(tenant: Tenant) -> Callable[[db.Row], BookedTransfer]:
    def read(row: db.Row) -> BookedTransfer:
        return BookedTransfer(
            tenant=tenant,
            id=row["id"],
            kind=row["kind"],
            debit_account=row["debit_account"],
            credit_account=row["credit_account"],
            amount=row["amount"],
            currency=row["currency"],
            payment_id=row["payment_id"],
            available_on=row["available_on"],
            created_at=row["created_at"],
        )

    return read
