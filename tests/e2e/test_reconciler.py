"""Nobody comes back for it: a payment whose answer was lost is finished by the function that the clock calls; then the books are right."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

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
