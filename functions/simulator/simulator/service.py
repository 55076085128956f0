"""The parts of a running simulator, put together on first use: importing it needs neither settings nor a database."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cache

from .database import UNAVAILABLE, Database, Password
from .notifications import Outbox
from .operations import Processor
from .settings import Settings
from .store import Store

# How soon a due notification or late decision is noticed when nothing else is going on.
IDLE_SECONDS = 0.25
# How long to leave a database alone that cannot be reached.
UNAVAILABLE_SECONDS = 2.0

log = logging.getLogger("simulator")


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that a route needs."""

    settings: Settings
    database: Database
    store: Store
    processor: Processor
    outbox: Outbox

    async def work_off(self) -> int:
        """One pass of what goes on in the background: decide what is due, send what is due. How much there was."""
        return await self.processor.settle_due() + await self.outbox.send_due()


@cache
def service() -> Service:
    """The service of this process, configured from the environment."""
    settings = Settings.from_environment()
    database = Database(settings.database_url, _password_of(settings))
    store = Store(database)
    return Service(settings, database, store, Processor(store, settings), Outbox(database, settings))


def _password_of(settings: Settings) -> Password | None:
    if settings.database_auth != "iam":
        return None
    from .iam import database_token

    return lambda: database_token(settings.database_url, settings.region)


async def work_off_for_ever(running: Service) -> None:
    """The background task of a process that stays: what one that died left undone, it finds in the tables."""
    while True:
        pause = IDLE_SECONDS
        try:
            if await running.work_off():
                pause = 0.0
        except UNAVAILABLE as error:
            log.warning("background work waits for the database: %s: %s", type(error).__name__, error)
            pause = UNAVAILABLE_SECONDS
        except Exception:
            log.exception("background work failed, and goes on")
            pause = UNAVAILABLE_SECONDS
        await asyncio.sleep(pause)


@contextlib.asynccontextmanager
async def lifespan(_: object) -> AsyncIterator[None]:
    """Under a server that stays up: work in the background while it runs, and leave no connection behind."""
    running = service()
    task = asyncio.create_task(work_off_for_ever(running))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await running.database.close()
