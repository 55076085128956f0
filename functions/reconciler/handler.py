"""Every minute: finishes payments and refunds whose outcome nobody knows, acts on notifications, ends authorizations that ran out."""

import asyncio
from dataclasses import asdict
from typing import Any

from guilder.config import Settings
from guilder.runtime import Runtime

RESERVE_S = 25.0
"""What the last piece of work may take: a processor's silence, and writing down what came of it."""

runtime = Runtime(Settings.from_environment())
loop = asyncio.new_event_loop()


def handler(_event: object, context: Any) -> dict[str, int]:
    """Work until the function's own time is nearly up; the next minute's run goes on."""
    seconds = context.get_remaining_time_in_millis() / 1000 - RESERVE_S
    return asdict(loop.run_until_complete(runtime.reconcile(max(seconds, 1.0))))
