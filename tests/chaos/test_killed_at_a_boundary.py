"""SIGKILL between any two steps: a retry, or the reconciler alone, brings it to its end; nothing is done twice, nothing stays behind.

The killed worker is a process of its own, and the trap lies exactly at the boundary (see ``boundaries``).
"""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from tests.chaos.boundaries import NEVER_ASKED, Boundary, trap, trap_after_take_over
from tests.chaos.world import Merchant, World
from tests.support.gateway import Answer
from tests.support.workers import Call, Preparation, RemoteEnvironment, WorkerDied, payment, until_decided

pytestmark = pytest.mark.timeout(240)

AT_ONCE = 10
AMOUNT = 1050
PART = 400

type Prepared = Callable[[RemoteEnvironment], Call]
"""Makes what the operation needs, undisturbed, and says what is then to be asked of the worker that dies."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One kind of operation: how it is asked for, and what it comes to when it is done and when it was never begun."""

    name: str
    prepared: Prepared
    done: tuple[int, str, int]
    """Status of the answer, of the object in it, and the amount captured or refunded."""
    never_done: tuple[int, str, int]


def _paid(environment: RemoteEnvironment, **fields: object) -> str:
    answer = environment.pay(uuid4().hex, **fields)
    assert answer.status == 201, answer
    return str(answer.json()["id"])


def _create(_: RemoteEnvironment) -> Call:
    return payment(uuid4().hex)


def _confirm(environment: RemoteEnvironment) -> Call:
    return Call("POST", f"/v1/payments/{_paid(environment, confirm=False)}/confirm", {}, uuid4().hex)


def _capture(environment: RemoteEnvironment) -> Call:
    paid = _paid(environment, capture_method="manual")
    return Call("POST", f"/v1/payments/{paid}/capture", {"amount": PART}, uuid4().hex)


def _cancel(environment: RemoteEnvironment) -> Call:
    return Call("POST", f"/v1/payments/{_paid(environment, capture_method='manual')}/cancel", {}, uuid4().hex)


def _refund(environment: RemoteEnvironment) -> Call:
    return Call("POST", "/v1/refunds", {"payment": _paid(environment), "amount": PART}, uuid4().hex)


DEEDS = (
    Deed("create", _create, (201, "succeeded", AMOUNT), (201, "failed", 0)),
    Deed("confirm", _confirm, (200, "succeeded", AMOUNT), (200, "failed", 0)),
    Deed("capture", _capture, (200, "requires_capture", PART), (409, "409", 0)),
    Deed("cancel", _cancel, (200, "canceled", 0), (409, "409", 0)),
    Deed("refund", _refund, (201, "succeeded", PART), (201, "failed", PART)),
)


def _gist(answer: Answer) -> tuple[int, str, int]:
    body: dict[str, Any] = answer.json()
    amount = body["amount"] if body.get("object") == "refund" else body.get("amount_captured", 0)
    return answer.status, str(body["status"]), amount


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What is left when every deed has been asked of a worker that died of it, at every boundary."""

    merchant: Merchant
    survivor: RemoteEnvironment
    asked: dict[Boundary, list[tuple[Deed, Call]]]


@contextmanager
def aftermath(merchant: Merchant) -> Iterator[Aftermath]:
    """All of them die at about the same time, so that their leases end together and each test need not wait for its own."""
    with merchant.worker() as worker, ThreadPoolExecutor(AT_ONCE) as threads:
        survivor = worker.environments[0]
        asked = {boundary: [(deed, deed.prepared(survivor)) for deed in DEEDS] for boundary in Boundary}
        deaths = [
            threads.submit(_die_of, merchant, trap(boundary), call)
            for boundary, calls in asked.items()
            for _, call in calls
        ]
        for death in deaths:
            death.result()
        yield Aftermath(merchant, survivor, asked)


def _die_of(merchant: Merchant, preparation: Preparation, call: Call) -> None:
    """Have a worker asked that dies of it; one that lives on is a trap that nobody stepped into."""
    with merchant.worker(1, preparation) as worker:
        try:
            answer = until_decided(worker.environments[0], call)
        except WorkerDied:
            assert worker.was_killed(), call
        else:
            pytest.fail(f"the trap did not close: {preparation}, {call}: {answer}")


@pytest.fixture(scope="module")
def left_to_the_callers(world: World) -> Iterator[Aftermath]:
    with aftermath(world.merchant()) as left:
        yield left


@pytest.fixture(scope="module")
def left_to_the_reconciler(world: World) -> Iterator[Aftermath]:
    with aftermath(world.merchant()) as left:
        yield left


def check_answers(left: Aftermath, boundary: Boundary) -> None:
    """The caller asks again with the same key until the answer is final; it then stays the same, to the byte."""
    for deed, call in left.asked[boundary]:
        answer = until_decided(left.survivor, call)
        expected = deed.never_done if boundary in NEVER_ASKED else deed.done
        assert _gist(answer) == expected, (deed.name, answer)
        again = left.survivor.send(call)
        assert (again.status, again.body, again.headers["idempotency-replayed"]) == (answer.status, answer.body, "true")


@pytest.mark.parametrize("boundary", Boundary)
def test_a_retry_brings_it_to_its_end(left_to_the_callers: Aftermath, boundary: Boundary) -> None:
    check_answers(left_to_the_callers, boundary)


def test_when_all_have_asked_again_nothing_is_left_for_the_reconciler(left_to_the_callers: Aftermath) -> None:
    left = left_to_the_callers
    for _, call in itertools.chain.from_iterable(left.asked.values()):
        until_decided(left.survivor, call)
    assert left.merchant.faults() == []
    assert left.survivor.verify(left.merchant.since) == []


def test_the_reconciler_brings_all_to_its_end_if_nobody_asks_again(left_to_the_reconciler: Aftermath) -> None:
    left = left_to_the_reconciler
    assert left.merchant.settle_down(left.survivor) == []
    before = left.merchant.payments()
    for boundary in Boundary:
        check_answers(left, boundary)
    assert left.merchant.faults() == []
    assert left.merchant.payments() == before + 1, "one creation had died before anything of it was written down"


def test_who_takes_over_may_die_as_well(world: World) -> None:
    """The first dies after the processor answered, a retry after it has taken over, another while it writes down; a fourth ends it."""
    merchant = world.merchant()
    with merchant.worker() as worker, ThreadPoolExecutor(len(DEEDS)) as threads:
        survivor = worker.environments[0]
        asked = [(deed, deed.prepared(survivor)) for deed in DEEDS]
        for preparation in (trap(Boundary.ANSWERED), trap_after_take_over(), trap(Boundary.SETTLING)):
            for death in [threads.submit(_die_of, merchant, preparation, call) for _, call in asked]:
                death.result()
        check_answers(Aftermath(merchant, survivor, {Boundary.ANSWERED: asked}), Boundary.ANSWERED)
        assert merchant.faults() == []
