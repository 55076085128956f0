"""The reconciler: finishes what nobody is working on any more, by asking the processor. It never starts a charge.

Three lists, each an index away: operations without an outcome whose lease ran out, notifications that were stored and not acted on,
authorizations that ran out. It goes on with the very code that a request runs, so that a crash of a request and its retry, the reconciler
and a notification all end the same way. Two reconcilers at once do no harm: every step is taken by whoever owns the operation. It also
forgets idempotency keys whose seven days are over.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from guilder import captures, db, metrics, operations, payments, refunds, reversals
from guilder.errors import GuilderError
from guilder.ids import Tenant
from guilder.log import logger
from guilder.operations import Address, Kind, Operation
from guilder.phases import Context, Settle, resume
from guilder.processors import Approved, Declined, Outcome, Unknown
from guilder.states import Status

BATCH = 50
KEYS_AT_ONCE = 500
"""Expired idempotency keys that one look deletes at most: milliseconds, and no lock that anybody notices."""
AT_ONCE = BATCH
"""All of a batch wait for the processor at the same time: against one that is silent, a look takes one of its time-outs and not many."""
PAUSES_S = (0.25, 0.5, 1.0, 2.0)
"""Between two looks that found nothing, and longer each time; a look is four index scans."""

SQL = db.load_queries(__file__)

_SETTLE: dict[Kind, Settle] = {
    Kind.AUTHORIZE: payments.settle,
    Kind.CAPTURE: captures.settle,
    Kind.CANCEL: captures.settle,
    Kind.REFUND: refunds.settle,
}

type ContextOf = Callable[[Tenant], Awaitable[Context]]
type Work = Callable[[Context, db.Row, "Report"], Awaitable[None]]


@dataclass(slots=True)
class Report:
    """What a run did."""

    operations_settled: int = 0
    operations_left_open: int = 0
    notifications_processed: int = 0
    authorizations_expired: int = 0
    keys_forgotten: int = 0
    failures: int = 0

    @property
    def done(self) -> int:
        """How much was moved forward."""
        return (
            self.operations_settled + self.notifications_processed + self.authorizations_expired + self.keys_forgotten
        )


async def run(
    cells: Sequence[db.CellDatabase], context_of: ContextOf, clock: Callable[[], datetime], seconds: float
) -> Report:
    """Work until the time is up: at once on what is there, then by looking again and again.

    A piece of work is begun only while there is time to finish it; ``seconds`` leaves out what the last one may take.
    """
    report, idle, end = Report(), 0, time.monotonic() + seconds
    while True:
        before = report.done
        for cell in cells:
            try:
                await sweep(cell, context_of, clock, report)
            except GuilderError as error:  # the other cells go on
                report.failures += 1
                logger.warning("cell not reconciled this time", extra={"cell": cell.name, "reason": error.slug})
        idle = 0 if report.done > before else idle + 1
        pause = PAUSES_S[min(idle, len(PAUSES_S) - 1)]
        if time.monotonic() + pause >= end:
            break
        await asyncio.sleep(pause)
    metrics.emit({"Function": "reconciler"}, OperationsSettled=report.operations_settled, OperationsInDoubt=report.operations_left_open,
                 NotificationsProcessed=report.notifications_processed, AuthorizationsExpired=report.authorizations_expired,
                 KeysForgotten=report.keys_forgotten)  # fmt: skip
    return report


async def sweep(cell: db.CellDatabase, context_of: ContextOf, clock: Callable[[], datetime], report: Report) -> None:
    """Take one look at each list of one cell."""
    due = await cell.writer.fetch(operations.SQL["due"], BATCH)
    expiring = await cell.writer.fetch(payments.SQL["expiring"], BATCH, clock())
    told = await cell.writer.fetch(SQL["claim_notifications"], BATCH)
    forgotten = await cell.writer.fetchrow(SQL["forget_keys"], KEYS_AT_ONCE, clock())
    report.keys_forgotten += forgotten["forgotten"] if forgotten else 0
    at_once = asyncio.Semaphore(AT_ONCE)

    async def guarded(work: Work, row: db.Row) -> None:
        tenant = Tenant(row["slot"], row["merchant_id"], row["livemode"])
        async with at_once:
            try:
                await work(await context_of(tenant), row, report)
            except GuilderError as error:
                report.failures += 1
                logger.warning("not reconciled this time", extra={"reason": error.slug})
            except Exception as error:  # noqa: BLE001 (one that nobody can work on must not stop all the others, for ever)
                report.failures += 1
                logger.error("cannot be reconciled", extra={"reason": type(error).__name__})

    await asyncio.gather(
        *(guarded(_operation, row) for row in due),
        *(guarded(_expire, row) for row in expiring),
        *(guarded(_notification, row) for row in told),
    )


async def _operation(context: Context, row: db.Row, report: Report) -> None:
    outcome = await _take_over(context, Address(context.tenant, row["id"]))
    if isinstance(outcome, Unknown):
        report.operations_left_open += 1
    elif outcome is not None:
        report.operations_settled += 1


async def _take_over(context: Context, address: Address) -> Outcome | None:
    """Go on with an open operation. None: it is not ours to go on with."""
    operation = await operations.take_over(context.database, address, context.new_id(), context.budgets.lease)
    if operation is None:
        return None
    if operation.kind is Kind.REVERSE:
        return await reversals.carry_on(context, operation)
    return await resume(context, operation, _SETTLE[operation.kind])


async def _expire(context: Context, row: db.Row, report: Report) -> None:
    if await captures.expire(context, row["id"]):
        report.authorizations_expired += 1


async def _notification(context: Context, row: db.Row, report: Report) -> None:
    """Act on a notification: a hint to ask, never a fact, so that its order and its repetitions do not matter."""
    address = Address(context.tenant, row["operation_id"])
    found = await operations.get(context.database, address)
    if found is None:
        result = "unknown operation"
    elif found[1]:
        outcome = await _take_over(context, address)
        if outcome is None or isinstance(outcome, Unknown):
            return  # somebody is at it, or the processor does not answer: it comes again
        result = type(outcome).__name__
    else:
        told = await _after_the_end(context, found[0])
        if told is None:
            return
        result = told
    tenant = context.tenant
    await context.database.writer.fetch(
        SQL["finish_notification"],
        tenant.slot, tenant.merchant, tenant.livemode, row["processor"], row["processor_id"], context.clock(), result,
    )  # fmt: skip
    report.notifications_processed += 1


async def _after_the_end(context: Context, operation: Operation) -> str | None:
    """The operation is closed. The one thing that can still matter: a charge that succeeded after its payment had failed.

    None: the processor does not answer, and may not tell a second time of its own accord, so the notification comes again.
    """
    if operation.kind is not Kind.AUTHORIZE:
        return "nothing new"
    payment = await payments.load(context, operation.payment_id)
    if payment.status is not Status.FAILED or payment.review is not None:
        return "nothing new"
    outcome = await context.processors[operation.processor].lookup(
        operations.write_key(Address(context.tenant, operation.id))
    )
    if isinstance(outcome, Unknown):
        return None
    if isinstance(outcome, Approved) and await reversals.begin(context, payment, outcome.reference):
        return "late success reversed"
    return "declined" if isinstance(outcome, Declined) else "nothing new"
