"""What a payment should be: the rules in their shortest form, without any input or output.

The model knows what the processor did (``Open.done``, ``Payment.payer``), which Guilder may not have heard of yet.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

AUTHORIZATION_LIFE = timedelta(days=7)

NEVER_CHARGED = {"tok_timeout_before_charge", "tok_error_once"}
DECLINED = {"tok_declined", "tok_insufficient_funds", "tok_late_success"}
SLOW_REFUNDS = {"tok_refund_pending": True, "tok_refund_fails": False}
"""Tokens whose refunds are decided later, and whether they succeed."""
TIMES_OUT = {
    "authorize": {"tok_timeout_after_charge", "tok_timeout_before_charge"},
    "capture": {"tok_timeout_after_capture"},
    "cancel": set[str](),
    "refund": {"tok_timeout_after_refund"},
}

type Refusal = tuple[int, str]

CONFLICT: Refusal = (409, "state-conflict")
TOO_LARGE: Refusal = (422, "amount-too-large")
PROCESSOR_DECLINED: Refusal = (409, "processor-declined")


@dataclass(eq=False)
class Open:
    """An operation whose outcome Guilder does not know, or that the processor has not decided."""

    kind: str
    amount: int
    done: bool
    """What the processor did, or will have done."""
    reached: bool
    """Whether the processor got it. One that did not is over when it can no longer be on its way."""
    since: datetime


@dataclass(eq=False)
class Payment:
    """One payment as the API should show it, and what is still to be found out."""

    amount: int
    manual: bool
    token: str
    status: str = "requires_confirmation"
    capturable: int = 0
    captured: int = 0
    refunded: int = 0
    expires_at: datetime | None = None
    payer: bool | None = None
    """What the payer decided at the processor: approved or not."""
    open: list[Open] = field(default_factory=list)

    @property
    def shown(self) -> tuple[str, int, int, int]:
        """What the API shows."""
        return self.status, self.capturable, self.captured, self.refunded

    @property
    def late(self) -> bool:
        """Whether the processor will say, after the payment failed, that it charged after all."""
        return self.token == "tok_late_success" and self.status == "failed"

    def reserved(self, kind: str) -> int:
        """Sum up the amounts of this kind that are under way."""
        return sum(each.amount for each in self.open if each.kind == kind)

    def under_way(self, kind: str) -> bool:
        return any(each.kind == kind for each in self.open)

    def authorized(self, now: datetime) -> None:
        """The processor has decided, or asks the payer to."""
        if self.token in DECLINED:
            self.status = "failed"
        elif self.token == "tok_requires_action":
            self.status = "requires_action"
        else:
            self.approved(now)

    def approved(self, now: datetime) -> None:
        if self.manual:
            self.status, self.capturable, self.expires_at = "requires_capture", self.amount, now + AUTHORIZATION_LIFE
        else:
            self.status, self.captured = "succeeded", self.amount

    def may_capture(self, wanted: int) -> Refusal | None:
        if self.status != "requires_capture":
            return CONFLICT
        left = 0 if self.under_way("cancel") else self.capturable - self.reserved("capture")
        return TOO_LARGE if wanted > left else None

    def capture(self, amount: int) -> None:
        self.captured += amount
        self.capturable -= amount
        self.status = "requires_capture" if self.capturable else "succeeded"

    def may_cancel(self) -> Refusal | None:
        waits = self.status == "requires_capture" and not self.under_way("capture") and not self.under_way("cancel")
        return None if waits or self.status in {"requires_action", "requires_confirmation"} else CONFLICT

    def voidable(self) -> bool:
        """Whether the processor would cancel: nobody did before, and the payer has not been faster."""
        if any(each.kind == "cancel" and each.done for each in self.open):
            return False
        return self.status == "requires_capture" or self.payer is None or (self.payer and self.manual)

    def cancel(self) -> None:
        self.capturable, self.status = 0, "succeeded" if self.captured else "canceled"

    def may_refund(self, wanted: int) -> Refusal | None:
        left = self.captured - self.refunded
        if wanted <= left - self.reserved("refund"):
            return None
        return TOO_LARGE if left else CONFLICT

    def find_out(self, each: Open, now: datetime) -> None:
        """Guilder hears what became of an operation."""
        self.open.remove(each)
        match each.kind:
            case "authorize" if each.done:
                self.late_or_not(now)
            case "authorize":
                self.status = "failed"
            case "capture" if each.done:
                self.capture(each.amount)
            case "cancel" if each.done:
                self.cancel()
            case "refund" if each.done:
                self.refunded += each.amount

    def late_or_not(self, now: datetime) -> None:
        """Asked later, the processor says what is so now: a late success is then simply a success."""
        if self.token == "tok_late_success":
            self.approved(now)
        else:
            self.authorized(now)

    def reconcile(self, now: datetime, not_found_final: float, *, silent: bool) -> None:
        """Everything that can be found out is; what ran out is canceled. ``silent``: the processor tells nothing."""
        for each in [] if silent else list(self.open):
            if each.reached or now - each.since >= timedelta(seconds=not_found_final):
                self.find_out(each, now)
        if self.status == "requires_action" and self.payer is not None and not self.under_way("cancel") and not silent:
            if self.payer:
                self.approved(now)
            else:
                self.status = "failed"
        ran_out = self.expires_at is not None and self.expires_at <= now
        if self.status == "requires_capture" and ran_out and not self.open_on_the_rest():
            self.cancel()

    def open_on_the_rest(self) -> bool:
        return self.under_way("capture") or self.under_way("cancel")
