"""Captures and cancellations: what happens to the money that a payment holds authorized.

Both reserve before the processor is asked (``capture_pending``), so that captures done and under way never exceed what is authorized, and
a capture and a cancellation that meet leave one winner. Phase 3 is one transaction: close the operation (which is the fence), move or
release the reservation, record event, transfer and answer.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from guilder import db, events, ledger, operations, payments
from guilder.errors import AmountTooLarge, StateConflict
from guilder.idempotency import KEY_LIFE, Answer, Request
from guilder.ids import Tenant
from guilder.operations import Kind, Operation
from guilder.payments import Payment
from guilder.phases import OK, Context, Decided, Refused, Reply, Settled, Step, carry_out, claim_parameters, key_of
from guilder.processors import Approved, Change, Outcome, Pending, Processor, Unknown
from guilder.settlement import Record, close, declined, record
from guilder.states import Status

_UNCAPTURED = {Status.REQUIRES_CAPTURE, Status.REQUIRES_ACTION}


EXPIRED = "authorization_expired"
"""A cancellation for this reason is done whatever the processor says: there is no authorization any more."""


async def capture(context: Context, payment_id: str, amount: int | None, request: Request) -> Reply:
    """Capture ``amount`` (minor units), or all that is left.

    Raises:
        NotFound: no such payment.
        StateConflict: nothing is authorized.
        AmountTooLarge: less is left, captures under way included.
        IdempotencyKeyReused, IdempotencyKeyInFlight, Unavailable: as ``phases.carry_out`` says.
    """
    seen = await payments.get(context, payment_id)
    wanted = seen.amount_capturable if amount is None else amount
    operation = _operation(context, seen, Kind.CAPTURE, wanted or seen.money.amount, request)

    async def begin() -> db.Row | None:
        return await context.database.writer.fetchrow(
            payments.SQL["begin_capture"], *claim_parameters(context, request, seen.id, operation), operation.amount, OK
        )

    async def call(processor: Processor, key: str) -> Outcome:
        return await processor.capture(Change(key, _charge(seen), operation.amount))

    try:
        return await carry_out(context, request, _step(context, operation, begin, call))
    except Refused:
        now = await payments.load(context, seen.id)
        if now.status is not Status.REQUIRES_CAPTURE:
            raise StateConflict(
                f"A payment can be captured while it is `requires_capture`; this one is `{now.status}`."
            ) from None
        raise AmountTooLarge(
            "More than is left to capture, captures and cancellations under way included.",
            available=now.amount_capturable,
        ) from None


async def cancel(context: Context, payment_id: str, request: Request) -> Reply:
    """Cancel what is not captured: the whole payment, or the rest of a partly captured one.

    Raises:
        NotFound: no such payment.
        StateConflict: there is nothing to cancel, or a capture is under way.
        IdempotencyKeyReused, IdempotencyKeyInFlight, Unavailable: as ``phases.carry_out`` says.
    """
    seen = await payments.get(context, payment_id)
    if seen.status is Status.REQUIRES_CONFIRMATION:
        return await _cancel_unconfirmed(context, seen, request)
    operation = _operation(
        context, seen, Kind.CANCEL, seen.amount_capturable or seen.money.amount, request, reason="requested"
    )

    async def begin() -> db.Row | None:
        return await context.database.writer.fetchrow(
            payments.SQL["begin_cancel"], *claim_parameters(context, request, seen.id, operation), operation.amount, OK
        )

    async def call(processor: Processor, key: str) -> Outcome:
        return await processor.cancel(Change(key, _charge(seen), operation.amount))

    try:
        return await carry_out(context, request, _step(context, operation, begin, call))
    except Refused:
        raise _cannot_cancel(await payments.load(context, seen.id)) from None


async def expire(context: Context, authorization: UUID) -> bool:
    """Cancel what an authorize operation holds authorized, since it ran out. Begun by a worker: no key waits for the answer.

    False: there was nothing to cancel, or a capture is under way.
    """
    tenant, now = context.tenant, context.clock()
    row = await context.database.writer.fetchrow(
        payments.SQL["begin_expiry"], tenant.slot, tenant.merchant, tenant.livemode, authorization, context.new_id(), context.new_id(),
        context.budgets.lease, now,
    )  # fmt: skip
    if row is None:
        return False
    operation = operations.read(row)
    change = Change(key_of(context, operation), operation.charge_reference or "", operation.amount)
    outcome = await context.processors[operation.processor].cancel(change)
    if isinstance(outcome, (Unknown, Pending)):
        await operations.leave_open(context.database, tenant, operation)
    else:
        await settle(context, operation, outcome)
    return True


async def _cancel_unconfirmed(context: Context, seen: Payment, request: Request) -> Reply:
    """No processor knows of it: one statement does it all, and the claim stores the answer."""
    now = max(context.clock(), seen.updated_at)
    operation = _operation(context, seen, Kind.CANCEL, seen.money.amount, request)
    after = replace(
        seen, status=Status.CANCELED, version=seen.version + 1, cancellation_reason="requested", updated_at=now
    )
    answer = Answer(OK, after.snapshot(), operation.created_at + KEY_LIFE)

    async def begin() -> db.Row | None:
        return await context.database.writer.fetchrow(
            payments.SQL["cancel_unconfirmed"], *claim_parameters(context, request, seen.id, operation, answer),
            seen.version, now, context.new_id(), events.of_cancel(after.status), answer.body.decode(),
        )  # fmt: skip

    async def never(_processor: Processor, _key: str) -> Outcome:
        raise AssertionError("the claim stores the answer: no processor is asked")

    try:
        return await carry_out(context, request, _step(context, operation, begin, never))
    except Refused:
        raise _cannot_cancel(await payments.load(context, seen.id)) from None


def _cannot_cancel(payment: Payment) -> StateConflict:
    if payment.status in _UNCAPTURED:
        return StateConflict(
            "A capture or another cancellation of this payment is under way. Read the payment and try again."
        )
    return StateConflict(f"A payment can be canceled before it is captured; this one is `{payment.status}`.")


async def settle(context: Context, operation: Operation, outcome: Decided) -> Settled | None:
    """Phase 3 of a capture or a cancellation. None: somebody else had settled it."""
    tenant, now = context.tenant, context.clock()
    async with context.database.writer.transaction() as transaction:
        if not await close(transaction, tenant, operation, outcome, now):
            return None
        done = isinstance(outcome, Approved) or operation.reason == EXPIRED
        changed = await _move(transaction, tenant, operation, now) if done else None
        if changed is None:  # not done, or (a cancellation) overtaken by the payer
            await _update(transaction, "released", tenant, operation, operation.amount)
            settled = declined(context, operation, outcome)
            await record(context, transaction, operation, Record(now, settled))
        else:
            settled = Settled(operation.answer_status, changed.snapshot())
            await record(context, transaction, operation, _record_of(context, operation, changed, settled))
        return settled


async def _move(transaction: db.Transaction, tenant: Tenant, operation: Operation, now: datetime) -> Payment | None:
    if operation.kind is Kind.CAPTURE:
        return await _update(transaction, "captured", tenant, operation, operation.amount, now)
    return await _update(transaction, "canceled", tenant, operation, operation.reason, now)


async def _update(
    transaction: db.Transaction, block: str, tenant: Tenant, operation: Operation, *values: object
) -> Payment | None:
    row = await transaction.fetchrow(
        payments.SQL[block], tenant.slot, tenant.merchant, tenant.livemode, operation.payment_id, *values
    )
    return None if row is None else payments.read(row, tenant)


def _record_of(context: Context, operation: Operation, payment: Payment, settled: Settled) -> Record:
    if operation.kind is Kind.CAPTURE:
        transfer = ledger.capture(context.new_id(), payment.processor, operation.amount, payment.updated_at)
        return Record(payment.updated_at, settled, events.of_capture(payment.status), payment, transfer)
    return Record(payment.updated_at, settled, events.of_cancel(payment.status), payment)


def _operation(
    context: Context, payment: Payment, kind: Kind, amount: int, request: Request, reason: str | None = None
) -> Operation:
    return Operation(
        id=context.new_id(),
        kind=kind,
        payment_id=payment.id,
        amount=amount,
        processor=payment.processor,
        owner=request.owner,
        created_at=context.clock(),
        answer_status=OK,
        idempotency_key=request.key,
        charge_reference=payment.processor_reference,
        reason=reason,
    )


def _step(
    context: Context,
    operation: Operation,
    begin: Callable[[], Awaitable[db.Row | None]],
    call: Callable[[Processor, str], Awaitable[Outcome]],
) -> Step:
    async def open_body(payment_id: UUID) -> bytes:
        return (await payments.load(context, payment_id)).snapshot()

    return Step(operation, begin, call, settle, settle, open_body)


def _charge(payment: Payment) -> str:
    assert payment.processor_reference is not None  # noqa: S101 (phase 1 let through only a payment that the processor knows)
    return payment.processor_reference
