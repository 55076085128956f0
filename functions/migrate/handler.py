"""Migrations and the first API key of a merchant, as the cluster's administrator. Invoked by a deployment or a person, never over HTTP."""

import asyncio
from typing import Any

from guilder.administration import run
from guilder.config import Settings


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Do what the event asks for; ``guilder.administration`` describes both."""
    return asyncio.run(run(Settings.from_environment(), event))
