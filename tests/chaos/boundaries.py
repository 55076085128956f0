"""Where a worker dies: traps that are put into a worker's process from outside, each for one boundary between two steps of a request.

The process kills itself with SIGKILL exactly there. The product has no part in it.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from functools import partial
from typing import Any

from guilder import operations, payments, refunds
from guilder.db import Endpoint, Transaction
from guilder.idempotency import Desk
from guilder.processors import NotFound, Unknown
from guilder.processors.simulator import Simulator

from tests.support.workers import Preparation

PHASE_1 = frozenset(
    {*(payments.SQL[name] for name in ("create", "confirm", "begin_capture", "begin_cancel")), refunds.SQL["begin"]}
)
PHASE_3 = payments.SQL["settle"]
CLOSE = operations.SQL["close"]

LOOKS = 100
LOOK_PAUSE_S = 0.02

type Applies = Callable[[str], bool]


class Boundary(StrEnum):
    """Between which two steps the worker dies."""

    CACHE_CLAIMED = "after the cache claim"
    RECORDED = "after phase 1"
    ASKING = "before the processor is asked"
    IN_THE_CALL = "in the processor call"
    ANSWERED = "after the processor answered"
    SETTLING = "in phase 3"
    SETTLED = "after phase 3"
    STORING = "before the cache store"


NEVER_ASKED = frozenset({Boundary.RECORDED, Boundary.ASKING})
"""Here the processor never hears of it, and nobody may ask it again: what was begun has failed."""


def trap(boundary: Boundary) -> Preparation:
    """What puts the trap for a boundary into a new worker."""
    return partial(_set, boundary)


def trap_after_take_over() -> Preparation:
    """A trap for whoever takes an operation over."""
    return _after_take_over


def die() -> None:
    """End this process at once."""
    os.kill(os.getpid(), signal.SIGKILL)


def _set(boundary: Boundary) -> None:
    match boundary:
        case Boundary.CACHE_CLAIMED:
            _after(Desk, "claim")
        case Boundary.RECORDED:
            _after(Endpoint, "fetchrow", PHASE_1.__contains__)
        case Boundary.ASKING:
            _before(Simulator, "_order")
        case Boundary.IN_THE_CALL:
            _in_the_call()
        case Boundary.ANSWERED:
            _after(Simulator, "_order")
        case Boundary.SETTLING:
            _while_sent(PHASE_3)
            _after(Transaction, "fetchrow", CLOSE.__eq__)
        case Boundary.SETTLED:
            _after(Endpoint, "fetchrow", PHASE_3.__eq__)
            _after_commit()
        case Boundary.STORING:
            _before(Desk, "store")


def _after_take_over() -> None:
    _after(Endpoint, "fetchrow", operations.SQL["take_over"].__eq__)


def _before(owner: type, method: str) -> None:
    async def instead(_self: object, *_: object, **__: object) -> None:
        die()

    setattr(owner, method, instead)


def _after(owner: type, method: str, applies: Applies = lambda _: True) -> None:
    """Die once the method has done its work; ``applies`` is asked about its first argument."""
    original: Callable[..., Awaitable[Any]] = getattr(owner, method)

    async def instead(self: object, *args: Any, **kwargs: Any) -> Any:
        result = await original(self, *args, **kwargs)
        if applies(args[0]):
            die()
        return result

    setattr(owner, method, instead)


def _while_sent(statement: str) -> None:
    """Die when a statement of its own has been sent and its answer has not come: whether it took effect, nobody knows."""
    original = Endpoint.fetch

    async def instead(self: Endpoint, query: str, *args: object) -> Any:
        if query != statement:
            return await original(self, query, *args)
        sent = asyncio.create_task(original(self, query, *args))
        await asyncio.wait({sent}, timeout=0.002)
        return die()

    setattr(Endpoint, "fetch", instead)  # noqa: B010 (an assignment would have to lie about the type)


def _after_commit() -> None:
    original = Endpoint.transaction

    @asynccontextmanager
    async def instead(self: Endpoint) -> AsyncIterator[Transaction]:
        async with original(self) as transaction:
            yield transaction
        die()

    setattr(Endpoint, "transaction", instead)  # noqa: B010 (as above)


def _in_the_call() -> None:
    """Die when the processor has done what it was asked for, and its answer has not been read."""
    original = Simulator._order

    async def instead(self: Simulator, kind: str, path: str, operation: str, body: Any) -> Any:
        asked = asyncio.create_task(original(self, kind, path, operation, body))
        for _ in range(LOOKS):
            await asyncio.sleep(LOOK_PAUSE_S)
            if asked.done() or not isinstance(await self.lookup(operation), (NotFound, Unknown)):
                break
        die()

    setattr(Simulator, "_order", instead)  # noqa: B010 (as above)
