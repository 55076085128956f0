"""Every hour: checks that payments, ledger, events and processors agree. A metric says how much is broken, the log says what."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from guilder import metrics
from guilder.config import Settings
from guilder.log import logger
from guilder.runtime import Runtime
from guilder.verify import Options

WINDOW = timedelta(days=8)
"""An authorization lives for seven days: what was made earlier hardly changes. An event ``{"all": true}`` looks at everything."""
RESERVE_S = 30.0
"""What the last look at a processor may take, and telling what was found."""

runtime = Runtime(Settings.from_environment())
loop = asyncio.new_event_loop()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Look until everything was seen or the time is nearly up."""
    seconds = context.get_remaining_time_in_millis() / 1000 - RESERVE_S
    since = None if event.get("all") is True else datetime.now(UTC) - WINDOW
    report = loop.run_until_complete(runtime.verify(Options(seconds=max(seconds, 1.0), since=since, reader=True)))
    for finding in report.findings:
        logger.error("broken invariant", extra=asdict(finding))
    for reason in report.incomplete:
        logger.warning("not everything was verified", extra={"reason": reason})
    metrics.emit({"Function": "verify"}, BrokenInvariants=len(report.findings), VerifyIncomplete=len(report.incomplete))
    return {"clean": report.clean, "broken": len(report.findings), "incomplete": report.incomplete}
