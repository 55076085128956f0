"""What processors report: believed if signed, stored once, answered at once. Real notifications of a simulator, over HTTP."""

import json
import logging
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from devstack.credentials import write_private
from devstack.services import Services
from guilder import ids, operations
from guilder.config import Settings
from guilder.ids import Tenant
from simulator.notifications import sign

from tests.conftest import new_merchant
from tests.simulator.service import RunningSimulator
from tests.support.inbox import Delivery, Inbox, Intake, listening
from tests.support.simulators import own_simulator
from tests.support.sql import Sql

SECRET = "what the simulator signs with"
ROWS = """
SELECT slot, merchant_id, livemode, processor, processor_id, type, operation_id, body, received_at, next_attempt_at, attempts, processed_at
FROM notifications WHERE operation_id = $1 ORDER BY processor_id
"""
COUNT = "SELECT count(*) FROM notifications"


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    with listening() as inbox:
        yield inbox


@pytest.fixture(scope="module")
def simulator(services: Services, inbox: Inbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    """A simulator that reports to the inbox."""
    log = tmp_path_factory.mktemp("notifications") / "simulator.log"
    with own_simulator(services, log, inbox.url, SECRET) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def informed(settings: Settings, simulator: RunningSimulator, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a function that knows this simulator and its secret."""
    file = tmp_path_factory.mktemp("secrets") / "processor-secrets.json"
    write_private(file, json.dumps({"simulator": {"notification_secret": SECRET}}))
    return replace(settings, simulator_url=simulator.url, processor_secrets_file=str(file))


@pytest.fixture
def intake(informed: Settings, merchant: dict[str, str], inbox: Inbox) -> Iterator[Intake]:
    """One environment of the function, which answers the inbox's deliveries."""
    with Intake(informed, merchant["api_key"]) as intake:
        inbox.intake = intake
        yield intake
        inbox.intake = None


def operation_of(sql: Sql, payment: dict[str, Any]) -> dict[str, Any]:
    """The payment's one operation."""
    place = ids.decode("pay", payment["id"])
    (row,) = sql.rows(
        "SELECT id, slot, merchant_id, livemode FROM operations WHERE slot = $1 AND payment_id = $2",
        place.slot,
        place.uuid,
    )
    return row


def paid(intake: Intake, **fields: str) -> dict[str, Any]:
    answer = intake.pay(**fields)
    assert answer.status == 201, answer
    payment: dict[str, Any] = answer.json()
    return payment


def told(body: bytes) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(body)
    return parsed


def signed(body: bytes, *, age_s: float = 0, secret: str = SECRET) -> str:
    return sign(secret, int(time.time() - age_s), body.decode())


@pytest.fixture
def delivery(intake: Intake, inbox: Inbox, sql: Sql) -> Delivery:
    """A genuine notification that has been stored, with the other one of its payment: nothing more is on its way."""
    payment = paid(intake)
    first = inbox.wait_for(payment["id"], 2)[0]
    deadline = time.monotonic() + 20
    while len(sql.rows(ROWS, operation_of(sql, payment)["id"])) < 2:
        assert time.monotonic() < deadline, "the notifications were not stored"
        time.sleep(0.05)
    return first


@pytest.mark.parametrize("livemode", [False, True])
def test_it_is_stored_where_its_operation_is(
    informed: Settings, inbox: Inbox, sql: Sql, livemode: bool, intake: Intake
) -> None:
    with Intake(informed, new_merchant(informed, livemode=livemode)["api_key"]) as other:
        payment = paid(other)
    deliveries = inbox.wait_for(payment["id"], 2)
    operation = operation_of(sql, payment)
    rows = sql.rows(ROWS, operation["id"])
    assert {row["type"] for row in rows} == {"charge.authorized", "charge.captured"}
    assert {row["body"].encode() for row in rows} == {delivery.body for delivery in deliveries}
    for row in rows:
        assert row["processor_id"] == told(row["body"])["id"]
        assert row["processor"] == "simulator"
        assert (row["slot"], row["merchant_id"], row["livemode"]) == (
            operation["slot"],
            operation["merchant_id"],
            livemode,
        )
        assert row["next_attempt_at"] == row["received_at"]
        assert (row["attempts"], row["processed_at"]) == (0, None)


def test_one_that_is_sent_twice_is_stored_once(intake: Intake, inbox: Inbox, sql: Sql) -> None:
    payment = paid(intake, payment_method="tok_duplicate_notification")
    deliveries = inbox.wait_for(payment["id"], 4)
    assert len({told(delivery.body)["id"] for delivery in deliveries}) == 2
    assert len(sql.rows(ROWS, operation_of(sql, payment)["id"])) == 2


def test_a_later_one_may_come_first(intake: Intake, inbox: Inbox, sql: Sql) -> None:
    payment = paid(intake, payment_method="tok_out_of_order_notification")
    types = [told(delivery.body)["type"] for delivery in inbox.wait_for(payment["id"], 2)]
    assert types == ["charge.captured", "charge.authorized"]
    assert {row["type"] for row in sql.rows(ROWS, operation_of(sql, payment)["id"])} == set(types)


def test_however_often_in_any_order_over_several_environments(
    informed: Settings, merchant: dict[str, str], inbox: Inbox, sql: Sql
) -> None:
    inbox.intake = None  # refused by the inbox, so that all of them come by our hand
    with ExitStack() as stack:
        environments = [stack.enter_context(Intake(informed, merchant["api_key"])) for _ in range(4)]
        payments = [paid(environments[0]) for _ in range(3)]
        first = [inbox.wait_for(payment["id"], 1, status=502)[0].body for payment in payments]
        copies = [(body, number % 4) for body in first for number in range(12)]
        random.Random(7).shuffle(copies)
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda one: environments[one[1]].receive(one[0], signed(one[0])), copies))
    assert {(answer.status, answer.body) for answer in answers} == {(200, b'{"received":true}')}
    for payment, body in zip(payments, first, strict=True):
        assert [row["body"].encode() for row in sql.rows(ROWS, operation_of(sql, payment)["id"])] == [body]


def test_what_is_stored_stays_as_it_was(intake: Intake, delivery: Delivery, sql: Sql) -> None:
    """The processor's id names the notification: another body under it changes nothing, nor does a repetition once it is processed."""
    notification = told(delivery.body)
    sql.rows("UPDATE notifications SET processed_at = now(), attempts = 1 WHERE processor_id = $1", notification["id"])
    before = sql.rows("SELECT * FROM notifications WHERE processor_id = $1", notification["id"])
    other = json.dumps(notification | {"type": "charge.changed"}).encode()
    for body in (delivery.body, other):
        assert intake.receive(body, signed(body)).json() == {"received": True}
        assert sql.rows("SELECT * FROM notifications WHERE processor_id = $1", notification["id"]) == before


def forgeries(body: bytes) -> dict[str, tuple[bytes, str | None]]:
    """Bodies with signatures that are not theirs."""
    fresh = told(body) | {"id": uuid4().hex}
    other = json.dumps(fresh).encode()
    return {
        "none": (other, None),
        "empty": (other, ""),
        "garbage": (other, "t=now,v1=\u00e9"),
        "another body's": (other, signed(body)),
        "another key's": (other, signed(other, secret="guessed")),
        "an empty key's": (other, signed(other, secret="")),
        "old": (other, signed(other, age_s=301 + 5)),
        "of the future": (other, signed(other, age_s=-301 - 5)),
    }


@pytest.mark.parametrize("forgery", forgeries(b"{}"))
def test_what_is_not_signed_is_refused_and_not_stored(
    intake: Intake, delivery: Delivery, sql: Sql, forgery: str
) -> None:
    body, signature = forgeries(delivery.body)[forgery]
    before = sql.value(COUNT)
    answer = intake.receive(body, signature, Authorization=f"Bearer {intake.api_key}")
    assert (answer.status, answer.problem) == (401, "invalid-signature")
    assert answer.headers["www-authenticate"]
    assert sql.value(COUNT) == before


def test_an_unknown_processor_or_another_method_is_refused(intake: Intake, delivery: Delivery) -> None:
    assert intake.receive(delivery.body, delivery.signature, "nobody").problem == "not-found"
    assert intake.receive(delivery.body, delivery.signature, "simulator/more").problem == "not-found"


def test_a_body_over_the_limit_is_refused(intake: Intake) -> None:
    body = b" " * (64 * 1024 + 1)
    assert intake.receive(body, signed(body)).problem == "request-too-large"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"garbage", b"[]", b"{}", b'{"id": "n\\u0000", "type": "t", "data": {"charge": {"idempotency_key": "op"}}}',
        b'{"id": "%s", "type": "t", "data": {"charge": {"idempotency_key": "op"}}}' % (b"n" * 256),
    ],
    ids=range(6),
)  # fmt: skip
def test_signed_and_not_understood_is_not_sent_again(
    intake: Intake, sql: Sql, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    before = sql.value(COUNT)
    with caplog.at_level(logging.WARNING, "guilder"):
        answer = intake.receive(body, signed(body))
    assert (answer.status, answer.json()) == (200, {"received": False})
    assert sql.value(COUNT) == before
    assert [record.reason for record in caplog.records] == ["not understood"]  # type: ignore[attr-defined]


def not_ours(known: str) -> dict[str, str]:
    """Operations that another installation, or nobody, gave the processor."""
    address = operations.read_key(known)
    tenant = address.tenant

    def of(**changes: Any) -> str:
        return operations.write_key(replace(address, tenant=replace(tenant, **changes)))

    return {
        "of another system": "order-1001",
        "another operation": operations.write_key(replace(address, operation=uuid4())),
        "another merchant": of(merchant=uuid4()),
        "another slot": of(slot=(tenant.slot + 1) % 1024),
        "another mode": of(livemode=not tenant.livemode),
        "more behind it": known + "_x",
    }


KNOWN = operations.write_key(operations.Address(Tenant(1, uuid4(), False), uuid4()))


@pytest.mark.parametrize("whose", not_ours(KNOWN))
def test_what_is_not_ours_is_not_stored(
    intake: Intake, delivery: Delivery, sql: Sql, whose: str, caplog: pytest.LogCaptureFixture
) -> None:
    notification = told(delivery.body) | {"id": uuid4().hex}
    key = not_ours(notification["data"]["charge"]["idempotency_key"])[whose]
    notification["data"]["charge"]["idempotency_key"] = key
    body = json.dumps(notification).encode()
    before = sql.value(COUNT)
    with caplog.at_level(logging.DEBUG, "guilder"):
        answer = intake.receive(body, signed(body))
    assert (answer.status, answer.json()) == (200, {"received": False})
    assert sql.value(COUNT) == before
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    for secret in (key, notification["id"], notification["data"]["charge"]["reference"], SECRET):
        assert secret not in repr(vars(record))


def test_another_processors_operation_is_not_this_ones(intake: Intake, delivery: Delivery, sql: Sql) -> None:
    notification = told(delivery.body) | {"id": uuid4().hex}
    operation = operations.read_key(notification["data"]["charge"]["idempotency_key"]).operation
    sql.rows("UPDATE operations SET processor = 'another' WHERE id = $1", operation)
    body = json.dumps(notification).encode()
    assert intake.receive(body, signed(body)).json() == {"received": False}


def test_a_charge_of_somebody_else_is_told_of_once(intake: Intake, inbox: Inbox, simulator: RunningSimulator) -> None:
    """Another system uses the same account at the processor: its notifications are answered, and not sent again."""
    reference = f"order-{uuid4().hex}"
    charge = {"reference": reference, "amount": 1, "currency": "EUR", "source": "tok_visa", "capture": True}
    httpx.post(
        f"{simulator.url}/charges", json=charge, headers={"Idempotency-Key": reference}, timeout=10
    ).raise_for_status()
    inbox.wait_for(reference, 2)
    time.sleep(1)  # longer than the processor waits before it sends one again
    assert len(inbox.of(reference)) == 2


def test_a_database_that_is_down_makes_the_processor_send_again(
    informed: Settings, merchant: dict[str, str], inbox: Inbox, intake: Intake, sql: Sql
) -> None:
    cell = informed.cells[0]
    nowhere = replace(cell, writer="postgresql://guilder_app@127.0.0.1:9/guilder")
    with Intake(replace(informed, cells=(nowhere,)), merchant["api_key"]) as cut_off:
        inbox.intake = cut_off
        payment = paid(intake)
        refused = inbox.wait_for(payment["id"], 1, status=503)[0]
        answer = cut_off.receive(refused.body, signed(refused.body))
        assert (answer.problem, answer.headers["retry-after"]) == ("unavailable", "1")
        assert sql.rows(ROWS, operation_of(sql, payment)["id"]) == []
        inbox.intake = intake
        inbox.wait_for(payment["id"], 2)
    assert len(sql.rows(ROWS, operation_of(sql, payment)["id"])) == 2


def test_a_function_without_the_secret_believes_nothing(
    informed: Settings, merchant: dict[str, str], delivery: Delivery, tmp_path: Path
) -> None:
    """It answers 500, so that the processor sends again when the secret is there; an empty key's signature opens nothing."""
    without = replace(informed, processor_secrets_file=None)
    (tmp_path / "empty").write_text('{"simulator": {"notification_secret": ""}}')
    empty = replace(informed, processor_secrets_file=str(tmp_path / "empty"))
    for settings in (without, empty):
        with Intake(settings, merchant["api_key"]) as intake:
            for signature in (signed(delivery.body), signed(delivery.body, secret="")):
                assert intake.receive(delivery.body, signature).problem == "internal-error"


def test_the_function_is_wiring_alone() -> None:
    handler = Path(__file__).parents[2] / "functions" / "notifications" / "handler.py"
    assert len(handler.read_text().splitlines()) <= 40
