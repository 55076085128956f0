"""Payments: the story of one charge.

``create`` has three phases, and a crash between any two of them leaves something that can be finished:

1. one statement claims the idempotency key and writes the payment as ``processing``, the operation and the event;
2. the processor is asked, with no transaction open and no connection held;
3. one statement, guarded by the payment's owner and version, writes the outcome, the ledger transfer, the event and the answer.

Where the outcome is unknown the payment stays ``processing`` and its lease ends. Whoever comes next takes over by asking the processor
what became of the operation; nobody ever charges a second time.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import orjson

from guilder import db, events, ids, ledger
from guilder.config import Budgets
from guilder.errors import IdempotencyKeyInFlight, IdempotencyKeyReused, MerchantReferenceTaken, NotFound
from guilder.idempotency import KEY_LIFE, Answer, Claim, Desk, Request, Standing, read_claim
from guilder.keys import Caller
from guilder.money import Money
from guilder.operations import Address, Kind, Operation, Result, write_key
from guilder.processors import Approved, Authorization, Declined, Outcome, Pending, Processor, RequiresAction, Unknown
from guilder.processors import NotFound as NotSeen
from guilder.states import Status, advance

PREFIX = "pay"
CREATED = 201
STILL_PROCESSING = 202

_SQL = db.load_queries(__file__)
_PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8, 0.8)
"""Between two questions to PostgreSQL while another caller is at work and the cache is away; with the cache, the wait is there."""
_RETRY_AFTER_S = 1


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


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a payment failed: Guilder's stable code, a sentence, and the processor's own code."""

    code: str
    message: str
    processor_code: str | None


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment at one version. Amounts in minor units."""

    slot: int
    livemode: bool
    id: UUID
    status: Status
    version: int
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
    processor: str
    processor_reference: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def public_id(self) -> str:
        """The id as the API shows it."""
        return ids.encode(PREFIX, self.slot, self.id)

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
                "processor": self.processor,
                "livemode": self.livemode,
                "version": self.version,
                "created_at": self.created_at,
                "updated_at": self.updated_at,
            },
            option=orjson.OPT_UTC_Z,
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """What a write answers: kept and replayed with the same status and bytes, except for 202, which is never kept."""

    answer: Answer
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """What one request works with; ``runtime`` puts it together."""

    caller: Caller
    database: db.CellDatabase
    desk: Desk
    processors: Mapping[str, Processor]
    clock: Callable[[], datetime]
    new_id: Callable[[], UUID]
    budgets: Budgets


async def get(context: Context, payment_id: str) -> Payment:
    """Read one payment.

    Raises:
        NotFound: not an id, or not a payment of this merchant in this mode.
    """
    caller = context.caller
    try:
        wanted = ids.decode(PREFIX, payment_id)
    except ids.InvalidId:
        raise NotFound("There is no such payment.") from None
    row = None
    if wanted.slot == caller.slot:
        row = await context.database.writer.fetchrow(
            _SQL["get"], caller.slot, caller.merchant, caller.livemode, wanted.uuid
        )
    if row is None:
        raise NotFound("There is no such payment.")
    return _read(row, caller)


async def create(context: Context, new: NewPayment, request: Request) -> Reply:
    """Create a payment and charge it, once per key.

    Raises:
        IdempotencyKeyReused: the key belongs to another request.
        IdempotencyKeyInFlight: the first request is still at work after the wait.
        MerchantReferenceTaken: another payment has the reference.
        Unavailable: the database did not answer; a retry with the same key is safe.
    """
    found = await context.desk.claim(request)
    standing, answer = found or (Standing.FRESH, None)
    if standing is Standing.MISMATCH:
        raise IdempotencyKeyReused
    if answer is not None:
        return Reply(answer, replayed=True)
    try:
        return await _create(context, new, request, in_flight=standing is Standing.IN_FLIGHT)
    except Exception:
        await context.desk.give_up(request)
        raise


async def _create(context: Context, new: NewPayment, request: Request, *, in_flight: bool) -> Reply:
    payment, operation = _begin(context, new)
    claim = await _claim(context, payment, operation, request, in_flight=in_flight)
    if claim.standing is Standing.MISMATCH:
        raise IdempotencyKeyReused
    if claim.answer is not None:
        await context.desk.store(request, claim.answer)
        return Reply(claim.answer, replayed=True)
    if claim.standing is Standing.TAKE_OVER:
        return await _take_over(context, claim, request)
    outcome = await _authorize(context, payment, operation)
    return await _conclude(context, payment, operation, request, outcome, claim.expires_at)


def _begin(context: Context, new: NewPayment) -> tuple[Payment, Operation]:
    """Phase 0: the payment and the operation as they will be written."""
    caller, now = context.caller, context.clock()
    payment = Payment(
        slot=caller.slot,
        livemode=caller.livemode,
        id=context.new_id(),
        status=Status.PROCESSING,
        version=1,
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
        processor=caller.processor,
        processor_reference=None,
        created_at=now,
        updated_at=now,
    )
    return payment, Operation(context.new_id(), Kind.AUTHORIZE, now)


async def _claim(
    context: Context, payment: Payment, operation: Operation, request: Request, *, in_flight: bool
) -> Claim:
    """Phase 1, and the wait for another caller who holds the key: in the cache, then PostgreSQL once more."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + context.budgets.wait_for_first
    for pause in _PAUSES_S:
        if in_flight:
            answer = await context.desk.wait_for_first(request, deadline - loop.time())
            if answer is not None:
                return Claim(Standing.REPLAY, payment.id, operation.id, answer, answer.expires_at)
        claim = await _claim_once(context, payment, operation, request)
        if claim.standing is not Standing.IN_FLIGHT:
            return claim
        in_flight = True
        if loop.time() >= deadline:
            break
        await asyncio.sleep(min(pause, max(deadline - loop.time(), 0)))
    raise IdempotencyKeyInFlight(_RETRY_AFTER_S)


async def _claim_once(context: Context, payment: Payment, operation: Operation, request: Request) -> Claim:
    caller = context.caller
    try:
        row = await context.database.writer.fetchrow(
            _SQL["create"],
            caller.slot, caller.merchant, caller.livemode, request.key, request.fingerprint, payment.id, operation.id, request.owner,
            context.budgets.lease, payment.created_at, payment.created_at + KEY_LIFE,
            payment.money.amount, payment.money.currency, payment.capture_method, payment.payment_method,
            payment.customer, payment.merchant_reference, payment.description, orjson.dumps(payment.metadata).decode(), payment.processor,
            context.new_id(), events.CREATED, payment.snapshot().decode(),
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        if (
            error.constraint_name == "payments_pkey"
        ):  # the connection was lost after our own claim had been committed, and sent again
            return Claim(Standing.FRESH, payment.id, operation.id, None, payment.created_at + KEY_LIFE)
        raise MerchantReferenceTaken from error
    assert row is not None  # noqa: S101 (the statement returns the row that it inserted or updated)
    return read_claim(row, payment.id, request)


async def _authorize(context: Context, payment: Payment, operation: Operation) -> Outcome:
    """Phase 2."""
    authorization = Authorization(
        operation=_key(context, operation),
        reference=payment.public_id,
        money=payment.money,
        payment_method=payment.payment_method,
        capture=payment.capture_method == "automatic",
    )
    return await context.processors[payment.processor].authorize(authorization)


def _key(context: Context, operation: Operation) -> str:
    return write_key(Address(context.caller.slot, context.caller.merchant, context.caller.livemode, operation.id))


async def _take_over(context: Context, claim: Claim, request: Request) -> Reply:
    """Go on where another owner stopped: ask the processor, charge nothing."""
    caller = context.caller
    row = await context.database.writer.fetchrow(
        _SQL["take_over"], caller.slot, caller.merchant, caller.livemode, claim.object_id, request.owner, claim.operation_id,
        context.budgets.lease,
    )  # fmt: skip
    if row is None:
        return await _answer_of_another(context, request)
    payment = _read(row, caller)
    operation = Operation(row["operation_id"], Kind(row["operation_kind"]), row["operation_created_at"])
    outcome = await context.processors[payment.processor].lookup(_key(context, operation))
    return await _conclude(
        context, payment, operation, request, _finally(context, operation, outcome), claim.expires_at
    )


def _finally(context: Context, operation: Operation, outcome: Outcome | NotSeen) -> Outcome:
    """An operation that the processor has not seen is over only once it can no longer be on its way."""
    if not isinstance(outcome, NotSeen):
        return outcome
    if context.clock() - operation.created_at < timedelta(seconds=context.budgets.not_found_final):
        return Unknown("not seen yet")
    return Declined(
        "not_processed", "The processor never received the charge. Nothing was charged.", Result.NOT_PROCESSED
    )


async def _conclude(
    context: Context, payment: Payment, operation: Operation, request: Request, outcome: Outcome, expires_at: datetime
) -> Reply:
    """Phase 3: write the outcome down, or leave the payment for whoever comes next."""
    caller = context.caller
    if isinstance(outcome, (Unknown, Pending)):
        await context.database.writer.fetch(
            _SQL["end_lease"], caller.slot, caller.merchant, caller.livemode, request.key, operation.id, request.owner
        )
        await context.desk.give_up(request)
        return Reply(Answer(STILL_PROCESSING, payment.snapshot(), expires_at))
    settled = apply(payment, outcome, context.clock())
    answer = Answer(CREATED, settled.snapshot(), expires_at)
    if not await _settle(context, payment, settled, operation, request, outcome, answer):
        return await _answer_of_another(context, request)
    await context.desk.store(request, answer)
    return Reply(answer)


def apply(payment: Payment, outcome: Approved | Declined | RequiresAction, now: datetime) -> Payment:
    """Work out what the payment becomes. Pure: nothing after this point can be illegal."""
    changed = replace(
        payment,
        version=payment.version + 1,
        updated_at=max(now, payment.created_at),
        processor_reference=outcome.reference,
    )
    match outcome:
        case Approved() if payment.capture_method == "automatic":
            return replace(
                changed, status=advance(payment.status, Status.SUCCEEDED), amount_captured=payment.money.amount
            )
        case Approved():
            return replace(
                changed, status=advance(payment.status, Status.REQUIRES_CAPTURE), amount_capturable=payment.money.amount
            )
        case RequiresAction():
            return replace(changed, status=advance(payment.status, Status.REQUIRES_ACTION), next_action_url=outcome.url)
        case Declined():
            failure = Failure(outcome.code, outcome.message, outcome.processor_code)
            return replace(changed, status=advance(payment.status, Status.FAILED), failure=failure)


async def _settle(
    context: Context,
    before: Payment,
    after: Payment,
    operation: Operation,
    request: Request,
    outcome: Outcome,
    answer: Answer,
) -> bool:
    caller, failure = context.caller, after.failure
    captured = after.amount_captured - before.amount_captured
    transfer = ledger.capture(context.new_id(), after.processor, captured, after.updated_at) if captured else None
    row = await context.database.writer.fetchrow(
        _SQL["settle"],
        caller.slot, caller.merchant, caller.livemode, before.id, before.version, request.owner,
        after.status, after.updated_at, after.amount_capturable, after.amount_captured,
        failure and failure.code, failure and failure.message, failure and failure.processor_code,
        after.next_action_url, after.processor_reference,
        operation.id, _result(outcome),
        transfer and transfer.id, transfer and transfer.kind, transfer and transfer.debit_account, transfer and transfer.credit_account,
        transfer and transfer.amount, after.money.currency, transfer and transfer.available_on,
        context.new_id(), events.of_status(after.status), answer.body.decode(),
        request.key, answer.status, answer.body,
    )  # fmt: skip
    return row is not None and row["settled"] == 1


def _result(outcome: Outcome) -> Result:
    match outcome:
        case Approved():
            return Result.APPROVED
        case RequiresAction():
            return Result.REQUIRES_ACTION
        case Declined(code=Result.NOT_PROCESSED):
            return Result.NOT_PROCESSED
        case _:
            return Result.DECLINED


async def _answer_of_another(context: Context, request: Request) -> Reply:
    """Somebody else settled the payment: theirs is the answer."""
    caller = context.caller
    row = await context.database.writer.fetchrow(
        _SQL["stored_answer"], caller.slot, caller.merchant, caller.livemode, request.key
    )
    if row is None:
        raise IdempotencyKeyInFlight(_RETRY_AFTER_S)
    answer = Answer(row["response_status"], row["response_body"], row["expires_at"])
    await context.desk.store(request, answer)
    return Reply(answer, replayed=True)


def _read(row: db.Row, caller: Caller) -> Payment:
    code = row["failure_code"]
    return Payment(
        slot=caller.slot,
        livemode=caller.livemode,
        id=row["id"],
        status=Status(row["status"]),
        version=row["version"],
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
        processor=row["processor"],
        processor_reference=row["processor_reference"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
