"""What a clock calls: a payment that nobody comes back for is finished, balances are rolled up, and the books are found to be right."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from devstack import aws
from devstack.stack import Stack
from guilder import ids

from tests.support.sql import Sql

ROOT = Path(__file__).parents[2]
WITHIN_S = 120


@pytest.mark.timeout(240)
def test_a_payment_in_doubt_is_finished_without_a_retry(api: httpx.Client, simulator: httpx.Client) -> None:
    body = {"amount": 1050, "currency": "EUR", "payment_method": "tok_timeout_after_charge"}
    answer = api.post("/v1/payments", json=body, headers={"Idempotency-Key": uuid4().hex})
    payment = answer.json()
    assert (answer.status_code, payment["status"]) == (202, "processing")
    began = time.monotonic()
    while (payment := api.get(f"/v1/payments/{payment['id']}").json())["status"] == "processing":
        assert time.monotonic() - began < WITHIN_S, "the reconciler did not come"
        time.sleep(1)
    assert (payment["status"], payment["amount_captured"]) == ("succeeded", 1050)
    charges = simulator.get("/charges", params={"reference": payment["id"]}).json()["data"]
    assert [charge["status"] for charge in charges] == ["captured"]


def verify(*options: str) -> tuple[int, dict[str, Any]]:
    """Run what `make verify` runs."""
    done = subprocess.run(
        [sys.executable, "-m", "devstack", "verify", "--json", *options],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, report


@pytest.mark.timeout(320)
def test_make_verify_is_clean(api: httpx.Client) -> None:
    code, report = verify()
    assert (code, report["findings"], report["incomplete"]) == (0, [], [])
    assert report["rows"]["payment_transfers"] > 0
    assert report["rows"]["charge_has_payment"] > 0


def invoke(function: str, event: dict[str, object]) -> dict[str, Any]:
    """Call a function as its rule does, and wait for what it answers."""
    called = aws.lambda_client(Stack()).invoke(
        FunctionName=f"guilder-local-{function}", Qualifier="live", Payload=json.dumps(event).encode()
    )
    answer: dict[str, Any] = json.loads(called["Payload"].read())
    assert not called.get("FunctionError"), answer
    return answer


@pytest.mark.timeout(320)
@pytest.mark.parametrize("event", [{}, {"all": True}], ids=["lately", "everything"])
def test_the_function_that_verifies_agrees(event: dict[str, object]) -> None:
    assert invoke("verify", event) == {"clean": True, "broken": 0, "incomplete": []}


def test_the_function_that_rolls_up_leaves_nothing_to_add(api: httpx.Client, books: Sql) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    body = {"amount": 1050, "currency": "ISK", "payment_method": "tok_visa"}
    payment = ids.decode("pay", api.post("/v1/payments", json=body, headers=key).json()["id"])
    assert invoke("rollup", {})["transfers"] >= 0  # the rule may have been quicker
    tail = """
        SELECT count(*) FROM transfers AS t JOIN rollups AS r USING (slot, merchant_id, livemode)
        WHERE t.slot = $1 AND t.payment_id = $2 AND t.xid < r.watermark"""
    assert books.value(tail, payment.slot, payment.uuid) == 1


def test_make_verify_names_a_stray_charge_and_fails(simulator: httpx.Client) -> None:
    reference = f"stray-{uuid4().hex}"
    body = {"reference": reference, "amount": 500, "currency": "EUR", "source": "tok_visa", "capture": True}
    charge = simulator.post("/charges", json=body, headers={"Idempotency-Key": uuid4().hex}).raise_for_status().json()
    try:
        code, report = verify("--since", "1")
        assert code != 0
        assert [(each["check"], each["object"]) for each in report["findings"]] == [("charge_has_payment", reference)]
    finally:
        simulator.post(
            f"/charges/{charge['id']}/refunds", json={}, headers={"Idempotency-Key": uuid4().hex}
        ).raise_for_status()
