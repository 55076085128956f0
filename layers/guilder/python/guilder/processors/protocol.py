"""What Guilder asks of a processor, and the few things a processor can answer."""

from dataclasses import dataclass
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
class Approved:
    """Done. ``reference`` is the processor's own id of the charge."""

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
class Unknown:
    """No answer, or none that says whether it was done. Never to be treated as a failure: ask again by ``lookup``."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """The processor has not seen the operation (yet): final only once it can no longer be under way."""


type Outcome = Approved | Declined | RequiresAction | Unknown


class Processor(Protocol):
    """A card processor. No method raises for anything the processor or the network does: that is what ``Unknown`` is for."""

    @property
    def name(self) -> str:
        """The name in ``payments.processor``."""
        ...

    async def authorize(self, authorization: Authorization) -> Outcome:
        """Authorize (and capture). Bounded by the processor budget; a time-out is ``Unknown``."""
        ...

    async def lookup(self, operation: str) -> Outcome | NotFound:
        """Ask what became of an operation. Charges nothing."""
        ...

    async def close(self) -> None:
        """Give connections up."""
        ...
