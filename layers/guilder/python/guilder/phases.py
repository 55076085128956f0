"""The three phases that every operation goes through, and what happens when one of them is cut short.

1. ``begin``: one statement claims the idempotency key and writes down what is about to happen. Committed before anything else.
2. ``call``: the processor is asked, with no transaction open and no connection held.
3. ``settle``: one transaction, guarded by the owner, writes down what came of it, with ledger, events and answer.

Where the outcome is unknown nothing is settled and the lease ends. Whoever comes next (a retry, the reconciler, a notification) takes the
operation over and goes on with ``settle`` after asking the processor what became of it: nobody ever asks for it to be done twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import asyncpg

from guilder import db, metrics, operations
from guilder.config import Budgets
from guilder.errors import IdempotencyKeyInFlight, IdempotencyKeyReused
from guilder.idempotency import KEY_LIFE, SQL, Answer, Claim, Desk, Request, Standing, read_claim
from guilder.ids import Tenant
from guilder.operations import Address, Kind, Operation
from guilder.processors import Approved, Declined, NotFound, Outcome, Pending, Processor, RequiresAction, Unknown

OK = 200
CREATED = 201
STILL_PROCESSING = 202
NOT_PROCESSED = "not_processed"

REFUSED = "GU001"
"""The SQLSTATE of the function ``refuse``: the object was not in the state that phase 1 needs, and nothing was changed."""

_PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8, 0.8)
"""Between two questions to PostgreSQL while another caller is at work and the cache is away; with the cache, the wait is there."""
_RETRY_AFTER_S = 1

type Decided = Approved | Declined | RequiresAction | Pending


class Refused(Exception):  # an answer to the caller's question, which the caller turns into an error of the API
    """Phase 1 found the object in another state. The statement was rolled back, the claim included."""


class Source(StrEnum):
    """Where the standing of a key was found out: a dimension of the metrics."""

    CACHE = "cache"
    DATABASE = "database"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a write answers: kept and replayed with the same status and bytes, except for 202, which is never kept."""

    answer: Answer
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """What one piece of work needs; ``runtime`` puts it together."""

    tenant: Tenant
    database: db.CellDatabase
    desk: Desk
    processors: Mapping[str, Processor]
    clock: Callable[[], datetime]
    new_id: Callable[[], UUID]
    budgets: Budgets


@dataclass(frozen=True, slots=True)
class Settled:
    """The final answer, as phase 3 stored it."""

    status: int
    body: bytes


type Settle = Callable[[Context, Operation, Decided], Awaitable[Settled | None]]
"""Phase 3 of one kind of operation: writes the outcome down and gives the answer. None: somebody else had settled it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operation, told in its phases."""

    operation: Operation
    begin: Callable[[], Awaitable[db.Row | None]]
    call: Callable[[Processor, str], Awaitable[Outcome]]
    settle: Settle
    """Phase 3 for what this very caller began: it may know the object from phase 1."""
    resume: Settle
    """Phase 3 for what somebody else began: it reads the object first."""
    open_body: Callable[[UUID], Awaitable[bytes]]
    """The body of a 202: the object (by its id) as it stands while nobody knows."""


async def carry_out(context: Context, request: Request, step: Step) -> Reply:
    """Do it once per key, whoever asks how often.

    Raises:
        IdempotencyKeyReused: the key belongs to another request.
        IdempotencyKeyInFlight: the first request is still at work after the wait.
        Refused: the object is not in the state that this needs.
        Unavailable: the database did not answer; a retry with the same key is safe.
    """
    found = await context.desk.claim(request)
    standing, answer = found or (Standing.FRESH, None)
    if answer is not None:
        return _replay(answer, Source.CACHE)
    if standing is Standing.MISMATCH:
        _count(Standing.MISMATCH, Source.CACHE)
        raise IdempotencyKeyReused
    try:
        return await _work(context, request, step, in_flight=standing is Standing.IN_FLIGHT)
    except Exception:
        await context.desk.give_up(request)
        raise


async def resume(context: Context, operation: Operation, settle: Settle) -> Outcome:
    """Go on where somebody stopped: ask the processor what became of it, and write that down. The caller owns the operation."""
    found = await context.processors[operation.processor].lookup(key_of(context, operation))
    outcome = _finally(context, operation, found)
    if isinstance(outcome, Unknown):
        await operations.leave_open(context.database, context.tenant, operation)
    else:
        await settle(context, operation, outcome)
    return outcome


def key_of(context: Context, operation: Operation) -> str:
    """Write the operation's key as the processor gets it."""
    return operations.write_key(Address(context.tenant, operation.id))


def claim_parameters(
    context: Context, request: Request, object_id: UUID, operation: Operation, answer: Answer | None = None
) -> tuple[object, ...]:
    """List $1 to $13 of the fragment ``idempotency.claim``. ``answer`` is stored at once where no processor has to be asked."""
    tenant = context.tenant
    return (
        tenant.slot, tenant.merchant, tenant.livemode, request.key, request.fingerprint, object_id, operation.id, operation.owner,
        context.budgets.lease, operation.created_at, operation.created_at + KEY_LIFE,
        None if answer is None else answer.status, None if answer is None else answer.body,
    )  # fmt: skip


async def _work(context: Context, request: Request, step: Step, *, in_flight: bool) -> Reply:
    claim = await _claim(context, request, step, in_flight=in_flight)
    if claim.standing is Standing.MISMATCH:
        raise IdempotencyKeyReused
    if claim.answer is not None:
        await context.desk.store(request, claim.answer)
        return Reply(claim.answer, replayed=claim.standing is not Standing.FRESH)
    if claim.standing is Standing.TAKE_OVER:
        return await _take_over(context, request, step, claim)
    operation = step.operation
    outcome = _decided(operation, await step.call(context.processors[operation.processor], key_of(context, operation)))
    if isinstance(outcome, Unknown):
        await operations.leave_open(context.database, context.tenant, operation)
        return await _open(context, request, step, claim)
    return await _answer(context, request, await step.settle(context, operation, outcome), claim)


async def _claim(context: Context, request: Request, step: Step, *, in_flight: bool) -> Claim:
    """Phase 1, and the wait for another caller who holds the key: in the cache, then PostgreSQL once more."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + context.budgets.wait_for_first
    waited = False
    for pause in _PAUSES_S:
        if in_flight:
            waited = True
            answer = await context.desk.wait_for_first(request, deadline - loop.time())
            if answer is not None:
                _count(Standing.REPLAY, Source.CACHE, CollapsedWait=1)
                return Claim(Standing.REPLAY, step.operation.payment_id, step.operation.id, answer, answer.expires_at)
        claim = await _claim_once(context, request, step)
        if claim.standing is not Standing.IN_FLIGHT:
            _count(
                claim.standing,
                Source.DATABASE,
                **({"CollapsedWait": 1} if waited and claim.standing is Standing.REPLAY else {}),
            )
            return claim
        in_flight = True
        if loop.time() >= deadline:
            break
        await asyncio.sleep(min(pause, max(deadline - loop.time(), 0)))
    _count(Standing.IN_FLIGHT, Source.DATABASE)
    raise IdempotencyKeyInFlight(_RETRY_AFTER_S)


async def _claim_once(context: Context, request: Request, step: Step) -> Claim:
    try:
        row = await step.begin()
    except asyncpg.PostgresError as error:
        refused = error.sqlstate == REFUSED
        if not refused and not isinstance(error, asyncpg.UniqueViolationError):
            raise
        row = await _committed(context, request, step)
        if row is None and refused:
            raise Refused(str(error)) from None
        if row is None:
            raise
    assert row is not None  # noqa: S101 (a claim always returns the row that it inserted or met)
    return read_claim(row, step.operation.id, request)


async def _committed(context: Context, request: Request, step: Step) -> db.Row | None:
    """Find our own claim where phase 1 was refused: the connection was lost after its commit, and the statement, sent again, met itself."""
    tenant = context.tenant
    return await context.database.writer.fetchrow(
        SQL["own_claim"], tenant.slot, tenant.merchant, tenant.livemode, request.key, step.operation.id
    )


async def _take_over(context: Context, request: Request, step: Step, claim: Claim) -> Reply:
    address = Address(context.tenant, claim.operation_id)
    operation = await operations.take_over(context.database, address, request.owner, context.budgets.lease)
    if operation is None:
        return await _answer_of_another(context, request)
    found = await context.processors[operation.processor].lookup(key_of(context, operation))
    outcome = _finally(context, operation, found)
    if isinstance(outcome, Unknown):
        await operations.leave_open(context.database, context.tenant, operation)
        return await _open(context, request, step, claim)
    return await _answer(context, request, await step.resume(context, operation, outcome), claim)


def _finally(context: Context, operation: Operation, outcome: Outcome | NotFound) -> Outcome:
    """An operation that the processor has not seen is over only once it can no longer be on its way."""
    if not isinstance(outcome, NotFound):
        return _decided(operation, outcome)
    if context.clock() - operation.created_at < timedelta(seconds=context.budgets.not_found_final):
        return Unknown("not seen yet")
    return Declined(NOT_PROCESSED, "The processor never received the request. Nothing was done.", NOT_PROCESSED)


def _decided(operation: Operation, outcome: Outcome) -> Outcome:
    """Only a refund can be pending as far as Guilder shows it; anything else that is pending is not known yet."""
    return Unknown("pending") if isinstance(outcome, Pending) and operation.kind is not Kind.REFUND else outcome


async def _open(context: Context, request: Request, step: Step, claim: Claim) -> Reply:
    await context.desk.give_up(request)
    return Reply(Answer(STILL_PROCESSING, await step.open_body(claim.object_id), claim.expires_at))


async def _answer(context: Context, request: Request, settled: Settled | None, claim: Claim) -> Reply:
    if settled is None:
        return await _answer_of_another(context, request)
    answer = Answer(settled.status, settled.body, claim.expires_at)
    await context.desk.store(request, answer)
    return Reply(answer)


async def _answer_of_another(context: Context, request: Request) -> Reply:
    """Somebody else settled it: theirs is the answer."""
    tenant = context.tenant
    row = await context.database.writer.fetchrow(
        SQL["stored_answer"], tenant.slot, tenant.merchant, tenant.livemode, request.key
    )
    if row is None:
        raise IdempotencyKeyInFlight(_RETRY_AFTER_S)
    answer = Answer(row["response_status"], row["response_body"], row["expires_at"])
    await context.desk.store(request, answer)
    return Reply(answer, replayed=True)


def _replay(answer: Answer, source: Source) -> Reply:
    _count(Standing.REPLAY, source)
    return Reply(answer, replayed=True)


def _count(standing: Standing, source: Source, **more: float) -> None:
    metrics.emit({"Standing": standing.value, "Source": source.value}, IdempotencyKeys=1, **more)
