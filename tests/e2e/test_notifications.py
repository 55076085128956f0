"""What the local simulator reports reaches the deployed function by itself, and nobody else's word does."""

import json
import stat
import time
from typing import Any

import httpx
from guilder import ids

from tests.e2e.conftest import OUTPUTS
from tests.e2e.test_payment import pay
from tests.support.sql import Sql

STORED = """
SELECT n.type FROM notifications n
JOIN operations o ON (o.slot, o.merchant_id, o.livemode, o.id) = (n.slot, n.merchant_id, n.livemode, n.operation_id)
WHERE o.slot = $1 AND o.payment_id = $2
"""
PATIENCE_S = 30


def test_the_processors_notifications_are_stored(api: httpx.Client, books: Sql) -> None:
    place = ids.decode("pay", pay(api).json()["id"])
    deadline = time.monotonic() + PATIENCE_S
    while {row["type"] for row in books.rows(STORED, place.slot, place.uuid)} != {
        "charge.authorized",
        "charge.captured",
    }:
        assert time.monotonic() < deadline, "the simulator's outbox and its log say why (GET /notifications?reference=)"
        time.sleep(0.2)


def test_nobody_else_is_believed(api: httpx.Client, books: Sql) -> None:
    before = books.value("SELECT count(*) FROM notifications WHERE processor_id = 'forged'")
    body = json.dumps({"id": "forged", "type": "charge.captured", "data": {"charge": {"idempotency_key": "op_1"}}})
    for headers in ({}, {"Simulator-Signature": f"t={int(time.time())},v1={'0' * 64}"}):
        answer = api.post("/v1/notifications/simulator", content=body, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
        assert answer.json()["type"].endswith("/invalid-signature")
        assert {"x-amzn-remapped-www-authenticate", "www-authenticate"} & set(answer.headers)
    assert books.value("SELECT count(*) FROM notifications WHERE processor_id = 'forged'") == before


def test_there_is_nothing_to_read(api: httpx.Client) -> None:
    answer = api.get("/v1/notifications/simulator")
    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[1]) == (404, "not-found")


def test_the_secret_is_in_its_file_alone(outputs: dict[str, Any]) -> None:
    """Neither in what was deployed nor in a log."""
    state = OUTPUTS.parent
    file = state / "data" / "processor-secrets.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secret = json.loads(file.read_text())["simulator"]["notification_secret"].encode()
    written = [path for folder in ("logs", "cdk.out", "run") for path in (state / folder).rglob("*") if path.is_file()]
    assert written
    assert [path for path in written if secret in path.read_bytes()] == []
