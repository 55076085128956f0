"""The processor at its worst: it charges and does not say so, says so late, twice or out of order, changes its mind, or fails.

Every key is asked for by several callers at the same time. Each ends with one payment, in the state that the processor's books bear out.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest
from guilder import ids

from tests.chaos.conftest import own_processor
from tests.chaos.crowd import Crowd, at_work, environments_of
from tests.chaos.receiver import PATH, free_port, hearing
from tests.chaos.world import HURRIED, SCALE, Merchant, World
from tests.support.sql import Sql
from tests.support.workers import Call, RemoteEnvironment, payment

pytestmark = pytest.mark.timeout(240 * SCALE)

SECRET = "a secret that both sides know"
CALLERS = 3
OF_EACH = 2 * SCALE
LIMIT_S = 60.0
REVERSED = "failed, late_success_reversed"

CREATED = {
    "tok_visa": {"succeeded"},
    "tok_declined": {"failed"},
    "tok_slow": {"succeeded"},
    "tok_timeout_after_charge": {"succeeded"},
    "tok_timeout_before_charge": {"failed"},
    "tok_error_once": {"failed"},
    "tok_late_success": {REVERSED},
    "tok_duplicate_notification": {"succeeded"},
}
"""What payments come to by their tokens, captured at once."""

CAPTURED = ("tok_timeout_after_capture", "tok_out_of_order_notification")
REFUNDED = {
    "tok_timeout_after_refund": "succeeded",
    "tok_refund_pending": "succeeded",
    "tok_refund_fails": "failed",
    "tok_duplicate_notification": "succeeded",
}


@dataclass(frozen=True, slots=True)
class Scene:
    """A merchant whose processor notifies."""

    merchant: Merchant
    environments: list[RemoteEnvironment]

    def ask(self, calls: list[Call]) -> Crowd:
        """Have each call asked by several callers; all of them end with the same answer."""
        with at_work(self.environments, calls, CALLERS, LIMIT_S) as crowd:
            pass
        assert crowd.disagreements() == []
        assert max(crowd.statuses) <= 409, crowd.statuses
        return crowd

    def show(self, path: str) -> dict[str, object]:
        """Read an object."""
        answer = self.environments[0].send(Call("GET", path))
        assert answer.status == 200, answer
        shown: dict[str, object] = answer.json()
        return shown

    def notified_of(self) -> set[str]:
        """The types of the notifications that came in."""
        merchant = ids.decode("mer", self.merchant.id).uuid
        with Sql(self.merchant.database_url) as sql:
            rows = sql.rows("SELECT DISTINCT type FROM notifications WHERE merchant_id = $1", merchant)
        return {row["type"] for row in rows}


@pytest.fixture
def scene(world: World, tmp_path: Path) -> Iterator[Scene]:
    """The processor holds answers back for longer than Guilder waits."""
    port, secrets = free_port(), tmp_path / "secrets.json"
    secrets.write_text(json.dumps({"simulator": {"notification_secret": SECRET}}))
    variables = {
        "SIMULATOR_HANG_SECONDS": "6",
        "SIMULATOR_NOTIFICATION_URL": f"http://127.0.0.1:{port}{PATH}",
        "SIMULATOR_NOTIFICATION_SECRET": SECRET,
    }
    log = world.stack.paths.log("wayward-processor")
    with own_processor(world.services, log, f"wayward_{uuid4().hex}", **variables) as simulator:
        merchant = world.merchant(
            replace(HURRIED, processor=2.0),
            lambda settings: replace(settings, simulator_url=simulator.url, processor_secrets_file=str(secrets)),
        )
        with hearing(merchant.place, port), environments_of(merchant) as environments:
            yield Scene(merchant, environments)


def test_every_way_of_a_processor_ends_well(scene: Scene) -> None:
    crowd = scene.ask([
        payment(f"{token}-{number}", payment_method=token, capture_method="manual" if token in CAPTURED else "automatic")
        for token in (*CREATED, *CAPTURED, *REFUNDED.keys() - CREATED.keys())
        for number in range(OF_EACH)
    ])  # fmt: skip
    made = {key: str(told[0].last.json()["id"]) for key, told in crowd.told.items()}
    of_token = {
        token: [made[f"{token}-{number}"] for number in range(OF_EACH)] for token in (*CREATED, *CAPTURED, *REFUNDED)
    }
    refunds = _capture_and_refund(scene, of_token)
    deadline = time.monotonic() + LIMIT_S
    while (unexpected := _unexpected(scene, of_token, refunds)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert unexpected == []
    assert scene.merchant.settle_down(scene.environments[0], LIMIT_S) == []
    assert scene.merchant.payments() == len(made)
    assert {"charge.authorized", "charge.captured"} <= scene.notified_of()


def _capture_and_refund(scene: Scene, of_token: dict[str, list[str]]) -> dict[str, list[str]]:
    """Capture in two parts what is authorized, refund in part what is paid; the refunds by token."""
    captures = [
        Call("POST", f"/v1/payments/{paid}/capture", {"amount": part}, f"capture-{part}-{paid}")
        for token in CAPTURED
        for paid in of_token[token]
        for part in (400, 650)
    ]
    asked = {
        f"refund-{paid}": Call("POST", "/v1/refunds", {"payment": paid, "amount": 300}, f"refund-{paid}")
        for token in REFUNDED
        for paid in of_token[token]
    }
    told = scene.ask([*captures, *asked.values()]).told
    assert {told[call.key or ""][0].last.status for call in captures} == {200}
    return {token: [str(told[f"refund-{paid}"][0].last.json()["id"]) for paid in of_token[token]] for token in REFUNDED}


def _unexpected(scene: Scene, of_token: dict[str, list[str]], refunds: dict[str, list[str]]) -> list[str]:
    """What is not, or not yet, as it should be in the end; the reconciler has had one more go."""
    scene.environments[0].reconcile()
    found = []
    for token, payments in of_token.items():
        for paid in payments:
            shown = scene.show(f"/v1/payments/{paid}")
            state = ", ".join(str(shown[name]) for name in ("status", "review") if shown[name])
            if state not in CREATED.get(token, {"succeeded"}):
                found.append(f"{token} {paid}: {state}")
    for token, expected in REFUNDED.items():
        states = {str(scene.show(f"/v1/refunds/{refund}")["status"]) for refund in refunds[token]}
        if states != {expected}:
            found.append(f"{token}: refunds are {states}")
    return found
