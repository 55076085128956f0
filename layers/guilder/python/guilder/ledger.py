"""The ledger: each transfer moves an amount from one account to another, so it is balanced by construction.

Accounts are names within (merchant, mode, currency). A capture debits what the processor owes and credits what the merchant will get; a
refund takes from what the merchant may have, which may then be less than nothing:

    processor:<name>  ──capture──▶  merchant:pending
    processor:<name>  ◀──refund───  merchant:available

The table is append-only by privilege, and no balance row is touched on the request path: a merchant with many payments must not be slower
than many merchants. ``rollup`` adds up behind it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from guilder import db
from guilder.ids import Tenant

MERCHANT_PENDING = "merchant:pending"
MERCHANT_AVAILABLE = "merchant:available"
AVAILABLE_AFTER = timedelta(days=2)

SQL = db.load_queries(__file__)


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
class Balance:
    """What a merchant has in one currency, in minor units."""

    currency: str
    pending: int
    available: int


async def balances(endpoint: db.Endpoint, tenant: Tenant, as_of: datetime | None = None) -> list[Balance]:
    """Add up a merchant's accounts, per currency: every transfer committed by now, or those of them created up to ``as_of``."""
    rows = await endpoint.fetch(SQL["balances"], tenant.slot, tenant.merchant, tenant.livemode, as_of)
    return [Balance(row["currency"], int(row["pending"]), int(row["available"])) for row in rows]
