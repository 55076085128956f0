"""Payments: what one is, and how it is created, confirmed and charged.

``create`` goes through the three phases of ``phases``: one statement writes the payment as ``processing``, the processor is asked, one
statement writes the outcome. ``captures`` and ``refunds`` tell what can happen to it afterwards.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import orjson

from guilder import db, events, idempotency, ids, ledger, operations
from guilder.errors import MerchantReferenceTaken, NotFound, StateConflict
from guilder.idempotency import Answer, Request
from guilder.ids import Tenant
from guilder.money import Money
from guilder.operations import Kind, Operation, Result
from guilder.phases import (
    CREATED,
    OK,
    Context,
    Decided,
    Refused,
    Reply,
    Settled,
    Step,
    carry_out,
    claim_parameters,
)
from guilder.processors import Approved, Authorization, Declined, Outcome, Pending, Processor, RequiresAction
from guilder.states import Status, advance

PREFIX = "pay"
AUTHORIZATION_LIFE = timedelta(days=7)
"""How long an authorization can be captured: what most schemes allow. Afterwards a worker cancels it and says so."""

ASK_ABOUT_ACTION_S = 60.0
"""How often the reconciler asks whether the payer has acted, in case the notification was lost; later, after a tenth of the time that the
payer has had, up to ``ASK_ABOUT_ACTION_MOST_S``: most who leave never come back, and must not fill the reconciler's list for ever."""
ASK_ABOUT_ACTION_MOST_S = 6 * 3600.0

COLUMNS = """id, status, version, owner, amount, currency, capture_method, amount_capturable, amount_captured, amount_refunded,
    payment_method, customer, merchant_reference, description, metadata, failure_code, failure_message, failure_processor_code,
    next_action_url, cancellation_reason, review, authorization_expires_at, processor, processor_reference, created_at, updated_at"""
"""What ``read`` needs of a row."""

SQL = db.load_queries(__file__, claim=idempotency.SQL["claim"], columns=COLUMNS, operation_columns=operations.COLUMNS)


@dataclass(frozen=True, slots=True)
class NewPayment:
    """What a caller asks for; already validated."""

    money: Money
    payment_method: str
    capture_method: str = "automatic"
    customer: str | None = None
    merchant_reference: str | None = None
    description: str | None = None
    metadata: Mapping[str, str] | None = None
    confirm: bool = True


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a payment failed: Guilder's stable code, a sentence, and the processor's own code."""

    code: str
    message: str
    processor_code: str | None


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment at one version. Amounts in minor units."""

    tenant: Tenant
    id: UUID
    status: Status
    version: int
    owner: UUID
    money: Money
    capture_method: str
    amount_capturable: int
    amount_captured: int
    amount_refunded: int
    payment_method: str
    customer: str | None
    merchant_reference: str | None
    description: str | None
    metadata: Mapping[str, str]
    failure: Failure | None
    next_action_url: str | None
    cancellation_reason: str | None
    review: str | None
    authorization_expires_at: datetime | None
    processor: str
    processor_reference: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def public_id(self) -> str:
        """The id as the API shows it."""
        return ids.encode(PREFIX, self.tenant.slot, self.id)

    def snapshot(self) -> bytes:
        """Render as the API shows it: the answer, the event's data and the cache hold these bytes."""
        failure = self.failure
        return orjson.dumps(
            {
                "id": self.public_id,
                "object": "payment",
                "amount": self.money.amount,
                "currency": self.money.currency,
                "status": self.status,
                "capture_method": self.capture_method,
                "amount_capturable": self.amount_capturable,
                "amount_captured": self.amount_captured,
                "amount_refunded": self.amount_refunded,
                "payment_method": self.payment_method,
                "customer": self.customer,
                "merchant_reference": self.merchant_reference,
                "description": self.description,
                "metadata": self.metadata,
                "failure": failure
                and {"code": failure.code, "message": failure.message, "processor_code": failure.processor_code},
                "next_action": self.next_action_url and {"type": "redirect", "redirect_url": self.next_action_url},
                "cancellation_reason": self.cancellation_reason,
                "authorization_expires_at": self.authorization_expires_at,
                "review": self.review,
                "processor": self.processor,
                "livemode": self.tenant.livemode,
                "version": self.version,
                "created_at": self.created_at,
                "updated_at": self.updated_at,
            },
            option=orjson.OPT_UTC_Z,
        )


async def get(context: Context, payment_id: str) -> Payment:
    """Read one payment.

    Raises:
        NotFound: not an id, or not a payment of this merchant in this mode.
    """
    try:
        wanted = ids.decode(PREFIX, payment_id)
    except ids.InvalidId:
        raise NotFound("There is no such payment.") from None
    if wanted.slot != context.tenant.slot:
        raise NotFound("There is no such payment.")
    return await load(context, wanted.uuid)


async def load(context: Context, payment_id: UUID) -> Payment:
    """Read one payment by its key.

    Raises:
        NotFound: no such payment of this merchant in this mode.
    """
    tenant = context.tenant
    row = await context.database.writer.fetchrow(SQL["get"], tenant.slot, tenant.merchant, tenant.livemode, payment_id)
    if row is None:
        raise NotFound("There is no such payment.")
    return read(row, tenant)


async def create(context: Context, new: NewPayment, processor: str, request: Request) -> Reply:
    """Create a payment and, unless ``confirm`` is off, charge it: once per key.

    Raises:
        MerchantReferenceTaken: another payment has the reference.
        IdempotencyKeyReused, IdempotencyKeyInFlight, Unavailable: as ``phases.carry_out`` says.
    """
    payment, operation = _begin(context, new, processor, request)
    answer = None if new.confirm else Answer(CREATED, payment.snapshot(), operation.created_at + idempotency.KEY_LIFE)

    async def begin() -> db.Row | None:
        return await context.database.writer.fetchrow(
            SQL["create"],
            *claim_parameters(context, request, payment.id, operation, answer),
            payment.money.amount, payment.money.currency, payment.capture_method, payment.payment_method,
            payment.customer, payment.merchant_reference, payment.description, orjson.dumps(payment.metadata).decode(), payment.processor,
            context.new_id(), events.CREATED, payment.snapshot().decode(), CREATED, payment.status,
        )  # fmt: skip

    try:
        return await carry_out(context, request, _step(context, payment, operation, begin))
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name == "payments_by_merchant_reference":
            raise MerchantReferenceTaken from error
        raise


async def confirm(context: Context, payment_id: str, request: Request) -> Reply:
    """Charge a payment that was created without.

    Raises:
        NotFound: no such payment.
        StateConflict: it is not waiting for a confirmation.
        IdempotencyKeyReused, IdempotencyKeyInFlight, Unavailable: as ``phases.carry_out`` says.
    """
    seen = await get(context, payment_id)
    now = context.clock()
    operation = Operation(
        context.new_id(),
        Kind.AUTHORIZE,
        seen.id,
        seen.money.amount,
        seen.processor,
        request.owner,
        now,
        OK,
        request.key,
    )
    payment = replace(
        seen,
        status=Status.PROCESSING,
        version=seen.version + 1,
        owner=request.owner,
        updated_at=max(now, seen.updated_at),
    )

    async def begin() -> db.Row | None:
        return await context.database.writer.fetchrow(
            SQL["confirm"],
            *claim_parameters(context, request, payment.id, operation),
            seen.version, payment.updated_at, context.new_id(), events.PROCESSING, payment.snapshot().decode(), OK,
        )  # fmt: skip

    try:
        return await carry_out(context, request, _step(context, payment, operation, begin))
    except Refused:
        raise StateConflict(
            f"A payment can be confirmed while it is `requires_confirmation`; this one is `{seen.status}`."
        ) from None


def _begin(context: Context, new: NewPayment, processor: str, request: Request) -> tuple[Payment, Operation]:
    """Phase 0: the payment and the operation as they will be written."""
    now = context.clock()
    payment = Payment(
        tenant=context.tenant,
        id=context.new_id(),
        status=Status.PROCESSING if new.confirm else Status.REQUIRES_CONFIRMATION,
        version=1,
        owner=request.owner,
        money=new.money,
        capture_method=new.capture_method,
        amount_capturable=0,
        amount_captured=0,
        amount_refunded=0,
        payment_method=new.payment_method,
        customer=new.customer,
        merchant_reference=new.merchant_reference,
        description=new.description,
        metadata=new.metadata or {},
        failure=None,
        next_action_url=None,
        cancellation_reason=None,
        review=None,
        authorization_expires_at=None,
        processor=processor,
        processor_reference=None,
        created_at=now,
        updated_at=now,
    )
    operation = Operation(
        context.new_id(),
        Kind.AUTHORIZE,
        payment.id,
        new.money.amount,
        processor,
        request.owner,
        now,
        CREATED,
        request.key,
    )
    return payment, operation


def _step(
    context: Context, payment: Payment, operation: Operation, begin: Callable[[], Awaitable[db.Row | None]]
) -> Step:
    async def call(processor: Processor, key: str) -> Outcome:
        authorization = Authorization(
            operation=key,
            reference=payment.public_id,
            money=payment.money,
            payment_method=payment.payment_method,
            capture=payment.capture_method == "automatic",
        )
        return await processor.authorize(authorization)

    async def settle_own(context: Context, operation: Operation, outcome: Decided) -> Settled | None:
        return await _settle(context, payment, operation, outcome)

    async def open_body(payment_id: UUID) -> bytes:
        return (await load(context, payment_id)).snapshot()

    return Step(operation, begin, call, settle_own, settle, open_body)


async def settle(context: Context, operation: Operation, outcome: Decided) -> Settled | None:
    """Phase 3 for whoever took the operation over: the payment is read first."""
    payment = await load(context, operation.payment_id)
    if payment.status not in {Status.PROCESSING, Status.REQUIRES_ACTION}:
        return None
    if payment.status is Status.REQUIRES_ACTION and isinstance(outcome, RequiresAction):
        waited = (context.clock() - operation.created_at).total_seconds()
        pause = min(max(ASK_ABOUT_ACTION_S, waited / 10), ASK_ABOUT_ACTION_MOST_S)
        await operations.leave_open(context.database, context.tenant, operation, pause)
        return None
    if payment.status is Status.REQUIRES_ACTION and await _cancel_under_way(context, payment):
        await operations.leave_open(context.database, context.tenant, operation)
        return None
    return await _settle(context, payment, operation, outcome)


async def _cancel_under_way(context: Context, payment: Payment) -> bool:
    """Tell whether a cancellation is open. It has to be settled first: of a charge that it voided, the processor says that it was approved.

    To be asked after the processor: a cancellation that begins later cannot have changed what the processor said.
    """
    tenant = context.tenant
    row = await context.database.writer.fetchrow(
        SQL["cancel_under_way"], tenant.slot, tenant.merchant, tenant.livemode, payment.id
    )
    return row is not None and bool(row["under_way"])


def apply(payment: Payment, outcome: Decided, now: datetime) -> Payment:
    """Work out what the payment becomes. Pure: nothing after this point can be illegal."""
    changed = replace(
        payment,
        version=payment.version + 1,
        updated_at=max(now, payment.updated_at),
        processor_reference=outcome.reference or payment.processor_reference,
        next_action_url=None,
    )
    match outcome:
        case Approved() if payment.capture_method == "automatic":
            return replace(
                changed, status=advance(payment.status, Status.SUCCEEDED), amount_captured=payment.money.amount
            )
        case Approved():
            return replace(
                changed,
                status=advance(payment.status, Status.REQUIRES_CAPTURE),
                amount_capturable=payment.money.amount,
                authorization_expires_at=changed.updated_at + AUTHORIZATION_LIFE,
            )
        case RequiresAction():
            return replace(changed, status=advance(payment.status, Status.REQUIRES_ACTION), next_action_url=outcome.url)
        case Declined():
            failure = Failure(outcome.code, outcome.message, outcome.processor_code)
            return replace(changed, status=advance(payment.status, Status.FAILED), failure=failure)
        case Pending():
            raise AssertionError("phases leaves a pending authorization open")


async def _settle(context: Context, before: Payment, operation: Operation, outcome: Decided) -> Settled | None:
    """Phase 3: write the outcome down, guarded by the payment's status, version and owner. None: somebody else did."""
    tenant = context.tenant
    after = apply(before, outcome, context.clock())
    failure, body = after.failure, after.snapshot()
    captured = after.amount_captured - before.amount_captured
    transfer = ledger.capture(context.new_id(), after.processor, captured, after.updated_at) if captured else None
    row = await context.database.writer.fetchrow(
        SQL["settle"],
        tenant.slot, tenant.merchant, tenant.livemode, before.id, before.version, before.owner,
        after.status, after.updated_at, after.amount_capturable, after.amount_captured,
        failure and failure.code, failure and failure.message, failure and failure.processor_code,
        after.next_action_url, after.processor_reference,
        operation.id, result_of(outcome),
        transfer and transfer.id, transfer and transfer.kind, transfer and transfer.debit_account, transfer and transfer.credit_account,
        transfer and transfer.amount, after.money.currency, transfer and transfer.available_on,
        context.new_id(), events.of_status(after.status), body.decode(),
        operation.idempotency_key, operation.answer_status, after.authorization_expires_at, before.status, body, ASK_ABOUT_ACTION_S,
    )  # fmt: skip
    return Settled(operation.answer_status, body) if row is not None and row["settled"] == 1 else None


def result_of(outcome: Decided) -> Result | None:
    """Name an outcome as ``operations.outcome`` has it. None: the payer has not acted yet, and the operation stays open."""
    match outcome:
        case RequiresAction():
            return None
        case Declined(code=Result.NOT_PROCESSED):
            return Result.NOT_PROCESSED
        case Declined():
            return Result.DECLINED
        case Approved() | Pending():
            return Result.APPROVED


def read(row: db.Row, tenant: Tenant) -> Payment:
    """Read a row of the blocks in ``payments.sql``."""
    code = row["failure_code"]
    return Payment(
        tenant=tenant,
        id=row["id"],
        status=Status(row["status"]),
        version=row["version"],
        owner=row["owner"],
        money=Money(row["amount"], row["currency"]),
        capture_method=row["capture_method"],
        amount_capturable=row["amount_capturable"],
        amount_captured=row["amount_captured"],
        amount_refunded=row["amount_refunded"],
        payment_method=row["payment_method"],
        customer=row["customer"],
        merchant_reference=row["merchant_reference"],
        description=row["description"],
        metadata=orjson.loads(row["metadata"]),
        failure=Failure(code, row["failure_message"], row["failure_processor_code"]) if code else None,
        next_action_url=row["next_action_url"],
        cancellation_reason=row["cancellation_reason"],
        review=row["review"],
        authorization_expires_at=row["authorization_expires_at"],
        processor=row["processor"],
        processor_reference=row["processor_reference"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
