"""A payment through API Gateway, Lambda, PostgreSQL and Valkey; and what happens when a function is killed while paying."""

import os
import signal
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest
from guilder import ids

from tests.e2e.conftest import OUTPUTS
from tests.support.sql import Sql


def pay(api: httpx.Client, key: str | None = None, **fields: object) -> httpx.Response:
    body = {"amount": 1050, "currency": "EUR", "payment_method": "tok_visa"} | fields
    return api.post("/v1/payments", json=body, headers={"Idempotency-Key": key or uuid4().hex})


def charges(simulator: httpx.Client, payment_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        simulator.get("/charges", params={"reference": payment_id}).raise_for_status().json()["data"]
    )
    return found


def test_what_make_up_promises_to_write(outputs: dict[str, Any]) -> None:
    wanted = {
        "api_url", "api_key", "merchant_id", "simulator_url", "database_url", "replica_url", "pooler_url", "redis_url", "localstack_url",
    }  # fmt: skip
    assert wanted <= set(outputs)
    assert not outputs["api_url"].endswith("/")
    assert outputs["api_key"].startswith("gk_test_")
    assert stat.S_IMODE(OUTPUTS.stat().st_mode) == 0o600


def test_a_payment_and_its_traces(api: httpx.Client, simulator: httpx.Client, books: Sql) -> None:
    answer = pay(api, metadata={"basket": "7"})
    payment = answer.json()
    assert (answer.status_code, payment["status"], payment["amount_captured"]) == (201, "succeeded", 1050)
    assert answer.headers["request-id"].startswith("req_")
    assert api.get(f"/v1/payments/{payment['id']}").json() == payment
    (charge,) = charges(simulator, payment["id"])
    assert (charge["amount"], charge["status"]) == (1050, "captured")
    place = ids.decode("pay", payment["id"])
    transfers = books.rows(
        "SELECT amount, currency FROM transfers WHERE slot = $1 AND payment_id = $2", place.slot, place.uuid
    )
    assert transfers == [{"amount": 1050, "currency": "EUR"}]


def test_a_repetition_gets_the_same_bytes(api: httpx.Client, simulator: httpx.Client) -> None:
    key = uuid4().hex
    first, second = pay(api, key), pay(api, key)
    assert first.content == second.content
    assert second.headers["idempotency-replayed"] == "true"
    assert len(charges(simulator, first.json()["id"])) == 1


def test_concurrent_repetitions_over_several_environments(api: httpx.Client, simulator: httpx.Client) -> None:
    key = uuid4().hex
    with ThreadPoolExecutor(8) as threads:
        answers = [future.result() for future in [threads.submit(pay, api, key) for _ in range(8)]]
    decided = [answer for answer in answers if answer.status_code == 201]
    assert decided
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in decided}) == 1
    assert len(charges(simulator, decided[0].json()["id"])) == 1


@pytest.mark.parametrize(
    ("method", "path", "status", "problem"),
    [
        ("POST", "/v1/payments", 422, "validation-failed"),
        ("GET", "/v1/payments/pay_nothing", 404, "not-found"),
        ("GET", "/v1/nothing", 404, "not-found"),
        ("GET", "/nothing-at-all", 404, "not-found"),
    ],
)
def test_errors_are_problems_from_every_layer(
    api: httpx.Client, method: str, path: str, status: int, problem: str
) -> None:
    answer = api.request(method, path, json={} if method == "POST" else None, headers={"Idempotency-Key": uuid4().hex})
    assert answer.status_code == status
    assert answer.headers["content-type"].split(";")[0] == "application/problem+json"
    assert answer.json()["type"] == f"https://guilder.dev/problems/{problem}"
    assert answer.json()["status"] == status


def test_without_a_key(outputs: dict[str, Any]) -> None:
    answer = httpx.get(f"{outputs['api_url']}/v1/payments/pay_x", timeout=40)
    assert answer.status_code == 401
    assert answer.json()["type"].endswith("/unauthenticated")
    # REST APIs rename the header; LocalStack keeps it. A client of either reads the one it finds.
    challenge = answer.headers.get("x-amzn-remapped-www-authenticate") or answer.headers.get("www-authenticate")
    assert challenge is not None
    assert challenge.startswith("Bearer")


def test_the_docs_load_through_the_stage_path(outputs: dict[str, Any]) -> None:
    page = httpx.get(f"{outputs['api_url']}/docs", timeout=40)
    assert page.headers["content-type"].startswith("text/html")
    base = str(page.url)
    for name in ("docs/swagger-ui-bundle.js", "docs/swagger-ui.css", "openapi.json"):
        assert name in page.text
        part = httpx.get(httpx.URL(base).join(name), timeout=40)
        assert part.status_code == 200, part.url
        assert len(part.content) > 1000
    assert httpx.get(f"{outputs['api_url']}/healthz", timeout=40).json() == {"status": "ok"}


def environments(function: str) -> list[psutil.Process]:
    """Find the processes that run a function of this stack."""
    ours = str(OUTPUTS.parent)
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if "bootstrap.py" in line and f"{function}:" in line and ours in line:
            found.append(process)
    return found


def test_sigkill_while_paying(api: httpx.Client, simulator: httpx.Client, books: Sql) -> None:
    """The function is killed while the processor works. Its caller gets an error; a retry with the same key finishes the payment by asking
    the processor, once the dead one's lease (30 s) is over; one charge, one booking.
    """
    key, reference = uuid4().hex, uuid4().hex
    fields = {"payment_method": "tok_slow", "merchant_reference": reference}
    with ThreadPoolExecutor(1) as thread:
        dying = thread.submit(pay, api, key, **fields)
        payment_id = None
        for _ in range(200):  # until phase 1 is committed: then the processor call has begun or is about to
            found = books.rows("SELECT slot, id FROM payments WHERE merchant_reference = $1", reference)
            if found:
                payment_id = ids.encode("pay", found[0]["slot"], found[0]["id"])
                break
            time.sleep(0.05)
        assert payment_id is not None
        time.sleep(0.5)
        victims = environments("guilder-local-payments-write")
        assert victims
        for victim in victims:
            os.kill(victim.pid, signal.SIGKILL)
        answer = dying.result(40)
    assert answer.status_code in {500, 502, 503, 504}
    assert api.get(f"/v1/payments/{payment_id}").json()["status"] == "processing", "a read tells the truth"

    deadline = time.monotonic() + 60
    while (answer := pay(api, key, **fields)).status_code in {202, 409}:
        assert time.monotonic() < deadline, answer.text
        time.sleep(1)
    assert (answer.status_code, answer.json()["status"], answer.json()["id"]) == (201, "succeeded", payment_id)
    assert len([charge for charge in charges(simulator, payment_id) if charge["status"] == "captured"]) == 1
    place = ids.decode("pay", payment_id)
    assert (
        books.value("SELECT count(*) FROM transfers WHERE slot = $1 AND payment_id = $2", place.slot, place.uuid) == 1
    )
    assert pay(api).status_code == 201, "the next call has a fresh environment"
