"""Notifications: what the processor signed is believed, and nothing else."""

import json
from typing import Any

import pytest
from guilder.processors import Approved, InvalidSignature, Pending, RequiresAction

from tests.contract.adapters import Adapter, Situation, Told
from tests.contract.orders import authorization, change, charge, eventually


async def told_of(adapter: Adapter, operation: str) -> list[Told]:
    """The notifications of an operation, once there are any."""

    async def ask() -> list[Told]:
        return adapter.told_of(operation)

    return await eventually(ask, bool)


@pytest.fixture
async def told(adapter: Adapter) -> Told:
    """A genuine one."""
    order = authorization(adapter, capture=True)
    assert isinstance(await adapter.processor.authorize(order), Approved)
    return (await told_of(adapter, order.operation))[0]


async def test_a_charge_that_an_action_completed_is_told_of(adapter: Adapter) -> None:
    order = authorization(adapter, Situation.REQUIRES_ACTION)
    action = await adapter.processor.authorize(order)
    assert isinstance(action, RequiresAction)
    await adapter.complete_action(action, approve=True)
    for told in await told_of(adapter, order.operation):
        notification = adapter.processor.parse_notification(told.headers, told.body)
        assert notification.operation == order.operation
        assert notification.id
        assert notification.type


async def test_a_refund_that_was_decided_later_is_told_of(adapter: Adapter) -> None:
    """The operation is the refund's, not the charge's: it is what to look up."""
    order = change(await charge(adapter, Situation.REFUND_PENDING, capture=True))
    assert isinstance(await adapter.processor.refund(order), Pending)
    told = (await told_of(adapter, order.operation))[-1]
    assert adapter.processor.parse_notification(told.headers, told.body).operation == order.operation


async def test_a_repetition_has_the_same_id(adapter: Adapter, told: Told) -> None:
    again = adapter.sign(told.body, age_s=5)
    first = adapter.processor.parse_notification(told.headers, told.body)
    assert adapter.processor.parse_notification(again.headers, again.body) == first


@pytest.mark.parametrize("age_s", [295, -295])
async def test_clocks_may_differ_a_little(adapter: Adapter, told: Told, age_s: int) -> None:
    signed = adapter.sign(told.body, age_s=age_s)
    assert adapter.processor.parse_notification(signed.headers, signed.body).operation


@pytest.mark.parametrize("age_s", [305, -305, 10**9])
async def test_what_was_signed_at_another_time_is_refused(adapter: Adapter, told: Told, age_s: int) -> None:
    signed = adapter.sign(told.body, age_s=age_s)
    with pytest.raises(InvalidSignature):
        adapter.processor.parse_notification(signed.headers, signed.body)


async def test_another_body_is_refused(adapter: Adapter, told: Told) -> None:
    changed: dict[str, Any] = json.loads(told.body)
    changed["type"] += "x"
    for body in (json.dumps(changed).encode(), told.body + b" ", told.body[:-1], b""):
        with pytest.raises(InvalidSignature):
            adapter.processor.parse_notification(told.headers, body)


@pytest.mark.parametrize("secret", ["another secret", " "])
async def test_anothers_signature_is_refused(adapter: Adapter, told: Told, secret: str) -> None:
    forged = adapter.sign(told.body, secret=secret)
    with pytest.raises(InvalidSignature):
        adapter.processor.parse_notification(forged.headers, forged.body)


async def test_no_signature_is_refused(adapter: Adapter, told: Told) -> None:
    bare = adapter.unsigned(told)
    with pytest.raises(InvalidSignature):
        adapter.processor.parse_notification(bare.headers, bare.body)


def garbled(signature: str) -> list[str]:
    """A signature with each of its parts damaged or missing."""
    replaced = [(",", ";"), ("v1=", "v0="), ("t=", "t=-"), ("t=", "t=٣"), ("t=", "t=" + "9" * 5000), ("t=", "T=")]
    return [
        "",
        ",=,=,",
        signature[:-1],
        signature[:-2] + "é",
        signature + ",t=1",
        *(signature.replace(*one) for one in replaced),
    ]


async def test_a_garbled_signature_is_refused(adapter: Adapter, told: Told) -> None:
    for name, value in told.headers.items():
        for wrong in garbled(value):
            with pytest.raises(InvalidSignature):
                adapter.processor.parse_notification({**told.headers, name: wrong}, told.body)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"garbage", b"null", b"[]", b"7", b"{}", b"[" * 100_000, b'{"id": "n", "type": "t", "data": {}}',
        b'{"id": "n", "type": "t", "data": []}', b'{"id": 7, "type": "t", "data": {"charge": {"idempotency_key": "op"}}}',
        b'{"id": "", "type": "t", "data": {"charge": {"idempotency_key": "op"}}}',
        b'{"id": "n", "type": "t", "data": {"charge": {"idempotency_key": null}}}',
    ],
    ids=lambda body: body[:40].decode(),
)  # fmt: skip
async def test_signed_garbage_is_not_understood(adapter: Adapter, body: bytes) -> None:
    signed = adapter.sign(body)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the contract says no more than that)
        adapter.processor.parse_notification(signed.headers, signed.body)
    assert not isinstance(caught.value, InvalidSignature)
