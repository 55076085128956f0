"""Reversals: a charge that succeeded after its payment had been recorded as failed is given back, and the payment flagged.

The merchant and the payer were told that it failed, so the money must not stay. This is the one operation that is sent again when its
outcome is unknown: under the same key the processor does it once, and it only ever gives money back.
"""

from guilder import db, events, operations, payments
from guilder.log import logger
from guilder.operations import Kind, Operation
from guilder.payments import Payment
from guilder.phases import Context, Decided, Settled, key_of
from guilder.processors import Approved, Change, Declined, NotFound, Outcome, Pending, Unknown
from guilder.settlement import Record, close, record


async def begin(context: Context, payment: Payment, charge: str) -> bool:
    """Flag the payment and give the charge back. False: somebody else had flagged it."""
    operation = Operation(
        id=context.new_id(),
        kind=Kind.REVERSE,
        payment_id=payment.id,
        amount=payment.money.amount,
        processor=payment.processor,
        owner=context.new_id(),
        created_at=context.clock(),
        charge_reference=charge,
    )
    if not await _flag(context, operation):
        return False
    logger.warning("late success reversed", extra={"payment": payment.public_id})
    await carry_on(context, operation)
    return True


async def _flag(context: Context, operation: Operation) -> bool:
    tenant = context.tenant
    async with context.database.writer.transaction() as transaction:
        row = await transaction.fetchrow(
            payments.SQL["flag_late_success"],
            tenant.slot, tenant.merchant, tenant.livemode, operation.payment_id, operation.id, operation.charge_reference, operation.owner,
            context.budgets.lease, operation.created_at,
        )  # fmt: skip
        if row is None:
            return False
        flagged = payments.read(row, tenant)
        entry = Record(flagged.updated_at, Settled(200, flagged.snapshot()), events.LATE_SUCCESS, flagged)
        await record(context, transaction, operation, entry)
    return True


async def carry_on(context: Context, operation: Operation) -> Outcome:
    """Give the charge back: an authorization is canceled, a capture refunded. The caller owns the operation.

    The processor is asked first what became of an earlier attempt: sent again, it would repeat its first answer, which may be `pending`.
    """
    payment = await payments.load(context, operation.payment_id)
    processor = context.processors[operation.processor]
    change = Change(key_of(context, operation), operation.charge_reference or "", operation.amount)
    outcome = await processor.lookup(change.operation) if operation.attempt > 1 else NotFound()
    if isinstance(outcome, NotFound):
        give_back = processor.refund if payment.capture_method == "automatic" else processor.cancel
        outcome = await give_back(change)
    if isinstance(outcome, (Unknown, Pending)):
        await operations.leave_open(context.database, context.tenant, operation)
    else:
        await _settle(context, operation, outcome)
    return outcome


async def _settle(context: Context, operation: Operation, outcome: Decided) -> None:
    if isinstance(outcome, Declined):
        logger.error(
            "reversal refused by the processor",
            extra={"operation": key_of(context, operation), "code": outcome.processor_code},
        )
    assert isinstance(outcome, (Approved, Declined))  # noqa: S101 (nothing else can come of giving money back)
    transaction: db.Transaction
    async with context.database.writer.transaction() as transaction:
        await close(transaction, context.tenant, operation, outcome, context.clock())
