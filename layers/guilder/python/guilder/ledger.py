"""The ledger: each transfer moves an amount from one account to another, so it is balanced by construction.

Accounts are names within (merchant, mode, currency). A capture debits what the processor owes and credits what the merchant will get:

    processor:<name>    ──capture──▶  merchant:pending
    merchant:available  ──refund───▶  processor:<name>

The table is append-only by privilege, and no balance row is touched on the request path: a merchant with many payments must not be slower
than many merchants.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

MERCHANT_PENDING = "merchant:pending"
MERCHANT_AVAILABLE = "merchant:available"
AVAILABLE_AFTER = timedelta(days=2)


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
    """Book refunded money: it leaves what the merchant has available, below zero if need be, and the processor takes it."""
    return Transfer(transfer_id, "refund", MERCHANT_AVAILABLE, f"processor:{processor}", amount, refunded_at)
