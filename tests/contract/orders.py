"""Charges and changes in the words of the tests, and what the processor's books say of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from guilder.money import Money
from guilder.processors import Approved, Authorization, Change, Charge, Processor

from tests.contract.adapters import Adapter, Situation

AMOUNT = 1000
PATIENCE_S = 15.0


def key(prefix: str = "op") -> str:
    """A new operation, or another new name."""
    return f"{prefix}_{uuid4().hex}"


def authorization(
    adapter: Adapter, situation: Situation = Situation.APPROVED, *, capture: bool = False, operation: str | None = None
) -> Authorization:
    """A charge of 10.00 EUR for a payment of its own."""
    method = adapter.payment_methods[situation]
    return Authorization(operation or key(), key("pay"), Money(AMOUNT, "EUR"), method, capture)


async def charge(adapter: Adapter, situation: Situation = Situation.APPROVED, *, capture: bool = False) -> str:
    """Have a charge approved; its reference."""
    outcome = await adapter.processor.authorize(authorization(adapter, situation, capture=capture))
    assert isinstance(outcome, Approved), outcome
    return outcome.reference


def change(reference: str, amount: int = AMOUNT) -> Change:
    """Something to be done to a charge under a new operation."""
    return Change(key(), reference, amount)


async def book(processor: Processor, reference: str) -> Charge:
    """What the processor's list of today says of a charge: it is there exactly once."""
    now = datetime.now(UTC)
    found = [
        charge
        async for charge in processor.list_charges(now - timedelta(hours=1), now + timedelta(hours=1))
        if charge.reference == reference
    ]
    assert len(found) == 1, found
    return found[0]


async def eventually[T](ask: Callable[[], Awaitable[T]], satisfied: Callable[[T], bool]) -> T:
    """Ask until the answer satisfies."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        answer = await ask()
        if satisfied(answer):
            return answer
        assert time.monotonic() < deadline, answer
        await asyncio.sleep(0.05)
