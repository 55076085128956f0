"""Checks that the books are right: payments, refunds, operations, events, transfers, balances, keys, and the processors' own record.

Reads only. ``run`` goes through everything in pages, is never wrong while payments are being made, and stops when its time is up. What
each check means is in ``MEANINGS``; docs/verify.md says what to do about a finding.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from guilder import db
from guilder.config import Cell
from guilder.errors import Unavailable
from guilder.processors import Processor
from guilder.verify import balances, charges, checks
from guilder.verify.charges import Audit
from guilder.verify.report import Finding, OutOfTime, Report
from guilder.verify.scan import FIRST, PAGE, Endpoints, Scope, id_at, scan

__all__ = ["MEANINGS", "Finding", "OpenCell", "Options", "Report", "run"]

MEANINGS: Mapping[str, str] = checks.MEANINGS | balances.MEANINGS | charges.MEANINGS
"""Every check, by name, with the invariant in a sentence."""

STUCK_AFTER = timedelta(minutes=10)
"""Work that is open for longer is stuck: the reconciler has asked the processor some twenty times by then."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to look at. ``since``: only what was made from then on; what is overdue is found whenever it was made."""

    seconds: float = 600.0
    since: datetime | None = None
    reader: bool = False
    """Whether to read from the readers. What is found there is confirmed on the writer in any case."""
    stuck_after: timedelta = STUCK_AFTER
    page: int = PAGE


@dataclass(frozen=True, slots=True)
class OpenCell:
    """A cell and its connections."""

    cell: Cell
    database: db.CellDatabase


async def run(
    cells: Sequence[OpenCell], processors: Mapping[str, Processor], now: Callable[[], datetime], options: Options
) -> Report:
    """Ask every check about every cell, and compare with every processor."""
    report = Report(rows=dict.fromkeys(MEANINGS, 0))
    moment = now()
    scope = Scope(
        first=id_at(options.since) if options.since else FIRST,
        overdue_before=moment - options.stuck_after,
        deadline=time.monotonic() + options.seconds,
        page=options.page,
    )
    endpoints = [_endpoints(cell.database, options) for cell in cells]

    def endpoints_of(slot: int) -> Endpoints:
        return next(
            found
            for cell, found in zip(cells, endpoints, strict=True)
            if cell.cell.first_slot <= slot <= cell.cell.last_slot
        )

    audits = [Audit(processor, endpoints_of, scope, report, id_at(moment)) for processor in processors.values()]
    for each in endpoints:
        await _as_far_as_possible(scan(each, scope, report, balances.check, [audit.add for audit in audits]), report)
    for audit in audits:
        await _as_far_as_possible(audit.go_through_charges(options.since, moment + charges.SKEW), report)
        await _as_far_as_possible(audit.finish(endpoints), report)
    return report


async def _as_far_as_possible(part: Awaitable[None], report: Report) -> None:
    """What cannot be seen hides nothing of what can: the report says so, and the rest goes on."""
    try:
        await part
    except OutOfTime:
        report.incomplete.append("the time was over before everything was seen")
    except Unavailable as error:
        report.incomplete.append(error.detail)


def _endpoints(database: db.CellDatabase, options: Options) -> Endpoints:
    return Endpoints(database.reader if options.reader else database.writer, database.writer)
