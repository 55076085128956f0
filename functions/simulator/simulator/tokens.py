"""What each test token does. A token is the `source` of a charge and governs its whole life, refunds included."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from .charges import CARD_DECLINED, INSUFFICIENT_FUNDS, Decline, RefundStatus
from .errors import InvalidRequestError


class Kind(StrEnum):
    """What a caller can ask for, each under an idempotency key."""

    CHARGE = "charge"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"


class Wait(Enum):
    """How long the processor thinks before it decides."""

    NONE = "none"
    SLOW = "slow"
    HANG = "hang"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the processor treats one token. The defaults are the good case."""

    description: str
    declines: Decline | None = None
    requires_action: bool = False
    thinks: Wait = Wait.NONE
    never_decides: bool = False
    """Gives up with a 504 after thinking, nothing charged."""
    fails_first_try: bool = False
    """Answers the first try of each key with a 500, nothing charged."""
    succeeds_late: bool = False
    """The decline turns into a success after the settle time."""
    holds_answer_to: Kind | None = None
    """Does this kind of operation, then keeps the answer to itself until the caller has given up."""
    sends_twice: bool = False
    sends_out_of_order: bool = False
    """Holds `charge.authorized` back until a later notification of the charge was sent."""
    refund_settles_as: RefundStatus | None = None
    """Refunds stay pending and end like this after the settle time; None: they succeed at once."""


TOKENS: dict[str, Behaviour] = {
    "tok_visa": Behaviour("Succeeds."),
    "tok_mastercard": Behaviour("Succeeds."),
    "tok_declined": Behaviour("Is declined: 402 `card_declined`.", declines=CARD_DECLINED),
    "tok_insufficient_funds": Behaviour("Is declined: 402 `insufficient_funds`.", declines=INSUFFICIENT_FUNDS),
    "tok_requires_action": Behaviour(
        "Waits for the shopper, who approves or declines at `next_action.url`.", requires_action=True
    ),
    "tok_timeout_after_charge": Behaviour(
        "Charges, then holds the answer for SIMULATOR_HANG_SECONDS.", holds_answer_to=Kind.CHARGE
    ),
    "tok_timeout_before_charge": Behaviour(
        "Holds for SIMULATOR_HANG_SECONDS, then answers 504 and has not charged.", thinks=Wait.HANG, never_decides=True
    ),
    "tok_error_once": Behaviour(
        "The first try of a key is a 500 and has not charged; a later one succeeds.", fails_first_try=True
    ),
    "tok_slow": Behaviour(
        "Takes SIMULATOR_SLOW_SECONDS to decide, less if the caller hangs up, then succeeds.", thinks=Wait.SLOW
    ),
    "tok_late_success": Behaviour(
        "Is declined with 402, and SIMULATOR_SETTLE_SECONDS later turns out to have succeeded: a notification says so.",
        declines=CARD_DECLINED,
        succeeds_late=True,
    ),
    "tok_duplicate_notification": Behaviour("Succeeds; each notification is sent twice.", sends_twice=True),
    "tok_out_of_order_notification": Behaviour(
        "Succeeds; `charge.authorized` is sent after the next notification of the charge.", sends_out_of_order=True
    ),
    "tok_timeout_after_capture": Behaviour(
        "Succeeds; a capture is done, but its answer held for SIMULATOR_HANG_SECONDS.", holds_answer_to=Kind.CAPTURE
    ),
    "tok_timeout_after_refund": Behaviour(
        "Succeeds; a refund is done, but its answer held for SIMULATOR_HANG_SECONDS.", holds_answer_to=Kind.REFUND
    ),
    "tok_refund_pending": Behaviour(
        "Succeeds; refunds are `pending` and succeed after SIMULATOR_SETTLE_SECONDS.",
        refund_settles_as=RefundStatus.SUCCEEDED,
    ),
    "tok_refund_fails": Behaviour(
        "Succeeds; refunds are `pending` and fail after SIMULATOR_SETTLE_SECONDS.",
        refund_settles_as=RefundStatus.FAILED,
    ),
}


def behaviour_of(source: str) -> Behaviour:
    """Look a token up; 400 `invalid_source` for an unknown one."""
    behaviour = TOKENS.get(source)
    if behaviour is None:
        raise InvalidRequestError(f"No such source: {source!r}. GET /tokens lists them.", code="invalid_source")
    return behaviour
