"""What only the simulator does."""

from dataclasses import replace

import pytest
from guilder.config import ConfigurationError
from guilder.processors import Approved, Declined, NotFound, Unknown
from guilder.processors.simulator import Simulator

from tests.contract.adapters import SimulatorAdapter
from tests.contract.orders import authorization, book, change, eventually


async def test_a_decline_that_becomes_a_success_is_one(simulator_adapter: SimulatorAdapter) -> None:
    """The recorded answer stays a decline; the charge says otherwise, and the charge is what counts."""
    order = replace(authorization(simulator_adapter, capture=True), payment_method="tok_late_success")
    declined = await simulator_adapter.processor.authorize(order)
    assert isinstance(declined, Declined)
    after = await eventually(
        lambda: simulator_adapter.processor.lookup(order.operation), lambda found: found != declined
    )
    assert after == Approved(str(declined.reference))


async def test_a_charge_that_is_not_decided_is_unknown_and_then_not_found(simulator_adapter: SimulatorAdapter) -> None:
    order = replace(authorization(simulator_adapter), payment_method="tok_timeout_before_charge")
    assert isinstance(await simulator_adapter.processor.authorize(order), Unknown)
    after = await eventually(
        lambda: simulator_adapter.processor.lookup(order.operation), lambda found: not isinstance(found, Unknown)
    )
    assert after == NotFound()


async def test_a_fault_of_the_processor_is_unknown_and_may_be_repeated(simulator_adapter: SimulatorAdapter) -> None:
    order = replace(authorization(simulator_adapter), payment_method="tok_error_once")
    assert isinstance(await simulator_adapter.processor.authorize(order), Unknown)
    assert await simulator_adapter.processor.lookup(order.operation) == NotFound()
    assert isinstance(await simulator_adapter.processor.authorize(order), Approved)


@pytest.mark.parametrize(
    ("token", "captured", "refunded"),
    [("tok_timeout_after_charge", 0, 0), ("tok_timeout_after_capture", 400, 0), ("tok_timeout_after_refund", 400, 100)],
)
async def test_what_was_done_without_an_answer_is_found(
    simulator_adapter: SimulatorAdapter, token: str, captured: int, refunded: int
) -> None:
    order = replace(authorization(simulator_adapter), payment_method=token)
    await simulator_adapter.processor.authorize(order)
    charge = await simulator_adapter.processor.lookup(order.operation)
    assert isinstance(charge, Approved)
    for ask, amount in (
        (simulator_adapter.processor.capture, captured),
        (simulator_adapter.processor.refund, refunded),
    ):
        if amount:
            done = change(charge.reference, amount)
            await ask(done)
            assert isinstance(await simulator_adapter.processor.lookup(done.operation), Approved)
    booked = await book(simulator_adapter.processor, charge.reference)
    assert (booked.amount_captured, booked.amount_refunded) == (captured, refunded)


async def test_without_a_secret_nothing_is_believed(simulator_adapter: SimulatorAdapter) -> None:
    """An empty key would accept what anybody signed with an empty key."""
    without = Simulator(simulator_adapter.url, 1.0)
    signed = simulator_adapter.sign(b"{}", secret="")
    with pytest.raises(ConfigurationError):
        without.parse_notification(signed.headers, signed.body)
    await without.close()
