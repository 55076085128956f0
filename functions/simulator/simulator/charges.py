"""A charge, its refunds, and the rules of both: pure functions from one state to the next.

                      +--> failed ------(late success)------+
    (new) --+---------+                                     v
            +--> requires_action --approve--> authorized --capture--> captured (capture, refund, void the rest)
                      |                          |
                      +--------void------> voided <--void

Amounts are integers in minor units. For every charge, always:
`amount_captured + amount_voided <= amount` and `amount_refunded + amount_refund_pending <= amount_captured`.
The database states the same rules as CHECKs (`schema.sql`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from .errors import RejectedError


class Status(StrEnum):
    """`captured` means that something was captured; how much, `amount_captured` says."""

    REQUIRES_ACTION = "requires_action"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    VOIDED = "voided"
    FAILED = "failed"


class RefundStatus(StrEnum):
    """A pending refund holds its amount back until it is decided."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Event(StrEnum):
    """What a notification can tell."""

    AUTHORIZED = "charge.authorized"
    CAPTURED = "charge.captured"
    FAILED = "charge.failed"
    VOIDED = "charge.voided"
    REFUND_SUCCEEDED = "refund.succeeded"
    REFUND_FAILED = "refund.failed"


@dataclass(frozen=True, slots=True)
class Decline:
    """Why a charge failed."""

    code: str
    message: str


CARD_DECLINED = Decline("card_declined", "The card was declined.")
INSUFFICIENT_FUNDS = Decline("insufficient_funds", "The card has insufficient funds.")
AUTHENTICATION_FAILED = Decline("authentication_failed", "The shopper did not confirm the payment.")


@dataclass(frozen=True, slots=True)
class Charge:
    """One charge. `settles_at`: when a failed charge will turn out to have succeeded after all."""

    id: str
    reference: str
    amount: int
    currency: str
    source: str
    capture: bool
    idempotency_key: str
    created_at: datetime
    status: Status
    amount_captured: int = 0
    amount_voided: int = 0
    amount_refunded: int = 0
    amount_refund_pending: int = 0
    failure_code: str | None = None
    failure_message: str | None = None
    settles_at: datetime | None = None
    version: int = 1

    @property
    def capturable(self) -> int:
        """What may still be captured."""
        held = self.status in (Status.AUTHORIZED, Status.CAPTURED)
        return self.amount - self.amount_captured - self.amount_voided if held else 0

    @property
    def refundable(self) -> int:
        """What may still be refunded."""
        return self.amount_captured - self.amount_refunded - self.amount_refund_pending


@dataclass(frozen=True, slots=True)
class Refund:
    """One refund. While it is pending, `settles_at` and `settles_as` say when and how it will be decided."""

    id: str
    charge_id: str
    amount: int
    status: RefundStatus
    idempotency_key: str
    created_at: datetime
    settles_at: datetime | None = None
    settles_as: RefundStatus | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The next state, and what it tells the world."""

    charge: Charge
    events: tuple[Event, ...]
    refund: Refund | None = None


def approve(new: Charge) -> Change:
    """The issuer says yes: the amount is held, and taken at once where the charge asks for that."""
    approved = replace(new, status=Status.AUTHORIZED, failure_code=None, failure_message=None, settles_at=None)
    if not new.capture:
        return Change(approved, (Event.AUTHORIZED,))
    captured = replace(approved, status=Status.CAPTURED, amount_captured=new.amount)
    return Change(captured, (Event.AUTHORIZED, Event.CAPTURED))


def decline(new: Charge, why: Decline, *, succeeds_at: datetime | None = None) -> Change:
    """The issuer says no, or seems to: with `succeeds_at` it will turn out to have said yes."""
    failed = replace(
        new, status=Status.FAILED, failure_code=why.code, failure_message=why.message, settles_at=succeeds_at
    )
    return Change(failed, (Event.FAILED,))


def require_action(new: Charge) -> Change:
    """The shopper has to confirm first. Nobody is notified: the caller has it in the answer."""
    return Change(replace(new, status=Status.REQUIRES_ACTION), ())


def complete_action(charge: Charge, *, approved: bool) -> Change:
    """The shopper confirmed or refused."""
    if charge.status is not Status.REQUIRES_ACTION:
        raise RejectedError(f"The charge awaits no action: it is {charge.status}.", code="no_action_required")
    return approve(charge) if approved else decline(charge, AUTHENTICATION_FAILED)


def succeed_late(charge: Charge) -> Change:
    """What looked like a failure turns out to have succeeded."""
    if charge.status is not Status.FAILED or charge.settles_at is None:
        raise RejectedError("The charge awaits no late success.", code="no_late_success")
    return approve(charge)


def capture(charge: Charge, amount: int | None) -> Change:
    """Take `amount`, or all that is left, of what was authorised."""
    if charge.capturable == 0:
        raise RejectedError(f"Nothing is left to capture: the charge is {charge.status}.", code="charge_not_capturable")
    taken = _at_most(amount, charge.capturable, "capture")
    captured = replace(charge, status=Status.CAPTURED, amount_captured=charge.amount_captured + taken)
    return Change(captured, (Event.CAPTURED,))


def void(charge: Charge) -> Change:
    """Give back all that was authorised and not captured."""
    if charge.status is Status.REQUIRES_ACTION:
        return Change(replace(charge, status=Status.VOIDED, amount_voided=charge.amount), (Event.VOIDED,))
    if charge.capturable == 0:
        raise RejectedError(f"Nothing is left to void: the charge is {charge.status}.", code="charge_not_voidable")
    status = Status.VOIDED if charge.amount_captured == 0 else Status.CAPTURED
    voided = replace(charge, status=status, amount_voided=charge.amount_voided + charge.capturable)
    return Change(voided, (Event.VOIDED,))


def refund(charge: Charge, new: Refund, amount: int | None) -> Change:
    """Give back `amount`, or all that is left, of what was captured; `new` says whether at once or later."""
    if charge.refundable == 0:
        raise RejectedError(f"Nothing is left to refund: the charge is {charge.status}.", code="charge_not_refundable")
    given = replace(new, amount=_at_most(amount, charge.refundable, "refund"))
    if given.status is RefundStatus.PENDING:
        pending = replace(charge, amount_refund_pending=charge.amount_refund_pending + given.amount)
        return Change(pending, (), given)
    refunded = replace(charge, amount_refunded=charge.amount_refunded + given.amount)
    return Change(refunded, (Event.REFUND_SUCCEEDED,), given)


def settle_refund(charge: Charge, pending: Refund) -> Change:
    """A pending refund is decided: it goes out, or its amount is the merchant's again."""
    if pending.status is not RefundStatus.PENDING or pending.settles_as is None:
        raise RejectedError(f"The refund is {pending.status}.", code="refund_not_pending")
    settled = replace(pending, status=pending.settles_as, settles_at=None, settles_as=None)
    released = replace(charge, amount_refund_pending=charge.amount_refund_pending - pending.amount)
    if settled.status is RefundStatus.FAILED:
        return Change(released, (Event.REFUND_FAILED,), settled)
    refunded = replace(released, amount_refunded=charge.amount_refunded + pending.amount)
    return Change(refunded, (Event.REFUND_SUCCEEDED,), settled)


def _at_most(amount: int | None, available: int, verb: str) -> int:
    if amount is None:
        return available
    if amount > available:
        raise RejectedError(f"Only {available} is left to {verb}, not {amount}.", code="amount_too_large", status=422)
    return amount
