"""The rules of charges, as pure functions: whatever one asks, in whatever order, the amounts stay true."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from simulator import charges
from simulator.charges import CARD_DECLINED, Change, Charge, Event, Refund, RefundStatus, Status
from simulator.errors import RejectedError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
amounts = st.one_of(st.none(), st.integers(min_value=1, max_value=150))


def a_charge(amount: int = 100, *, capture: bool = False) -> Charge:
    return Charge("ch_1", "pay_1", amount, "EUR", "tok_visa", capture, "op_1", NOW, Status.REQUIRES_ACTION)


def a_refund(settles_as: RefundStatus | None = None) -> Refund:
    status = RefundStatus.PENDING if settles_as else RefundStatus.SUCCEEDED
    return Refund("re_1", "ch_1", 0, status, "op_2", NOW, NOW if settles_as else None, settles_as)


class Life(RuleBasedStateMachine):
    """One charge, and a client that asks for everything; a plain account of the money beside it."""

    charge: Charge
    captured = 0
    voided = 0
    refunds: list[Refund]

    @initialize(
        amount=st.integers(min_value=1, max_value=100),
        capture=st.booleans(),
        start=st.sampled_from(["approved", "declined", "late", "action"]),
    )
    def begin(self, amount: int, capture: bool, start: str) -> None:
        new = a_charge(amount, capture=capture)
        self.refunds = []
        if start == "approved":
            self._take(charges.approve(new))
        elif start == "action":
            self._take(charges.require_action(new))
        else:
            self._take(charges.decline(new, CARD_DECLINED, succeeds_at=NOW if start == "late" else None))

    def _take(self, change: Change) -> None:
        self.charge = change.charge
        if Event.AUTHORIZED in change.events and Event.CAPTURED in change.events:
            self.captured = self.charge.amount

    @rule(amount=amounts)
    def capture(self, amount: int | None) -> None:
        held = self.charge.status in (Status.AUTHORIZED, Status.CAPTURED)
        left = self.charge.amount - self.captured - self.voided if held else 0
        if left and (amount is None or amount <= left):
            self._take(charges.capture(self.charge, amount))
            self.captured += amount or left
        else:
            with pytest.raises(RejectedError):
                charges.capture(self.charge, amount)

    @rule()
    def void(self) -> None:
        left = self.charge.amount - self.captured - self.voided
        if left and self.charge.status is not Status.FAILED:
            self._take(charges.void(self.charge))
            self.voided += left
        else:
            with pytest.raises(RejectedError):
                charges.void(self.charge)

    @rule(amount=amounts, settles_as=st.sampled_from([None, RefundStatus.SUCCEEDED, RefundStatus.FAILED]))
    def refund(self, amount: int | None, settles_as: RefundStatus | None) -> None:
        gone = sum(refund.amount for refund in self.refunds if refund.status is not RefundStatus.FAILED)
        left = self.captured - gone
        if left and (amount is None or amount <= left):
            change = charges.refund(self.charge, a_refund(settles_as), amount)
            assert change.refund is not None
            assert change.refund.amount == (amount or left)
            self._take(change)
            self.refunds.append(change.refund)
        else:
            with pytest.raises(RejectedError):
                charges.refund(self.charge, a_refund(settles_as), amount)

    @rule()
    def settle_the_oldest_pending_refund(self) -> None:
        for index, refund in enumerate(self.refunds):
            if refund.status is RefundStatus.PENDING:
                change = charges.settle_refund(self.charge, refund)
                assert change.refund is not None
                self._take(change)
                self.refunds[index] = change.refund
                return

    @rule(approved=st.booleans())
    def complete_action(self, approved: bool) -> None:
        if self.charge.status is Status.REQUIRES_ACTION:
            self._take(charges.complete_action(self.charge, approved=approved))
        else:
            with pytest.raises(RejectedError):
                charges.complete_action(self.charge, approved=approved)

    @rule()
    def succeed_late(self) -> None:
        if self.charge.settles_at is not None:
            self._take(charges.succeed_late(self.charge))
        else:
            with pytest.raises(RejectedError):
                charges.succeed_late(self.charge)

    @invariant()
    def the_amounts_are_true(self) -> None:
        done = [refund.amount for refund in self.refunds if refund.status is RefundStatus.SUCCEEDED]
        pending = [refund.amount for refund in self.refunds if refund.status is RefundStatus.PENDING]
        charge = self.charge
        assert charge.amount_captured == self.captured
        assert charge.amount_voided == self.voided
        assert charge.amount_refunded == sum(done)
        assert charge.amount_refund_pending == sum(pending)
        assert charge.amount_captured + charge.amount_voided <= charge.amount
        assert charge.amount_refunded + charge.amount_refund_pending <= charge.amount_captured

    @invariant()
    def the_status_tells_the_amounts(self) -> None:
        charge = self.charge
        assert (charge.status is Status.CAPTURED) == (charge.amount_captured > 0)
        assert (charge.status is Status.VOIDED) == (charge.amount_voided == charge.amount)
        assert (charge.status is Status.FAILED) == (charge.failure_code is not None)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)


def test_a_settled_refund_is_not_settled_again() -> None:
    captured = charges.approve(a_charge(capture=True)).charge
    pending = charges.refund(captured, a_refund(RefundStatus.FAILED), 40)
    assert pending.refund is not None
    settled = charges.settle_refund(pending.charge, pending.refund)
    assert settled.refund is not None
    with pytest.raises(RejectedError):
        charges.settle_refund(settled.charge, settled.refund)


@pytest.mark.parametrize("capture", [True, False])
def test_a_late_success_leaves_no_trace_of_the_failure(capture: bool) -> None:
    failed = charges.decline(a_charge(capture=capture), CARD_DECLINED, succeeds_at=NOW).charge
    succeeded = charges.succeed_late(failed).charge
    assert succeeded == replace(charges.approve(a_charge(capture=capture)).charge, version=failed.version)
