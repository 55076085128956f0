"""Whatever callers, payers, the processor, the line to it and the clock do: in the end payment, ledger and processor agree.

Hypothesis invents the story, ``model`` says what has to come of each step, ``world`` carries it out on the real services. A failure prints
the story and the line that plays it again (``@reproduce_failure``). The stories are the same in every run of `make test`; those of
`make test-nightly` (GUILDER_NIGHTLY=1) are new each time, and twenty times as many.
"""

import os
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.properties.model import (
    AUTHORIZATION_LIFE,
    CONFLICT,
    NEVER_CHARGED,
    PROCESSOR_DECLINED,
    SLOW_REFUNDS,
    TIMES_OUT,
    Open,
    Payment,
    Refusal,
)
from tests.properties.world import Line, World
from tests.support.gateway import Answer

NIGHTLY = os.environ.get("GUILDER_NIGHTLY") == "1"
STORIES = settings(
    max_examples=2000 if NIGHTLY else 100,
    stateful_step_count=30,
    deadline=None,  # the services answer when they do; the suite has its limit
    derandomize=not NIGHTLY,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
LOOKS = 100
"""How often the reconciler may look until everything is found out: far more than it needs, so that stuck is told from slow."""

GOOD_TOKENS = ["tok_visa", "tok_mastercard", "tok_duplicate_notification", "tok_out_of_order_notification"]
TOKENS = st.sampled_from([
    *GOOD_TOKENS, *["tok_requires_action"] * 3, "tok_declined", "tok_insufficient_funds", *["tok_late_success"] * 2,
    *["tok_refund_pending", "tok_refund_fails"] * 2, "tok_timeout_after_capture", "tok_timeout_after_refund",
    "tok_timeout_after_charge", "tok_timeout_before_charge", "tok_error_once",
])  # fmt: skip
LINES = st.sampled_from([Line.GOOD] * 4 + [Line.LOST_BEFORE, Line.LOST_AFTER])
PARTS = st.sampled_from([None, 1, 30, 50, 100, 101])
AMOUNT = 100
LONG_ENOUGH = timedelta(seconds=80)
"""After this a processor that has not seen an operation never will (``Budgets.not_found_final``)."""
SPANS = st.sampled_from([LONG_ENOUGH, LONG_ENOUGH, AUTHORIZATION_LIFE + timedelta(days=1)])
PLACES = st.integers(0, 99)


@dataclass(eq=False)
class Order:
    """A write that was accepted: what a caller would send again."""

    payment: Payment
    path: str
    body: dict[str, Any]
    key: str
    answer: Answer
    open: Open | None


def refusal_of(answer: Answer) -> Refusal:
    return answer.status, str(answer.json()["type"]).rpartition("/")[2]


class LifeCycle(RuleBasedStateMachine):
    """One merchant's payments, from the caller's side and from the processor's."""

    payments: Bundle[Payment] = Bundle("payments")

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        world.clock.ahead = timedelta()
        self.ids: dict[Payment, str] = {}
        self.orders: list[Order] = []

    @rule(
        target=payments, token=TOKENS, manual=st.booleans(), confirm=st.sampled_from([True] * 3 + [False]), line=LINES
    )
    def create(self, token: str, manual: bool, confirm: bool, line: Line) -> Payment:
        return self._create(token, manual, confirm, line)

    @initialize(target=payments, token=TOKENS, manual=st.booleans(), line=LINES)
    def begin(self, token: str, manual: bool, line: Line) -> Payment:
        """Something to act on from the start: most rules need a payment."""
        return self._create(token, manual, True, line)

    @rule(payment=payments, line=LINES)
    def confirm(self, payment: Payment, line: Line) -> None:
        refusal = None if payment.status == "requires_confirmation" else CONFLICT
        self._send(payment, f"payments/{self.ids[payment]}/confirm", {}, "authorize", AMOUNT, line, refusal)
        self._check(payment)

    @rule(payment=payments, part=PARTS, line=LINES)
    def capture(self, payment: Payment, part: int | None, line: Line) -> None:
        wanted = part or payment.capturable or AMOUNT
        body = {} if part is None else {"amount": part}
        path = f"payments/{self.ids[payment]}/capture"
        self._send(payment, path, body, "capture", wanted, line, payment.may_capture(wanted))
        self._check(payment)

    @rule(payment=payments, line=LINES)
    def cancel(self, payment: Payment, line: Line) -> None:
        path, kind = f"payments/{self.ids[payment]}/cancel", "cancel"
        if payment.status == "requires_confirmation":
            kind = "drop"
        self._send(payment, path, {}, kind, payment.capturable or AMOUNT, line, payment.may_cancel())
        self._check(payment)

    @rule(payment=payments, part=PARTS, line=LINES)
    def refund(self, payment: Payment, part: int | None, line: Line) -> None:
        wanted = part or (payment.captured - payment.refunded) or AMOUNT
        body: dict[str, Any] = {"payment": self.ids[payment]} | ({} if part is None else {"amount": part})
        self._send(payment, "refunds", body, "refund", wanted, line, payment.may_refund(wanted))
        self._check(payment)

    @precondition(lambda self: self.orders)
    @rule(place=PLACES)
    def send_again(self, place: int) -> None:
        """The same request under the same key: the same answer, or what became of it."""
        order = self.orders[place % len(self.orders)]
        payment, each = order.payment, order.open
        if payment.token == "tok_late_success" and payment.under_way("authorize"):
            self.world.wait_for_the_processor(self.ids[payment], late=each is not None and each.reached)
        again = self.world.post(order.path, order.body, order.key, Line.GOOD)
        if order.answer.status != 202:
            assert (again.status, again.body) == (order.answer.status, order.answer.body)
            assert again.headers["idempotency-replayed"] == "true"
            return
        assert each is not None
        if again.status == 202:
            slow = payment.token in TIMES_OUT[each.kind]
            assert each in payment.open, "what became of it is known"
            assert slow or not each.reached, "the processor could say what became of it"
            return
        order.answer = again
        pending = each.kind == "refund" and again.json().get("status") == "pending"
        if each in payment.open and not pending:
            assert each.reached or self.world.clock() - each.since > LONG_ENOUGH / 2
            payment.find_out(each, self.world.clock())
        if each.kind in {"capture", "cancel"}:
            assert (again.status == 200) == each.done or payment.token == "tok_requires_action", again
        self._check(payment)

    @precondition(lambda self: any("amount" in order.body for order in self.orders))
    @rule(place=PLACES)
    def use_a_key_for_another_request(self, place: int) -> None:
        orders = [order for order in self.orders if "amount" in order.body]
        order = orders[place % len(orders)]
        other = self.world.post(order.path, order.body | {"amount": 77}, order.key, Line.GOOD)
        assert refusal_of(other) == (422, "idempotency-key-reused")
        self._check(order.payment)

    @rule(payment=payments, approve=st.booleans())
    def the_payer_acts(self, payment: Payment, approve: bool) -> None:
        voided = any(each.kind == "cancel" and each.done for each in payment.open)
        if payment.status == "requires_action" and payment.payer is None and not voided:
            url = self.world.payment(self.ids[payment])["next_action"]["redirect_url"]
            self.world.act(url, approve=approve)
            payment.payer = approve
            self._check(payment)

    @rule(payment=payments, place=PLACES)
    def deliver_a_notification(self, payment: Payment, place: int) -> None:
        """Any that the processor has written, early or late, once or again. It changes nothing until it is looked at."""
        if found := self.world.notifications(self.ids[payment]):
            self.world.deliver(found[place % len(found)])
            self._check(payment)

    @rule(span=SPANS)
    def time_passes(self, span: timedelta) -> None:
        self.world.clock.ahead += span

    @rule(silent=st.sampled_from([False, False, True]))
    def the_reconciler_looks(self, silent: bool) -> None:
        now = self.world.clock()
        for payment in self.ids:
            if not silent:
                self._let_the_processor_decide(payment)
            payment.reconcile(now, self.world.not_found_final, silent=silent)
        self.world.reconcile(*self.ids.values(), silent=silent)
        for _ in range(0 if silent else LOOKS):
            if all(self._shown(payment) == payment.shown for payment in self.ids):
                break
            time.sleep(0.02)
            self.world.reconcile(*self.ids.values())
        for payment in self.ids:
            self._check(payment)

    def teardown(self) -> None:
        """The processor repeats what it was not heard saying, time passes, the reconciler looks: now everything has to agree."""
        for payment in self.ids:
            self._let_the_processor_decide(payment)
            for told in self.world.notifications(self.ids[payment]) if payment.late else []:
                self.world.deliver(told)
        self.world.clock.ahead += LONG_ENOUGH
        self.the_reconciler_looks(silent=False)
        self.the_reconciler_looks(silent=False)
        for payment, payment_id in self.ids.items():
            self._agree(payment, payment_id)

    def _create(self, token: str, manual: bool, confirm: bool, line: Line) -> Payment:
        payment = Payment(AMOUNT, manual, token)
        body = {"amount": AMOUNT, "currency": "EUR", "payment_method": token, "confirm": confirm}
        body |= {"capture_method": "manual" if manual else "automatic"}
        order = self._send(payment, "payments", body, "authorize" if confirm else "note down", AMOUNT, line, None)
        assert order is not None
        self.ids[payment] = order.answer.json()["id"]
        self._check(payment)
        return payment

    def _send(
        self,
        payment: Payment,
        path: str,
        body: dict[str, Any],
        kind: str,
        amount: int,
        line: Line,
        refusal: Refusal | None,
    ) -> Order | None:
        """Send a write over the line, and hold the answer against the model."""
        if line is not Line.LOST_BEFORE and payment.token in TIMES_OUT.get(kind, ()):
            line = Line.TIMES_OUT
        key = uuid4().hex
        answer = self.world.post(path, body, key, line)
        if refusal is not None:
            assert refusal_of(answer) == refusal
            return None
        order = Order(payment, path, body, key, answer, None)
        self.orders.append(order)
        if kind in {"note down", "drop"}:  # no processor is asked
            assert answer.status == (201 if kind == "note down" else 200), answer
            if kind == "drop":
                payment.cancel()
        else:
            order.open = self._went(payment, kind, amount, line, answer)
        return order

    def _went(self, payment: Payment, kind: str, amount: int, line: Line, answer: Answer) -> Open | None:
        now = self.world.clock()
        reached = line is not Line.LOST_BEFORE and not (kind == "authorize" and payment.token in NEVER_CHARGED)
        willing = {"cancel": payment.voidable(), "refund": SLOW_REFUNDS.get(payment.token, True)}.get(kind, True)
        each = Open(kind, amount, reached and willing, reached, now)
        if line is not Line.GOOD or not reached:
            assert answer.status == 202, answer
            payment.open.append(each)
            if kind == "authorize":
                payment.status = "processing"
            return each
        if kind == "cancel" and not each.done:
            assert refusal_of(answer) == PROCESSOR_DECLINED
            return None
        assert answer.status in {200, 201}, answer
        if kind == "authorize":
            payment.authorized(now)
            return None
        payment.open.append(each)
        if kind == "refund" and payment.token in SLOW_REFUNDS:
            assert answer.json()["status"] == "pending"
        else:
            payment.find_out(each, now)
        return None

    def _let_the_processor_decide(self, payment: Payment) -> None:
        charged_late = payment.token == "tok_late_success" and (
            payment.status == "failed" or any(each.reached for each in payment.open if each.kind == "authorize")
        )
        if charged_late or (payment.token in SLOW_REFUNDS and payment.under_way("refund")):
            self.world.wait_for_the_processor(self.ids[payment], late=charged_late)

    def _shown(self, payment: Payment) -> tuple[str, int, int, int]:
        shown = self.world.payment(self.ids[payment])
        return shown["status"], shown["amount_capturable"], shown["amount_captured"], shown["amount_refunded"]

    def _check(self, payment: Payment) -> None:
        assert self._shown(payment) == payment.shown

    def _agree(self, payment: Payment, payment_id: str) -> None:
        """Payment, ledger, events and processor tell the same, and nothing is left over."""
        shown, books, charges = (
            self.world.payment(payment_id),
            self.world.books(payment_id),
            self.world.charges(payment_id),
        )
        assert (books["captured"], books["refunded"]) == (shown["amount_captured"], shown["amount_refunded"])
        assert books["refunds_succeeded"] == shown["amount_refunded"]
        assert books["versions"] == list(range(1, shown["version"] + 1))
        assert (books["gaps"], books["capture_pending"], books["refund_pending"], books["refunds_pending"]) == (
            [],
            0,
            0,
            0,
        )
        assert books["open"] == (["authorize"] if shown["status"] == "requires_action" else [])
        assert len(charges) <= 1, "charged twice"
        for charge in charges:
            at_processor = charge["amount_captured"], charge["amount_refunded"]
            if payment.late:
                assert shown["review"] == "late_success_reversed"
                assert at_processor == ((0, 0) if payment.manual else (AMOUNT, AMOUNT))
                assert charge["status"] == ("voided" if payment.manual else "captured")
            else:
                assert at_processor == (shown["amount_captured"], shown["amount_refunded"])
                assert (charge["status"] == "voided") == (shown["status"] == "canceled")


def test_payment_ledger_and_processor_agree_after_every_story(world: World) -> None:
    class Story(LifeCycle):
        def __init__(self) -> None:
            super().__init__(world)

    run_state_machine_as_test(Story, settings=STORIES)
