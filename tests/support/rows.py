"""Rows written past the API, as the cluster's administrator: many, of any age, of anybody."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from guilder import ids
from guilder.ids import IdSource, Tenant

from tests.support.sql import Sql

_PAYMENTS = """
INSERT INTO payments (slot, merchant_id, livemode, id, status, version, owner, amount, currency, capture_method, payment_method, processor,
    customer, merchant_reference, metadata, created_at, updated_at, amount_captured, failure_code, failure_message)
SELECT $1, $2, $3, p.id, p.status, 1, p.id, 100, 'EUR', 'automatic', 'tok_visa', 'simulator', p.customer, p.merchant_reference,
    p.metadata, p.created_at, p.created_at, CASE p.status WHEN 'succeeded' THEN 100 ELSE 0 END,
    CASE p.status WHEN 'failed' THEN 'card_declined' END, CASE p.status WHEN 'failed' THEN 'Declined.' END
FROM unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::jsonb[], $9::timestamptz[])
    AS p (id, status, customer, merchant_reference, metadata, created_at)"""

_TRANSFERS = """
INSERT INTO transfers (slot, merchant_id, livemode, id, kind, debit_account, credit_account, amount, currency, payment_id, operation_id,
    available_on, created_at)
SELECT $1, $2, $3, t.id, t.kind, t.debit_account, t.credit_account, t.amount, t.currency, t.payment_id, t.id, t.created_at, t.created_at
FROM unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[], $10::uuid[], $11::timestamptz[])
    AS t (id, kind, debit_account, credit_account, amount, currency, payment_id, created_at)"""


def id_at(moment: datetime) -> UUID:
    """Make an id as if it had been made at that time."""
    return IdSource(lambda: moment).new()


@dataclass(frozen=True)
class PaymentRow:
    """What lists look at."""

    id: UUID
    created_at: datetime
    status: str = "succeeded"
    customer: str | None = None
    merchant_reference: str | None = None
    metadata: str = "{}"


@dataclass(frozen=True)
class TransferRow:
    """A transfer: a capture of 100 EUR unless told otherwise."""

    id: UUID
    created_at: datetime
    payment_id: UUID
    kind: str = "capture"
    amount: int = 100
    currency: str = "EUR"

    @property
    def accounts(self) -> tuple[str, str]:
        """Debit, credit."""
        if self.kind == "capture":
            return "processor:simulator", "merchant:pending"
        return "merchant:available", "processor:simulator"


def payment(moment: datetime | None = None, **fields: Any) -> PaymentRow:
    """Make a payment's row."""
    moment = moment or datetime.now(UTC)
    return PaymentRow(id_at(moment), moment, **fields)


def transfer(moment: datetime | None = None, **fields: Any) -> TransferRow:
    """Make a transfer's row."""
    moment = moment or datetime.now(UTC)
    return TransferRow(id_at(moment), moment, **({"payment_id": uuid4()} | fields))


def add_payments(sql: Sql, tenant: Tenant, rows: list[PaymentRow]) -> None:
    """Write payments in one transaction."""
    columns = [
        [getattr(row, name) for row in rows]
        for name in ("id", "status", "customer", "merchant_reference", "metadata", "created_at")
    ]
    sql.rows(_PAYMENTS, tenant.slot, tenant.merchant, tenant.livemode, *columns)


def transfer_statement(tenant: Tenant, rows: list[TransferRow]) -> tuple[Any, ...]:
    """Give the statement that writes transfers, and its parameters."""
    columns = [
        [row.id for row in rows],
        [row.kind for row in rows],
        [row.accounts[0] for row in rows],
        [row.accounts[1] for row in rows],
        [row.amount for row in rows],
        [row.currency for row in rows],
        [row.payment_id for row in rows],
        [row.created_at for row in rows],
    ]
    return (_TRANSFERS, tenant.slot, tenant.merchant, tenant.livemode, *columns)


def add_transfers(sql: Sql, tenant: Tenant, rows: list[TransferRow]) -> None:
    """Write transfers in one transaction."""
    sql.rows(*transfer_statement(tenant, rows))


def tenant_of(merchant: dict[str, str], *, livemode: bool = False) -> Tenant:
    """Say where a merchant's rows are."""
    place = ids.decode("mer", merchant["merchant_id"])
    return Tenant(place.slot, place.uuid, livemode)


def neighbour(tenant: Tenant) -> Tenant:
    """Name another merchant in the same slot."""
    return replace(tenant, merchant=uuid4())
