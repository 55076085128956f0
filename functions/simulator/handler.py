"""The simulator as a Lambda, never in production: its HTTP interface, and its background work on a schedule."""

from __future__ import annotations

import asyncio
from typing import Any

from mangum import Mangum
from simulator.app import app
from simulator.service import service

respond = Mangum(app, lifespan="off")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer a call from API Gateway, or do one pass of background work for an EventBridge rule."""
    if event.get("source") == "aws.events":
        # Mangum's loop, which the connections belong to
        worked_off = asyncio.get_event_loop().run_until_complete(service().work_off())
        return {"worked_off": worked_off}
    return respond(event, context)
