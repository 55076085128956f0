"""Notifications: signed, in order, at least once, and not lost by a crash."""

from __future__ import annotations

import hashlib
import hmac
import time
from pathlib import Path

from tests.simulator.conftest import NOTIFICATION_SECRET, NewDatabase
from tests.simulator.receiver import Receiver, receiving
from tests.simulator.service import Processor, new, running


def types(notifications: list[dict[str, object]]) -> list[object]:
    return [notification["type"] for notification in notifications]


async def test_the_life_of_a_charge_is_told_in_order(processor: Processor, receiver: Receiver) -> None:
    reference = new("pay")
    charge = (await processor.charge(reference=reference, amount=100, capture=False)).json()
    await processor.move("capture", charge["id"], amount=60)
    await processor.move("void", charge["id"])
    refund = (await processor.move("refunds", charge["id"], amount=10)).json()["refund"]
    told = receiver.wait_for(reference, 4)
    assert types(told) == ["charge.authorized", "charge.captured", "charge.voided", "refund.succeeded"]
    assert len({notification["id"] for notification in told}) == 4
    assert set(told[0]) == {"id", "type", "created_at", "data"}
    assert told[0]["id"].startswith("ntf_")
    assert told[0]["data"] == {"charge": charge}
    assert told[1]["data"]["charge"]["amount_captured"] == 60
    assert told[3]["data"]["refund"] == refund
    assert told[3]["data"]["charge"]["amount_refunded"] == 10


async def test_failures_and_immediate_captures_are_told(processor: Processor, receiver: Receiver) -> None:
    good, bad = new("pay"), new("pay")
    await processor.charge(reference=good)
    await processor.charge("tok_declined", reference=bad)
    assert types(receiver.wait_for(good, 2)) == ["charge.authorized", "charge.captured"]
    assert types(receiver.wait_for(bad, 1)) == ["charge.failed"]


async def test_each_delivery_is_signed(processor: Processor, receiver: Receiver) -> None:
    reference = new("pay")
    await processor.charge(reference=reference)
    receiver.wait_for(reference, 2)
    for delivery in receiver.deliveries:
        timestamp, signature = (part.split("=", 1) for part in delivery.signature.split(","))
        assert (timestamp[0], signature[0]) == ("t", "v1")
        assert abs(int(timestamp[1]) - time.time()) < 600
        signed = timestamp[1].encode() + b"." + delivery.body
        assert signature[1] == hmac.new(NOTIFICATION_SECRET.encode(), signed, hashlib.sha256).hexdigest()


async def test_a_completed_action_is_told(processor: Processor, receiver: Receiver) -> None:
    reference = new("pay")
    charge = (await processor.charge("tok_requires_action", reference=reference)).json()
    assert receiver.about(reference) == []
    await processor.post(f"/actions/{charge['id']}", data={"outcome": "approve"})
    told = receiver.wait_for(reference, 2)
    assert types(told) == ["charge.authorized", "charge.captured"]
    refused = new("pay")
    charge = (await processor.charge("tok_requires_action", reference=refused)).json()
    await processor.post(f"/actions/{charge['id']}", data={"outcome": "decline"})
    assert types(receiver.wait_for(refused, 1)) == ["charge.failed"]


async def test_a_late_success_is_told_after_the_failure(processor: Processor, receiver: Receiver) -> None:
    reference = new("pay")
    await processor.charge("tok_late_success", reference=reference)
    told = receiver.wait_for(reference, 3)
    assert types(told) == ["charge.failed", "charge.authorized", "charge.captured"]


async def test_refunds_that_are_decided_later_are_told(processor: Processor, receiver: Receiver) -> None:
    for source, event in [("tok_refund_pending", "refund.succeeded"), ("tok_refund_fails", "refund.failed")]:
        reference = new("pay")
        charge = (await processor.charge(source, reference=reference)).json()
        await processor.move("refunds", charge["id"], amount=10)
        told = receiver.wait_for(reference, 3)
        assert types(told)[2] == event
        assert told[2]["data"]["refund"]["status"] == event.removeprefix("refund.")


async def test_duplicates_have_the_same_id(processor: Processor, receiver: Receiver) -> None:
    reference = new("pay")
    await processor.charge("tok_duplicate_notification", reference=reference)
    told = receiver.wait_for(reference, 4)
    assert types(told) == ["charge.authorized"] * 2 + ["charge.captured"] * 2
    assert told[0] == told[1]
    assert told[2] == told[3]
    assert told[0]["id"] != told[2]["id"]


async def test_out_of_order(processor: Processor, receiver: Receiver) -> None:
    at_once, later = new("pay"), new("pay")
    await processor.charge("tok_out_of_order_notification", reference=at_once)
    assert types(receiver.wait_for(at_once, 2)) == ["charge.captured", "charge.authorized"]
    charge = (await processor.charge("tok_out_of_order_notification", reference=later, capture=False)).json()
    await processor.move("capture", charge["id"])
    await processor.move("refunds", charge["id"], amount=1)
    told = types(receiver.wait_for(later, 3))
    assert told[0] == "charge.captured"
    assert set(told[1:]) == {"charge.authorized", "refund.succeeded"}


async def test_a_refused_notification_is_sent_again(new_database: NewDatabase, tmp_path: Path) -> None:
    with receiving() as receiver:
        receiver.refusals_left = 2
        secret = {"SIMULATOR_NOTIFICATION_URL": receiver.url, "SIMULATOR_NOTIFICATION_SECRET": "s"}
        with running(await new_database(), tmp_path / "log", **secret) as simulator:
            async with simulator.client() as processor:
                reference = new("pay")
                await processor.charge("tok_declined", reference=reference)
                receiver.wait_for(reference, 1)
                assert receiver.refusals_left == 0
                stored = (await processor.get("/notifications", params={"reference": reference})).json()["data"]
                assert [one["attempts"] for one in stored] == [3]


async def test_a_notification_is_resent_on_request(processor: Processor, receiver: Receiver) -> None:
    reference = new("pay")
    await processor.charge("tok_declined", reference=reference)
    first = receiver.wait_for(reference, 1)[0]
    listed = (await processor.get("/notifications", params={"reference": reference})).json()
    assert listed["has_more"] is False
    assert [(one["id"], one["type"]) for one in listed["data"]] == [(first["id"], "charge.failed")]
    assert listed["data"][0]["payload"] == first
    answer = await processor.post(f"/notifications/{first['id']}/resend")
    assert (answer.status_code, answer.json()["id"]) == (202, first["id"])
    assert receiver.wait_for(reference, 2)[1] == first
    assert (await processor.post(f"/notifications/{new('ntf')}/resend")).status_code == 404


async def test_without_an_address_notifications_are_stored_and_not_sent(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    with running(await new_database(), tmp_path / "log") as simulator:
        async with simulator.client() as processor:
            reference = new("pay")
            await processor.charge(reference=reference)
            stored = (await processor.get("/notifications", params={"reference": reference})).json()["data"]
            assert types(stored) == ["charge.authorized", "charge.captured"]
            assert [(one["attempts"], one["next_attempt_at"]) for one in stored] == [(0, None)] * 2
            refused = await processor.post(f"/notifications/{stored[0]['id']}/resend")
            assert (refused.status_code, refused.json()["error"]["code"]) == (409, "not_configured")


async def test_what_was_not_sent_before_a_crash_is_sent_after_it(new_database: NewDatabase, tmp_path: Path) -> None:
    with receiving() as receiver:
        receiver.refusals_left = 1_000_000
        secret = {"SIMULATOR_NOTIFICATION_URL": receiver.url, "SIMULATOR_NOTIFICATION_SECRET": "s"}
        with running(await new_database(), tmp_path / "log", **secret) as simulator:
            references = [new("pay") for _ in range(20)]
            async with simulator.client() as processor:
                for reference in references:
                    await processor.charge(reference=reference)
                late = new("pay")
                await processor.charge("tok_late_success", reference=late)
            simulator.kill()
            receiver.refusals_left = 0
            simulator.start()
            for reference in references:
                assert set(types(receiver.wait_for(reference, 2, 30))) == {"charge.authorized", "charge.captured"}
            assert "charge.captured" in types(receiver.wait_for(late, 3, 30))
