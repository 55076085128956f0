"""What every processor does when asked, and what it says of it afterwards."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from guilder.money import Money
from guilder.processors import (
    FAILURE_CODES,
    Approved,
    Declined,
    NotFound,
    Outcome,
    Pending,
    RequiresAction,
    Unknown,
)

from tests.contract.adapters import Adapter, Situation
from tests.contract.orders import AMOUNT, authorization, book, change, charge, eventually, key


def declined(outcome: Outcome | NotFound, code: str) -> Declined:
    """It is declined for this reason, in words that Guilder knows."""
    assert isinstance(outcome, Declined), outcome
    assert outcome.code == code
    assert outcome.code in FAILURE_CODES
    assert outcome.message
    assert outcome.processor_code
    return outcome


@pytest.mark.parametrize("capture", [False, True])
async def test_a_charge_is_approved_and_found_again(adapter: Adapter, capture: bool) -> None:
    order = authorization(adapter, capture=capture)
    outcome = await adapter.processor.authorize(order)
    assert isinstance(outcome, Approved)
    assert await adapter.processor.lookup(order.operation) == outcome
    booked = await book(adapter.processor, outcome.reference)
    assert (booked.payment, booked.operation, booked.amount, booked.currency) == (
        order.reference, order.operation, AMOUNT, "EUR",
    )  # fmt: skip
    assert (booked.amount_captured, booked.amount_refunded) == (AMOUNT if capture else 0, 0)


@pytest.mark.parametrize(
    ("situation", "code"),
    [(Situation.CARD_DECLINED, "card_declined"), (Situation.INSUFFICIENT_FUNDS, "insufficient_funds")],
)
async def test_a_charge_is_declined(adapter: Adapter, situation: Situation, code: str) -> None:
    order = authorization(adapter, situation)
    outcome = declined(await adapter.processor.authorize(order), code)
    assert await adapter.processor.lookup(order.operation) == outcome
    assert outcome.reference is not None
    assert (await book(adapter.processor, outcome.reference)).amount_captured == 0


async def test_a_payment_method_that_does_not_exist(adapter: Adapter) -> None:
    order = replace(authorization(adapter), payment_method="tok_of_nobody")
    declined(await adapter.processor.authorize(order), "payment_method_invalid")


@pytest.mark.parametrize("approve", [True, False])
async def test_an_action_is_required_and_its_completion_is_seen(adapter: Adapter, approve: bool) -> None:
    order = authorization(adapter, Situation.REQUIRES_ACTION, capture=True)
    action = await adapter.processor.authorize(order)
    assert isinstance(action, RequiresAction)
    assert action.url.startswith("http")
    assert await adapter.processor.lookup(order.operation) == action
    await adapter.complete_action(action, approve=approve)
    after = await adapter.processor.lookup(order.operation)
    if approve:
        assert after == Approved(action.reference)
    else:
        assert declined(after, "authentication_failed").reference == action.reference
    booked = await book(adapter.processor, action.reference)
    assert booked.amount_captured == (AMOUNT if approve else 0)


async def test_an_action_that_nobody_completes_can_be_canceled(adapter: Adapter) -> None:
    action = await adapter.processor.authorize(authorization(adapter, Situation.REQUIRES_ACTION))
    assert isinstance(action, RequiresAction)
    assert isinstance(await adapter.processor.cancel(change(action.reference)), Approved)


@pytest.mark.parametrize("amounts", [[AMOUNT], [400], [300, 300], [300, 300, 400]])
async def test_captures_add_up(adapter: Adapter, amounts: list[int]) -> None:
    """Two equal captures under two operations are two captures."""
    reference = await charge(adapter)
    for amount in amounts:
        order = change(reference, amount)
        assert await adapter.processor.capture(order) == Approved(reference)
        assert await adapter.processor.lookup(order.operation) == Approved(reference)
    assert (await book(adapter.processor, reference)).amount_captured == sum(amounts)


async def test_more_than_was_authorized_is_not_captured(adapter: Adapter) -> None:
    reference = await charge(adapter)
    order = change(reference, AMOUNT + 1)
    declined(await adapter.processor.capture(order), "amount_too_large")
    declined(await adapter.processor.lookup(order.operation), "amount_too_large")
    assert (await book(adapter.processor, reference)).amount_captured == 0


async def test_what_was_canceled_is_not_captured(adapter: Adapter) -> None:
    reference = await charge(adapter)
    canceled = change(reference)
    assert await adapter.processor.cancel(canceled) == Approved(reference)
    assert await adapter.processor.lookup(canceled.operation) == Approved(reference)
    order = change(reference)
    declined(await adapter.processor.capture(order), "charge_not_capturable")
    declined(await adapter.processor.lookup(order.operation), "charge_not_capturable")
    again = change(reference)
    declined(await adapter.processor.cancel(again), "charge_not_cancelable")
    declined(await adapter.processor.lookup(again.operation), "charge_not_cancelable")


async def test_what_was_captured_is_not_canceled(adapter: Adapter) -> None:
    reference = await charge(adapter, capture=True)
    declined(await adapter.processor.cancel(change(reference)), "charge_not_cancelable")


async def test_the_rest_is_canceled(adapter: Adapter) -> None:
    reference = await charge(adapter)
    await adapter.processor.capture(change(reference, 300))
    assert await adapter.processor.cancel(change(reference, AMOUNT - 300)) == Approved(reference)
    declined(await adapter.processor.capture(change(reference, 1)), "charge_not_capturable")
    assert (await book(adapter.processor, reference)).amount_captured == 300


async def test_the_authorization_of_a_canceled_charge_stays_approved(adapter: Adapter) -> None:
    order = authorization(adapter)
    outcome = await adapter.processor.authorize(order)
    assert isinstance(outcome, Approved)
    await adapter.processor.cancel(change(outcome.reference))
    assert await adapter.processor.lookup(order.operation) == outcome


@pytest.mark.parametrize("amounts", [[AMOUNT], [400], [300, 300]])
async def test_refunds_add_up(adapter: Adapter, amounts: list[int]) -> None:
    reference = await charge(adapter, capture=True)
    refunds = set()
    for amount in amounts:
        order = change(reference, amount)
        outcome = await adapter.processor.refund(order)
        assert isinstance(outcome, Approved)
        assert await adapter.processor.lookup(order.operation) == outcome
        refunds.add(outcome.reference)
    assert len(refunds) == len(amounts)
    assert reference not in refunds
    assert (await book(adapter.processor, reference)).amount_refunded == sum(amounts)


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [(0, AMOUNT + 1, "amount_too_large"), (600, 401, "amount_too_large"), (AMOUNT, 1, "charge_not_refundable")],
)
async def test_no_more_than_was_captured_is_refunded(adapter: Adapter, first: int, second: int, code: str) -> None:
    reference = await charge(adapter, capture=True)
    if first:
        assert isinstance(await adapter.processor.refund(change(reference, first)), Approved)
    order = change(reference, second)
    declined(await adapter.processor.refund(order), code)
    declined(await adapter.processor.lookup(order.operation), code)
    assert (await book(adapter.processor, reference)).amount_refunded == first


async def test_what_was_not_captured_is_not_refunded(adapter: Adapter) -> None:
    declined(await adapter.processor.refund(change(await charge(adapter))), "charge_not_refundable")


@pytest.mark.parametrize("situation", [Situation.REFUND_PENDING, Situation.REFUND_FAILS])
async def test_a_refund_is_decided_later(adapter: Adapter, situation: Situation) -> None:
    reference = await charge(adapter, situation, capture=True)
    order = change(reference, 400)
    pending = await adapter.processor.refund(order)
    assert isinstance(pending, Pending)

    after = await eventually(lambda: adapter.processor.lookup(order.operation), lambda found: found != pending)
    if situation is Situation.REFUND_PENDING:
        assert after == Approved(pending.reference)
    else:
        assert declined(after, "refund_failed").reference == pending.reference
    booked = await book(adapter.processor, reference)
    assert booked.amount_refunded == (400 if situation is Situation.REFUND_PENDING else 0)


async def test_a_repeated_charge_is_one_charge(adapter: Adapter) -> None:
    order = authorization(adapter, capture=True)
    outcomes = await asyncio.gather(*(adapter.processor.authorize(order) for _ in range(5)))
    outcomes.append(await adapter.processor.authorize(order))
    assert len(set(outcomes)) == 1
    assert isinstance(outcomes[0], Approved)
    await book(adapter.processor, outcomes[0].reference)


async def test_a_repeated_change_is_one_change(adapter: Adapter) -> None:
    reference = await charge(adapter)
    capture, refund = change(reference, 500), change(reference, 200)
    captures = [await adapter.processor.capture(capture) for _ in range(3)]
    refunds = [await adapter.processor.refund(refund) for _ in range(3)]
    assert captures == [Approved(reference)] * 3
    assert refunds == [refunds[0]] * 3
    booked = await book(adapter.processor, reference)
    assert (booked.amount_captured, booked.amount_refunded) == (500, 200)


async def test_an_operation_that_comes_again_as_another_decides_nothing(adapter: Adapter) -> None:
    """That would be a fault of ours, and neither an approval nor a decline of either."""
    order = authorization(adapter)
    first = await adapter.processor.authorize(order)
    assert isinstance(first, Approved)
    assert isinstance(await adapter.processor.authorize(replace(order, money=Money(AMOUNT + 1, "EUR"))), Unknown)
    assert await adapter.processor.lookup(order.operation) == first


async def test_what_was_never_sent_is_not_found(adapter: Adapter) -> None:
    assert await adapter.processor.lookup(key()) == NotFound()


@pytest.mark.parametrize("text", ["a/../b", "a b", "é", "?x=1", "ch_1?x=1", "%2e", "a" * 300])
async def test_no_name_leads_elsewhere(adapter: Adapter, text: str) -> None:
    """A name that is not the processor's never reaches another of its routes, and raises nothing."""
    assert not isinstance(await adapter.processor.lookup(text), Approved | Declined | Pending | RequiresAction)
    for ask in (adapter.processor.capture, adapter.processor.cancel, adapter.processor.refund):
        assert isinstance(await ask(change(text)), Unknown)


async def test_every_charge_is_listed_once_across_pages(adapter: Adapter) -> None:
    since = datetime.now(UTC)
    orders = [authorization(adapter) for _ in range(adapter.page_size + 7)]
    for start in range(0, len(orders), 20):
        await asyncio.gather(*(adapter.processor.authorize(order) for order in orders[start : start + 20]))
    until = datetime.now(UTC)
    listed = [charge async for charge in adapter.processor.list_charges(since, until)]
    assert sorted(charge.operation for charge in listed) == sorted(order.operation for order in orders)

    listed.sort(key=lambda charge: charge.created_at)
    first, last = listed[0].created_at, listed[-1].created_at
    within = [charge async for charge in adapter.processor.list_charges(first, last)]
    assert {charge.reference for charge in within} == {
        charge.reference for charge in listed if first <= charge.created_at < last
    }
    assert [charge async for charge in adapter.processor.list_charges(until, until)] == []
