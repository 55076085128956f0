"""Every minute: adds the ledger's new transfers to the balances, so that a balance stays quick to read."""

import asyncio
from typing import Any

from guilder.config import Settings
from guilder.runtime import Runtime

RESERVE_S = 10.0
"""What the statement in hand may take."""

runtime = Runtime(Settings.from_environment())
loop = asyncio.new_event_loop()


def handler(_event: object, context: Any) -> dict[str, int]:
    """Advance the roll-ups until they are there or the time is nearly up; the next minute's run goes on."""
    seconds = context.get_remaining_time_in_millis() / 1000 - RESERVE_S
    return {"transfers": loop.run_until_complete(runtime.roll_up(max(seconds, 1.0)))}
