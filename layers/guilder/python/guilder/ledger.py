"""The ledger: each transfer moves an amount from one account to another, so it is balanced by construction.

Accounts are names within (merchant, mode, currency). A capture debits what the processor owes and credits what the merchant will get; a
refund takes from what the merchant may have, which may then be less than nothing:

    processor:<name>  ──capture──▶  merchant:pending
    processor:<name>  ◀──refund───  merchant:available

The table is append-only by privilege, and no balance row is touched on the request path: a merchant with many payments must not be slower
than many merchants. ``rollup`` adds up behind it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import orjson

from guilder import db, ids, pages
from guilder.ids import Tenant

PREFIX = "tr"
MERCHANT_PENDING = "merchant:pending"
MERCHANT_AVAILABLE = "merchant:available"
AVAILABLE_AFTER = timedelta(days=2)

_SQL = db.load_queries(__file__)


@dataclass(frozen=True, slots=True)
class Transfer:
    """A row to be written: ``amount`` (minor units, above zero) leaves ``debit_account`` and arrives at ``credit_account``."""

    id: UUID
    kind: str
    debit_account: str
    credit_account: str
    amount: int
    available_on: datetime


def capture(transfer_id: UUID, processor: str, amount: int, captured_at: datetime) -> Transfer:
    """Book captured money: the processor owes it, the merchant has it pending."""
    return Transfer(
        transfer_id, "capture", f"processor:{processor}", MERCHANT_PENDING, amount, captured_at + AVAILABLE_AFTER
    )


def refund(transfer_id: UUID, processor: str, amount: int, refunded_at: datetime) -> Transfer:
    """Book refunded money: the merchant gives it, the processor owes that much less. At once, and below zero if need be."""
    return Transfer(transfer_id, "refund", MERCHANT_AVAILABLE, f"processor:{processor}", amount, refunded_at)


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
class TransferFilters:
    """Which transfers: ``account`` on either side."""

    payment: UUID | None = None
    account: str | None = None
    kind: str | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """What a merchant has in one currency, in minor units."""

    currency: str
    pending: int
    available: int


async def balances(endpoint: db.Endpoint, tenant: Tenant, as_of: datetime | None = None) -> list[Balance]:
    """Add up a merchant's accounts, per currency: every transfer committed by now, or those of them created up to ``as_of``."""
    rows = await endpoint.fetch(_SQL["balances"], tenant.slot, tenant.merchant, tenant.livemode, as_of)
    return [Balance(row["currency"], int(row["pending"]), int(row["available"])) for row in rows]


async def transfers(
    endpoint: db.Endpoint, tenant: Tenant, cut: pages.Cut, wanted: TransferFilters
) -> pages.Page[BookedTransfer]:
    """Read a page of transfers.

    Raises:
        ValidationFailed: the cursor is not one of them.
    """
    direction = "older" if cut.older else "newer"
    filters: tuple[object, ...] = (wanted.account, wanted.kind, wanted.currency)
    if wanted.payment is not None:
        direction, filters = f"{direction}_of_payment", (*filters, wanted.payment)
    return await pages.read(endpoint, _SQL[direction], tenant, cut, _reader(tenant), *filters)


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
