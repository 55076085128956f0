"""What the contract needs to know of a processor beyond the Protocol. A new processor is one class here and one line in conftest."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

import httpx
from guilder.processors import Processor, RequiresAction
from guilder.processors.simulator import Simulator
from simulator.notifications import sign

from tests.simulator.receiver import Receiver

LIMIT_S = 1.0
"""How long a client under test waits."""


class Situation(Enum):
    """What a payment method can lead to."""

    APPROVED = auto()
    CARD_DECLINED = auto()
    INSUFFICIENT_FUNDS = auto()
    REQUIRES_ACTION = auto()
    REFUND_PENDING = auto()
    """Approved; its refunds take a moment and succeed."""
    REFUND_FAILS = auto()
    """Approved; its refunds take a moment and fail."""


@dataclass(frozen=True)
class Told:
    """A notification as it came in; header names in lower case."""

    headers: Mapping[str, str]
    body: bytes


class Adapter(Protocol):
    """One processor under contract."""

    processor: Processor
    url: str
    """Where it is: faults are put between."""
    payment_methods: Mapping[Situation, str]
    page_size: int
    """How many charges one page of its list holds."""

    def at(self, url: str) -> Processor:
        """Make a client that finds the same processor elsewhere, and waits ``LIMIT_S``."""
        ...

    async def complete_action(self, action: RequiresAction, *, approve: bool) -> None:
        """Do what the payer has to do."""
        ...

    def told_of(self, operation: str) -> list[Told]:
        """Give the notifications that came in and concern an operation."""
        ...

    def sign(self, body: bytes, *, age_s: float = 0, secret: str | None = None) -> Told:
        """Sign a body as the processor would have, some time ago, with its own secret or another."""
        ...

    def unsigned(self, told: Told) -> Told:
        """Take the signature away."""
        ...


class SimulatorAdapter:
    """The simulator over HTTP."""

    page_size = 100
    payment_methods: Mapping[Situation, str] = {
        Situation.APPROVED: "tok_visa",
        Situation.CARD_DECLINED: "tok_declined",
        Situation.INSUFFICIENT_FUNDS: "tok_insufficient_funds",
        Situation.REQUIRES_ACTION: "tok_requires_action",
        Situation.REFUND_PENDING: "tok_refund_pending",
        Situation.REFUND_FAILS: "tok_refund_fails",
    }

    def __init__(self, url: str, secret: str, receiver: Receiver) -> None:
        self.url = url
        self._secret = secret
        self._receiver = receiver
        self.processor: Processor = self.at(url)

    def at(self, url: str) -> Processor:
        return Simulator(url, LIMIT_S, self._secret)

    async def complete_action(self, action: RequiresAction, *, approve: bool) -> None:
        async with httpx.AsyncClient(timeout=10) as payer:
            outcome = {"outcome": "approve" if approve else "decline"}
            (await payer.post(action.url, data=outcome)).raise_for_status()

    def told_of(self, operation: str) -> list[Told]:
        return [
            Told({"simulator-signature": delivery.signature}, delivery.body)
            for delivery in self._receiver.deliveries
            if operation in {subject["idempotency_key"] for subject in delivery.notification["data"].values()}
        ]

    def sign(self, body: bytes, *, age_s: float = 0, secret: str | None = None) -> Told:
        key = self._secret if secret is None else secret
        return Told({"simulator-signature": sign(key, int(time.time() - age_s), body.decode())}, body)

    def unsigned(self, told: Told) -> Told:
        return Told({}, told.body)
