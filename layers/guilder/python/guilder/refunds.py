"""Refunds: paying back what was captured, in full, in part, in many parts, never more.

Phase 1 reserves the amount on the payment (``refund_pending``) and writes the refund as ``pending``. A processor that takes a refund on and
decides later leaves it so, which is a final answer to the caller: the notification, or the reconciler, settles it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import orjson

from guilder import db, events, idempotency, ids, ledger, payments
from guilder.errors import AmountTooLarge, NotFound, StateConflict
from guilder.idempotency import Request
from guilder.ids import Tenant
from guilder.money import Money
from guilder.operations import CHECK_MOST_S, Kind, Operation
from guilder.payments import Failure, Payment
from guilder.phases import CREATED, Context, Decided, Refused, Reply, Settled, Step, carry_out, claim_parameters
from guilder.processors import Approved, Change, Declined, Outcome, Pending, Processor
from guilder.settlement import Record, close, record

PREFIX = "ref"
COLUMNS = """id, payment_id, status, version, amount, currency, reason, metadata, failure_code, failure_message, failure_processor_code,
    processor, created_at, updated_at"""
"""What ``read`` needs of a row."""

SQL = db.load_queries(__file__, claim=idempotency.SQL["claim"], columns=COLUMNS, payment_columns=payments.COLUMNS)


class Status(StrEnum):
    """Where a refund stands."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class NewRefund:
    """What a caller asks for; already validated. No amount: all that is left."""

    payment: str
    amount: int | None = None
    reason: str | None = None
    metadata: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    """One refund at one version."""

    tenant: Tenant
    id: UUID
    payment_id: UUID
    status: Status
    version: int
    money: Money
    reason: str | None
    metadata: Mapping[str, str]
    failure: Failure | None
    processor: str
    created_at: datetime
    updated_at: datetime

    def snapshot(self) -> bytes:
        """Render as the API shows it."""
        failure = self.failure
        return orjson.dumps(
            {
                "id": ids.encode(PREFIX, self.tenant.slot, self.id),
                "object": "refund",
                "payment": ids.encode(payments.PREFIX, self.tenant.slot, self.payment_id),
                "amount": self.money.amount,
                "currency": self.money.currency,
                "status": self.status,
                "reason": self.reason,
                "metadata": self.metadata,
                "failure": failure
                and {"code": failure.code, "message": failure.message, "processor_code": failure.processor_code},
                "processor": self.processor,
                "livemode": self.tenant.livemode,
                "version": self.version,
                "created_at": self.created_at,
                "updated_at": self.updated_at,
            },
            option=orjson.OPT_UTC_Z,
        )


async def get(context: Context, refund_id: str) -> Refund:
    """Read one refund.

    Raises:
        NotFound: not an id, or not a refund of this merchant in this mode.
    """
    try:
        wanted = ids.decode(PREFIX, refund_id)
    except ids.InvalidId:
        raise NotFound("There is no such refund.") from None
    if wanted.slot != context.tenant.slot:
        raise NotFound("There is no such refund.")
    return await load(context, wanted.uuid)


async def load(context: Context, refund_id: UUID) -> Refund:
    """Read one refund by its key.

    Raises:
        NotFound: no such refund of this merchant in this mode.
    """
    tenant = context.tenant
    row = await context.database.writer.fetchrow(SQL["get"], tenant.slot, tenant.merchant, tenant.livemode, refund_id)
    if row is None:
        raise NotFound("There is no such refund.")
    return read(row, tenant)


async def create(context: Context, new: NewRefund, request: Request) -> Reply:
    """Refund ``amount`` (minor units), or all that is left: once per key.

    Raises:
        NotFound: no such payment.
        StateConflict: nothing was captured, or all of it is refunded.
        AmountTooLarge: less is left, refunds under way included.
        IdempotencyKeyReused, IdempotencyKeyInFlight, Unavailable: as ``phases.carry_out`` says.
    """
    payment = await payments.get(context, new.payment)
    left = payment.amount_captured - payment.amount_refunded
    refund, operation = _begin(
        context, payment, new, (left or payment.money.amount) if new.amount is None else new.amount, request
    )
    try:
        return await carry_out(context, request, _step(context, payment, refund, operation, request))
    except Refused:
        now = await payments.load(context, payment.id)
        left = now.amount_captured - now.amount_refunded
        if left == 0:
            raise StateConflict("Nothing is left to refund: nothing was captured, or all of it was refunded.") from None
        raise AmountTooLarge("More than is left to refund, refunds under way included.", available=left) from None


def _begin(
    context: Context, payment: Payment, new: NewRefund, amount: int, request: Request
) -> tuple[Refund, Operation]:
    now = context.clock()
    refund = Refund(
        tenant=context.tenant,
        id=context.new_id(),
        payment_id=payment.id,
        status=Status.PENDING,
        version=1,
        money=Money(amount, payment.money.currency),
        reason=new.reason,
        metadata=new.metadata or {},
        failure=None,
        processor=payment.processor,
        created_at=now,
        updated_at=now,
    )
    operation = Operation(
        id=context.new_id(),
        kind=Kind.REFUND,
        payment_id=payment.id,
        refund_id=refund.id,
        amount=amount,
        processor=payment.processor,
        owner=request.owner,
        created_at=now,
        answer_status=CREATED,
        idempotency_key=request.key,
        charge_reference=payment.processor_reference,
    )
    return refund, operation


def _step(context: Context, payment: Payment, refund: Refund, operation: Operation, request: Request) -> Step:
    async def begin() -> db.Row | None:
        return await context.database.writer.fetchrow(
            SQL["begin"],
            *claim_parameters(context, request, refund.id, operation),
            payment.id, refund.money.amount, refund.reason, orjson.dumps(refund.metadata).decode(), CREATED,
            context.new_id(), events.REFUND_CREATED, refund.snapshot().decode(),
        )  # fmt: skip

    async def call(processor: Processor, key: str) -> Outcome:
        assert payment.processor_reference is not None  # noqa: S101 (what was captured is known to the processor)
        return await processor.refund(Change(key, payment.processor_reference, refund.money.amount))

    async def open_body(refund_id: UUID) -> bytes:
        return (await load(context, refund_id)).snapshot()

    return Step(operation, begin, call, settle, settle, open_body)


async def settle(context: Context, operation: Operation, outcome: Decided) -> Settled | None:
    """Phase 3. None: somebody else had settled it."""
    if isinstance(outcome, Pending):
        return await _leave_pending(context, operation, outcome)
    tenant, now = context.tenant, context.clock()
    async with context.database.writer.transaction() as transaction:
        if not await close(transaction, tenant, operation, outcome, now):
            return None
        payment = await _move(transaction, tenant, operation, now, paid_back=isinstance(outcome, Approved))
        refund = await _finish(transaction, context, operation, outcome, now)
        settled = Settled(operation.answer_status, refund.snapshot())
        if payment is None:
            await record(context, transaction, operation, Record(now, settled))
        else:
            transfer = ledger.refund(context.new_id(), payment.processor, operation.amount, payment.updated_at)
            await record(
                context, transaction, operation, Record(payment.updated_at, settled, events.REFUNDED, payment, transfer)
            )
    return settled


async def _leave_pending(context: Context, operation: Operation, outcome: Pending) -> Settled | None:
    """The caller has its answer; the operation stays open until the processor has decided."""
    assert operation.refund_id is not None  # noqa: S101 (only a refund can be pending)
    tenant = context.tenant
    body = (await load(context, operation.refund_id)).snapshot()
    settled = Settled(operation.answer_status, body)
    row = await context.database.writer.fetchrow(
        SQL["pending"],
        tenant.slot, tenant.merchant, tenant.livemode, operation.id, operation.owner, operation.idempotency_key, CHECK_MOST_S,
        outcome.reference, settled.status, settled.body,
    )  # fmt: skip
    return None if row is None else settled


async def _move(
    transaction: db.Transaction, tenant: Tenant, operation: Operation, now: datetime, *, paid_back: bool
) -> Payment | None:
    """Turn the reservation into a refund, or give it back; then nothing that the API shows of the payment has changed."""
    place = (tenant.slot, tenant.merchant, tenant.livemode, operation.payment_id, operation.amount)
    if not paid_back:
        await transaction.fetchrow(SQL["released"], *place)
        return None
    row = await transaction.fetchrow(SQL["refunded"], *place, now)
    assert row is not None  # noqa: S101 (phase 1 reserved the amount, and only the operation's closer moves it)
    return payments.read(row, tenant)


async def _finish(
    transaction: db.Transaction, context: Context, operation: Operation, outcome: Decided, now: datetime
) -> Refund:
    tenant = context.tenant
    failure = outcome if isinstance(outcome, Declined) else None
    status = Status.FAILED if failure else Status.SUCCEEDED
    row = await transaction.fetchrow(
        SQL["finished"],
        tenant.slot, tenant.merchant, tenant.livemode, operation.refund_id, status, outcome.reference,
        failure and failure.code, failure and failure.message, failure and failure.processor_code, now,
    )  # fmt: skip
    assert row is not None  # noqa: S101 (a refund is pending for as long as its operation is open)
    refund = read(row, tenant)
    await transaction.fetchrow(
        SQL["finished_event"], tenant.slot, tenant.merchant, tenant.livemode, refund.id, context.new_id(), refund.updated_at,
        events.REFUND_FAILED if failure else events.REFUND_SUCCEEDED, refund.version, refund.snapshot().decode(),
    )  # fmt: skip
    return refund


def read(row: db.Row, tenant: Tenant) -> Refund:
    """Read a row of the blocks in ``refunds.sql``."""
    code = row["failure_code"]
    return Refund(
        tenant=tenant,
        id=row["id"],
        payment_id=row["payment_id"],
        status=Status(row["status"]),
        version=row["version"],
        money=Money(row["amount"], row["currency"]),
        reason=row["reason"],
        metadata=orjson.loads(row["metadata"]),
        failure=Failure(code, row["failure_message"], row["failure_processor_code"]) if code else None,
        processor=row["processor"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
