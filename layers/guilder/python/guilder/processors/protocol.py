"""What Guilder asks of a processor, and the few things a processor can answer."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from guilder.money import Money


@dataclass(frozen=True, slots=True)
class Authorization:
    """A charge to be authorized, and captured at once where ``capture`` is set.

    ``operation`` is the idempotency key: the processor does the same operation at most once. ``reference`` (the payment's id) is
    how the charge is found again on the processor's side.
    """

    operation: str
    reference: str
    money: Money
    payment_method: str
    capture: bool


@dataclass(frozen=True, slots=True)
class Change:
    """Something to be done to a charge: capture or refund ``amount`` (minor units), or cancel what was not captured.

    ``operation`` is the idempotency key; ``charge`` is the processor's own id of the charge.
    """

    operation: str
    charge: str
    amount: int


@dataclass(frozen=True, slots=True)
class Approved:
    """Done. ``reference`` is the processor's own id of the charge, or of the refund."""

    reference: str


@dataclass(frozen=True, slots=True)
class Declined:
    """Definitely not done, and will not be. ``code`` is Guilder's, stable; ``processor_code`` is the processor's own word."""

    code: str
    message: str
    processor_code: str
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class RequiresAction:
    """The payer must do something at ``url`` first."""

    reference: str
    url: str


@dataclass(frozen=True, slots=True)
class Pending:
    """Taken on, and decided later: a refund on its way. Ask again by ``lookup``, or wait for the notification."""

    reference: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer, or none that says whether it was done. Never to be treated as a failure: ask again by ``lookup``."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """The processor has not seen the operation (yet): final only once it can no longer be under way."""


FAILURE_CODES = frozenset({
    "card_declined", "insufficient_funds", "expired_card", "authentication_failed", "payment_method_invalid",
    "charge_not_capturable", "charge_not_cancelable", "charge_not_refundable", "amount_too_large",
    "capture_refused", "cancel_refused", "refund_refused", "refund_failed",
})  # fmt: skip
"""Every ``Declined.code`` that a processor may give. Partners branch on them: a code may be added, never changed."""

type Outcome = Approved | Declined | RequiresAction | Pending | Unknown


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge as the processor's books have it. Amounts in minor units; ``operation`` is the key it was made under."""

    reference: str
    payment: str
    operation: str
    status: str
    amount: int
    currency: str
    amount_captured: int
    amount_refunded: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Notification:
    """What the processor tells of its own accord: ``id`` is the same for a repetition, ``operation`` is what to look up."""

    id: str
    type: str
    operation: str


class InvalidSignature(ValueError):
    """The notification was not signed by the processor, or long ago."""


class Processor(Protocol):
    """A card processor. No method raises for anything the processor or the network does: that is what ``Unknown`` is for.

    ``list_charges`` is the exception: it serves ``verify``, which has to know that it did not see everything.
    """

    @property
    def name(self) -> str:
        """The name in ``payments.processor``."""
        ...

    async def authorize(self, authorization: Authorization) -> Outcome:
        """Authorize (and capture). Bounded by the processor budget; a time-out is ``Unknown``."""
        ...

    async def capture(self, change: Change) -> Outcome:
        """Capture a part of what is authorized, or all of it."""
        ...

    async def cancel(self, change: Change) -> Outcome:
        """Give back what is authorized and not captured."""
        ...

    async def refund(self, change: Change) -> Outcome:
        """Pay back a part of what was captured, or all of it."""
        ...

    async def lookup(self, operation: str) -> Outcome | NotFound:
        """Ask what became of an operation, as it stands now. Changes nothing."""
        ...

    def list_charges(self, since: datetime, until: datetime) -> AsyncIterator[Charge]:
        """Go through the charges made in [since, until), in pages.

        Raises:
            Unavailable: the processor did not answer.
        """
        ...

    def parse_notification(self, headers: Mapping[str, str], body: bytes) -> Notification:
        """Check a notification's signature and read it. ``headers`` have lower-case names.

        Raises:
            InvalidSignature: not signed by the processor, or not recently.
            ValueError: signed, and not understood.
        """
        ...

    async def close(self) -> None:
        """Give connections up."""
        ...
