"""Phase 3 of an operation that changes a payment: what captures, cancellations and refunds have in common.

The transaction's order is always the same: operation, payment, refund, then the rows that are only inserted, then the key. Two of them can
wait for each other, and never in a circle.
"""

from dataclasses import dataclass
from datetime import datetime

import orjson

from guilder import db, ids, operations, payments
from guilder.errors import ProcessorDeclined, problem
from guilder.ids import Tenant
from guilder.ledger import Transfer
from guilder.operations import Operation
from guilder.payments import Payment
from guilder.phases import Context, Decided, Settled
from guilder.processors import Declined


@dataclass(frozen=True, slots=True)
class Record:
    """What hangs off a settled change: the answer, and where something changed, the payment's event and a transfer."""

    at: datetime
    settled: Settled
    event: str | None = None
    payment: Payment | None = None
    transfer: Transfer | None = None


async def close(
    transaction: db.Transaction, tenant: Tenant, operation: Operation, outcome: Decided, now: datetime
) -> bool:
    """Close the operation, which is the fence: whoever does it settles; the answer says whether it was us."""
    code = outcome.processor_code if isinstance(outcome, Declined) else None
    row = await transaction.fetchrow(
        operations.SQL["close"], tenant.slot, tenant.merchant, tenant.livemode, operation.id, operation.owner,
        payments.result_of(outcome), outcome.reference, code, now,
    )  # fmt: skip
    return row is not None


async def record(context: Context, transaction: db.Transaction, operation: Operation, entry: Record) -> None:
    """Write what hangs off a settled change, in its transaction."""
    tenant, transfer, payment = context.tenant, entry.transfer, entry.payment
    await transaction.fetchrow(
        payments.SQL["record"],
        tenant.slot, tenant.merchant, tenant.livemode, operation.payment_id, operation.id,
        context.new_id() if entry.event else None, entry.at, entry.event, payment and payment.version,
        payment and payment.snapshot().decode(),
        transfer and transfer.id, transfer and transfer.kind, transfer and transfer.debit_account, transfer and transfer.credit_account,
        transfer and transfer.amount, payment and payment.money.currency, transfer and transfer.available_on,
        operation.idempotency_key, entry.settled.status, entry.settled.body,
    )  # fmt: skip


def declined(context: Context, operation: Operation, outcome: Decided) -> Settled:
    """Make the answer where the processor would not: a problem, kept and replayed as any final answer.

    ``request_id`` names the operation, since the answer may be replayed to many requests.
    """
    failure = None
    if isinstance(outcome, Declined):
        failure = {"code": outcome.code, "message": outcome.message, "processor_code": outcome.processor_code}
    error = ProcessorDeclined(f"The processor refused the {operation.kind}. Nothing was changed.", failure=failure)
    body = orjson.dumps(problem(error, ids.encode("op", context.tenant.slot, operation.id)))
    return Settled(int(error.status), body)
