"""Single stories of what overtakes what: each was told once by the state machine, or by reading the code, and ended wrongly."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from guilder import db, ids
from guilder.config import Cell, Settings
from guilder.errors import Unavailable
from guilder.runtime import Runtime

from tests.properties.world import Line, World
from tests.support.environment import Environment
from tests.support.gateway import Answer
from tests.support.sql import Sql


@pytest.fixture(autouse=True)
def now(world: World) -> Iterator[None]:
    world.clock.ahead = timedelta()
    yield
    world.processor.line, world.processor.silent = Line.GOOD, False


def pay(world: World, token: str, **fields: object) -> dict[str, Any]:
    body = {"amount": 100, "currency": "EUR", "payment_method": token} | fields
    return dict(world.post("payments", body, uuid4().hex, Line.GOOD).json())


def test_a_cancellation_without_an_answer_is_not_taken_for_a_success(world: World) -> None:
    """The charge was voided; asked about the authorization, the processor shows a charge that it had accepted once."""
    payment = pay(world, "tok_requires_action")
    path, key = f"payments/{payment['id']}/cancel", uuid4().hex
    assert world.post(path, {}, key, Line.LOST_AFTER).status == 202
    for _ in range(3):
        world.reconcile(payment["id"])
    assert world.payment(payment["id"])["status"] == "canceled"
    again = world.post(path, {}, key, Line.GOOD)
    assert (again.status, again.json()["status"]) == (200, "canceled")
    assert world.books(payment["id"])["captured"] == 0
    assert world.books(payment["id"])["open"] == []


def test_nothing_is_asked_any_more_about_a_canceled_payment(world: World) -> None:
    payment = pay(world, "tok_requires_action")
    assert world.post(f"payments/{payment['id']}/cancel", {}, uuid4().hex, Line.GOOD).status == 200
    assert world.books(payment["id"])["open"] == []


def test_no_capture_begins_while_a_cancellation_is_in_doubt(world: World) -> None:
    """Else a capture that the processor did could end on a payment that is canceled, and nobody would book it."""
    payment = pay(world, "tok_requires_action", capture_method="manual")
    assert world.post(f"payments/{payment['id']}/cancel", {}, uuid4().hex, Line.LOST_BEFORE).status == 202
    world.act(payment["next_action"]["redirect_url"], approve=True)
    for _ in range(2):
        world.reconcile(payment["id"])
    captured = world.post(f"payments/{payment['id']}/capture", {"amount": 40}, uuid4().hex, Line.GOOD)
    assert captured.status in {409, 422}
    world.clock.ahead += timedelta(seconds=80)
    for _ in range(3):
        world.reconcile(payment["id"])
    assert world.payment(payment["id"])["status"] == "requires_capture", "the cancellation never arrived"
    assert world.post(f"payments/{payment['id']}/capture", {"amount": 40}, uuid4().hex, Line.GOOD).status == 200


def test_a_late_success_is_not_forgotten_while_the_processor_is_silent(world: World) -> None:
    payment = pay(world, "tok_late_success")
    assert payment["status"] == "failed"
    world.wait_for_the_processor(payment["id"], late=True)
    for told in world.notifications(payment["id"]):
        world.deliver(told)
    world.reconcile(payment["id"], silent=True)
    world.reconcile(payment["id"])
    assert world.payment(payment["id"])["review"] == "late_success_reversed"
    (charge,) = world.charges(payment["id"])
    assert charge["amount_refunded"] == charge["amount_captured"] == 100


def test_a_reversal_that_is_decided_later_is_asked_about(world: World) -> None:
    """Sent again under its key, the processor would repeat its first answer for ever: that it is pending."""
    payment = pay(world, "tok_late_success")
    world.wait_for_the_processor(payment["id"], late=True)
    for told in world.notifications(payment["id"]):
        world.deliver(told)
    world.processor.line = Line.DECIDES_LATER
    for _ in range(2):
        world.reconcile(payment["id"])
    assert world.payment(payment["id"])["review"] == "late_success_reversed"
    assert world.books(payment["id"])["open"] == []


def test_an_abandoned_action_is_asked_about_less_and_less(world: World, sql: Sql) -> None:
    payment = pay(world, "tok_requires_action")
    pauses = []
    for span in (timedelta(), timedelta(days=1), timedelta(days=30)):
        world.clock.ahead = span
        world.reconcile(payment["id"])
        (row,) = sql.rows(
            "SELECT extract(epoch FROM check_at - now())::float8 AS pause FROM operations WHERE payment_id = $1",
            ids.decode("pay", payment["id"]).uuid,
        )
        pauses.append(row["pause"])
    assert pauses == [pytest.approx(60, abs=20), pytest.approx(8640, abs=60), pytest.approx(21600, abs=60)]


def test_an_abandoned_action_can_be_asked_about_for_ever(world: World, sql: Sql) -> None:
    """Once a minute for three weeks is more often than a smallint counts."""
    payment = pay(world, "tok_requires_action")
    sql.rows("UPDATE operations SET attempt = 32767 WHERE outcome IS NULL")
    world.reconcile(payment["id"])
    world.act(payment["next_action"]["redirect_url"], approve=True)
    world.reconcile(payment["id"])
    assert world.payment(payment["id"])["status"] == "succeeded"


def test_one_operation_that_cannot_be_worked_on_does_not_stop_the_others(world: World, sql: Sql) -> None:
    keys = [uuid4().hex for _ in range(3)]
    payments = [
        world.post("payments", {"amount": 100, "currency": "EUR", "payment_method": "tok_visa"}, key, Line.LOST_AFTER).json()["id"]
        for key in keys
    ]  # fmt: skip
    unknown = "UPDATE operations SET processor = 'gone', check_at = $2, lease_until = $2 WHERE idempotency_key = $1"
    sql.rows(
        "UPDATE operations SET check_at = now() - interval '1 hour' WHERE idempotency_key = ANY($1)", keys
    )  # first in line
    past = sql.value("SELECT now() - interval '2 hours'")
    sql.rows(unknown, keys[0], past)
    report = world.environment.reconcile(0.01)
    assert report["failures"] >= 1
    assert [world.payment(each)["status"] for each in payments] == ["processing", "succeeded", "succeeded"]
    sql.rows("UPDATE operations SET processor = 'simulator' WHERE idempotency_key = $1", keys[0])
    world.reconcile(*payments)
    assert world.payment(payments[0])["status"] == "succeeded"


def test_a_cell_that_is_down_does_not_stop_the_other_cells(
    quick_settings: Settings, world: World, merchant: dict[str, str]
) -> None:
    key = uuid4().hex
    payment = world.post(
        "payments", {"amount": 100, "currency": "EUR", "payment_method": "tok_visa"}, key, Line.LOST_AFTER
    ).json()
    (cell,) = quick_settings.cells
    down = Cell(
        "down",
        1024,
        1024,
        "postgresql://guilder_app@127.0.0.1:1/x",
        "postgresql://guilder_app@127.0.0.1:1/x",
        cell.cache,
    )
    with Environment(replace(quick_settings, cells=(down, cell)), merchant["api_key"]) as environment:
        world._sql.rows("UPDATE operations SET check_at = now() - interval '1 hour' WHERE idempotency_key = $1", key)
        environment.reconcile(0.01)
    assert world.payment(payment["id"])["status"] == "succeeded"


class Twice:
    """An endpoint whose connection is lost after the statement was committed, once: what it is sent, it is sent twice."""

    def __init__(self, endpoint: db.Endpoint) -> None:
        self._endpoint = endpoint
        self._lost = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._endpoint, name)

    async def fetchrow(self, query: str, *args: object) -> db.Row | None:
        if "INSERT INTO idempotency" in query and not self._lost:
            self._lost = True
            await self._endpoint.fetchrow(query, *args)
        return await self._endpoint.fetchrow(query, *args)


def twice(world: World, path: str, body: object) -> Answer:
    """Send a write whose phase 1 is sent to PostgreSQL twice."""
    runtime: Runtime = world.environment.runtime
    world.payment(pay(world, "tok_visa")["id"])  # the cell is open
    (cell,) = runtime._cells.values()
    real = cell.database.writer
    cell.database.writer = Twice(real)  # type: ignore[assignment]
    try:
        return world.post(path, body, uuid4().hex, Line.GOOD)
    finally:
        cell.database.writer = real


def test_phase_one_that_is_sent_twice_is_done_once(world: World) -> None:
    """A function that was frozen may lose its connection right after the commit; ``db.Endpoint.fetch`` then sends the statement again."""
    wanted = {"amount": 100, "currency": "EUR", "payment_method": "tok_visa"}
    created = twice(world, "payments", wanted)
    assert (created.status, created.json()["status"]) == (201, "succeeded"), created
    noted = twice(world, "payments", wanted | {"confirm": False})
    assert (noted.status, noted.json()["status"]) == (201, "requires_confirmation"), noted
    confirmed = twice(world, f"payments/{noted.json()['id']}/confirm", {})
    assert (confirmed.status, confirmed.json()["status"]) == (200, "succeeded"), confirmed
    refunded = twice(world, "refunds", {"payment": created.json()["id"]})
    assert (refunded.status, refunded.json()["status"]) == (201, "succeeded"), refunded
    for part in ({"amount": 40}, {}):
        held = pay(world, "tok_visa", capture_method="manual")["id"]
        captured = twice(world, f"payments/{held}/capture", part)
        assert (captured.status, captured.json()["amount_captured"]) == (200, part.get("amount", 100)), captured
        assert world.books(held)["capture_pending"] == 0
    held = pay(world, "tok_visa", capture_method="manual")["id"]
    assert twice(world, f"payments/{held}/cancel", {}).json()["status"] == "canceled"
    unconfirmed = pay(world, "tok_visa", confirm=False)["id"]
    assert twice(world, f"payments/{unconfirmed}/cancel", {}).json()["status"] == "canceled"
    assert world.books(created.json()["id"])["refunded"] == 100


LOCK = "UPDATE payments SET updated_at = updated_at WHERE slot = $1 AND id = $2 RETURNING id"
LOCK_TWO = """
WITH one AS (UPDATE payments SET updated_at = updated_at WHERE slot = $1 AND id = $2 RETURNING id),
    pause AS (SELECT pg_sleep(0.3) FROM one)
UPDATE payments SET updated_at = updated_at FROM pause WHERE slot = $3 AND id = $4 RETURNING id"""


def place_of_a_payment(world: World) -> tuple[int, UUID]:
    place = ids.decode("pay", pay(world, "tok_visa")["id"])
    return place.slot, place.uuid


async def test_a_lock_that_does_not_come_free_is_a_503_and_not_a_500(settings: Settings, world: World) -> None:
    place = await asyncio.to_thread(place_of_a_payment, world)
    direct = settings.cells[0].direct
    assert direct is not None
    endpoint, other = db.Endpoint(settings.cells[0].writer, settings), await asyncpg.connect(direct, timeout=10)
    async with other.transaction():
        await other.fetch(LOCK, *place)
        with pytest.raises(Unavailable):
            await endpoint.fetch(LOCK, *place)
    await other.close(timeout=5)
    await endpoint.close()


async def test_two_statements_that_wait_for_each_other_are_a_503_for_one_of_them(
    settings: Settings, world: World
) -> None:
    one, two = [await asyncio.to_thread(place_of_a_payment, world) for _ in range(2)]
    first, second = (db.Endpoint(settings.cells[0].writer, settings) for _ in range(2))
    outcomes = await asyncio.gather(
        first.fetch(LOCK_TWO, *one, *two), second.fetch(LOCK_TWO, *two, *one), return_exceptions=True
    )
    assert sum(isinstance(outcome, Unavailable) for outcome in outcomes) == 1, outcomes
    for endpoint in (first, second):
        await endpoint.close()
