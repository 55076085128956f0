"""Balances are exact whatever commits meanwhile, at any time asked for; roll-ups lose nothing and count nothing twice."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import asyncpg
import pytest
from guilder import db, ids, ledger, rollup
from guilder.api import ledger as schemas
from guilder.config import Settings
from guilder.ids import Tenant

from tests.conftest import new_merchant
from tests.support.environment import Environment
from tests.support.gateway import Answer
from tests.support.rows import TransferRow, add_transfers, neighbour, tenant_of, transfer, transfer_statement
from tests.support.sql import Sql

PAST = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADVANCE = rollup._SQL["advance"]
BALANCES = ledger.SQL["balances"]
GUARD = "WHERE r.watermark < excluded.watermark"
HORIZON = "pg_snapshot_xmin(pg_current_snapshot())"


@pytest.fixture
def own(settings: Settings) -> Iterator[tuple[Environment, Tenant]]:
    """A merchant of the test's own."""
    merchant = new_merchant(settings)
    with Environment(settings, merchant["api_key"]) as environment:
        yield environment, tenant_of(merchant)


@pytest.fixture
async def endpoint(settings: Settings) -> AsyncIterator[db.Endpoint]:
    """The functions' way to the database: their role, through the pooler."""
    made = db.Endpoint(settings.cells[0].writer, settings)
    yield made
    await made.close()


def alone(tenant: Tenant) -> tuple[int, UUID, int, int]:
    """Parameters of the roll-up's statement for one merchant."""
    return tenant.slot, UUID(int=tenant.merchant.int - 1), 1, 1_000_000


def roll_up(environment: Environment, tenant: Tenant, **limits: Any) -> rollup.Advance:
    """Advance one merchant's roll-ups, one statement unless told otherwise."""

    async def work() -> rollup.Advance:
        writer = (await environment.runtime.context(tenant)).database.writer
        slot, before, merchants, _ = alone(tenant)
        limits.setdefault("limit_s", 0)
        return await rollup.advance(
            writer, start=rollup.Place(slot, before), merchants_per_statement=merchants, **limits
        )

    return environment.run(work)


def sums(rows: list[TransferRow]) -> dict[str, tuple[int, int]]:
    """Add transfers up by hand: currency to (pending, available)."""
    amounts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        debit, credit = row.accounts
        amounts[row.currency, debit] -= row.amount
        amounts[row.currency, credit] += row.amount
    return {
        row.currency: (amounts[row.currency, "merchant:pending"], amounts[row.currency, "merchant:available"])
        for row in rows
    }


def balance(environment: Environment, as_of: datetime | None = None) -> dict[str, tuple[int, int]]:
    """Ask the API: currency to (pending, available)."""
    query = "?" + urlencode({"as_of": as_of.isoformat()}) if as_of else ""
    answer = environment.request("GET", f"/v1/balance{query}")
    assert answer.status == 200, answer
    body = answer.json()
    assert (body["object"], body["livemode"]) == ("balance", False)
    assert (body["as_of"] and datetime.fromisoformat(body["as_of"])) == as_of
    return {row["currency"]: (row["pending"], row["available"]) for row in body["balances"]}


def test_what_is_captured_is_pending_and_what_is_refunded_is_taken_from_available(
    own: tuple[Environment, Tenant],
) -> None:
    environment, tenant = own
    assert balance(environment) == {}
    first = environment.pay(amount=1000).json()
    environment.pay(amount=500)
    environment.pay(amount=70, currency="JPY")
    environment.pay(amount=9, payment_method="tok_declined")
    environment.pay(amount=9, capture_method="manual")
    refund = environment.request("POST", "/v1/refunds", {"payment": first["id"], "amount": 300})
    assert refund.json()["status"] == "succeeded"
    wanted = {"EUR": (1500, -300), "JPY": (70, 0)}
    assert balance(environment) == wanted
    assert roll_up(environment, tenant).transfers == 4
    assert balance(environment) == wanted, "the roll-up alone"
    environment.pay(amount=1)
    assert balance(environment) == wanted | {"EUR": (1501, -300)}, "the roll-up and the tail"


def test_the_modes_and_the_merchants_are_apart(own: tuple[Environment, Tenant], sql: Sql) -> None:
    environment, tenant = own
    add_transfers(sql, tenant, [transfer(amount=1)])
    add_transfers(sql, replace(tenant, livemode=True), [transfer(amount=10)])
    add_transfers(sql, neighbour(tenant), [transfer(amount=100)])
    for _ in range(2):
        assert balance(environment) == {"EUR": (1, 0)}
        roll_up(environment, tenant)
    rolled = sql.rows(
        "SELECT livemode, amount FROM balances WHERE merchant_id = $1 AND account = 'merchant:pending'", tenant.merchant
    )
    assert {(row["livemode"], int(row["amount"])) for row in rolled} == {(False, 1), (True, 10)}


def test_amounts_beyond_64_bits_stay_exact(own: tuple[Environment, Tenant], sql: Sql) -> None:
    environment, tenant = own
    huge = 4 * 10**18
    for _ in range(2):
        add_transfers(sql, tenant, [transfer(amount=huge), transfer(amount=huge)])
        roll_up(environment, tenant)
    add_transfers(sql, tenant, [transfer(amount=1)])
    assert balance(environment) == {"EUR": (4 * huge + 1, 0)}


def test_the_balance_as_of_a_time_counts_what_was_created_up_to_then(own: tuple[Environment, Tenant], sql: Sql) -> None:
    """Against sums by hand, with the roll-up nowhere, half-way and at the end; the order of creation is not that of the commits."""
    environment, tenant = own
    dice = random.Random(3)
    rows = [
        transfer(
            PAST + timedelta(microseconds=dice.randrange(10**9)),
            kind=dice.choice(["capture", "refund"]),
            amount=dice.randrange(1, 10**12),
            currency=dice.choice(["EUR", "USD"]),
        )
        for _ in range(60)
    ]
    for part in (rows[:20], rows[20:40], rows[40:]):
        add_transfers(sql, tenant, part)
        committed = rows[: rows.index(part[-1]) + 1]
        for moment in [dice.choice(committed).created_at for _ in range(15)]:
            counted = sums([row for row in committed if row.created_at <= moment])
            shown = balance(environment, moment)
            assert {currency: shown.get(currency, (0, 0)) for currency in counted} == counted
            assert all(amounts == (0, 0) for currency, amounts in shown.items() if currency not in counted)
        roll_up(environment, tenant)
    assert balance(environment, PAST + timedelta(hours=1)) == balance(environment) == sums(rows)


@pytest.mark.parametrize(
    "query", ["as_of=now", "as_of=2999-01-01T00:00:00Z", "as_of=2026-01-01", "at=2026-01-01T00:00:00Z"]
)
def test_a_malformed_balance_question_is_refused_by_name(environment: Environment, query: str) -> None:
    answer = environment.request("GET", f"/v1/balance?{query}")
    assert (answer.status, answer.problem) == (422, "validation-failed")
    assert [error["pointer"] for error in answer.json()["errors"]] == [query.partition("=")[0]]


@asynccontextmanager
async def connections(settings: Settings, count: int) -> AsyncIterator[list[Any]]:
    """Connections past the pooler, each with transactions of its own."""
    assert settings.cells[0].direct is not None
    opened = [await asyncpg.connect(settings.cells[0].direct, timeout=10, command_timeout=30) for _ in range(count)]
    try:
        yield opened
    finally:
        for connection in opened:
            await connection.close()


_CHECK = f"""
WITH shown AS ({BALANCES}), real AS (
    SELECT currency, sum(CASE WHEN credit_account = 'merchant:pending' THEN amount WHEN debit_account = 'merchant:pending' THEN -amount
            ELSE 0 END) AS pending,
        sum(CASE WHEN credit_account = 'merchant:available' THEN amount WHEN debit_account = 'merchant:available' THEN -amount
            ELSE 0 END) AS available
    FROM transfers WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 GROUP BY currency
)
SELECT count(*) FILTER (WHERE (shown.pending, shown.available) IS DISTINCT FROM (real.pending, real.available)) AS wrong,
    sum(real.pending) AS pending
FROM shown FULL JOIN real USING (currency)"""  # noqa: S608 (two statements of ours)
"""The balance as a read gives it, against the sum of all transfers in the same snapshot."""


async def check(connection: Any, tenant: Tenant) -> Any:
    """Compare once."""
    return await connection.fetchrow(_CHECK, tenant.slot, tenant.merchant, tenant.livemode, None)


OVERTAKEN, OVERTAKING, OPEN = (
    "overtaken by a later snapshot",
    "overtaking an earlier snapshot",
    "open while others are rolled up",
)


@dataclass(frozen=True)
class Mutation:
    """The roll-up's statement, whole or with one precaution taken out of it, and the orders of events that then go wrong."""

    statement: str
    wrong_in: frozenset[str]


MUTATIONS = {
    "as it is": Mutation(ADVANCE, frozenset()),
    "without the guard": Mutation(ADVANCE.replace(GUARD, ""), frozenset({OVERTAKEN})),
    "up to the newest transaction, open ones included": Mutation(
        ADVANCE.replace(HORIZON, "pg_snapshot_xmax(pg_current_snapshot())"), frozenset({OPEN})
    ),
    "from the watermark that the snapshot showed": Mutation(
        ADVANCE.replace(
            "coalesce(old.watermark, '0'::xid8) AS since",
            "coalesce((SELECT s.watermark FROM rollups s WHERE s.slot = r.slot AND s.merchant_id = r.merchant_id "
            "AND s.livemode = r.livemode), '0'::xid8) AS since",
        ),
        frozenset({OVERTAKING}),
    ),
}


@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=MUTATIONS)
async def test_workers_that_overtake_each_other(settings: Settings, sql: Sql, mutation: Mutation) -> None:
    """Orders of events played step by step: with all its precautions the statement is right in each, without one it is wrong in some."""
    assert (mutation.statement == ADVANCE) == (not mutation.wrong_in), "the mutation changed nothing"
    wrong = set()
    async with connections(settings, 5) as (writer, late, first, second, reader):
        for name, order in ORDERS.items():
            tenant = tenant_of(await asyncio.to_thread(new_merchant, settings))
            add_transfers(sql, tenant, [transfer(amount=1)])
            await first.fetch(ADVANCE, *alone(tenant))
            await order(mutation.statement, tenant, writer, late, first, second)
            checks = [await check(reader, tenant)]
            await first.fetch(ADVANCE, *alone(tenant))
            checks.append(await check(reader, tenant))
            assert {row["pending"] for row in checks} == {111}, "the order has come to its end"
            if any(row["wrong"] for row in checks):
                wrong.add(name)
    assert wrong >= mutation.wrong_in
    assert bool(wrong) == bool(mutation.wrong_in)


async def book(connection: Any, tenant: Tenant, amount: int) -> None:
    """Insert a transfer, in the connection's transaction if it has one."""
    await connection.execute(*transfer_statement(tenant, [transfer(amount=amount)]))


async def waiting(connection: Any) -> None:
    """Wait until some session of this database waits for a lock."""
    for _ in range(500):
        if await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody waits")


async def overtaken_by_a_later_snapshot(
    statement: str, tenant: Tenant, writer: Any, late: Any, first: Any, second: Any
) -> None:
    """The first worker's snapshot is the older one, and it gets the row last."""
    await book(late, tenant, 10)
    older = writer.transaction()
    await older.start()
    await book(writer, tenant, 100)  # open: the first worker's horizon
    holder = second.transaction()
    await holder.start()
    await second.execute("SELECT FROM rollups WHERE merchant_id = $1 FOR UPDATE", tenant.merchant)
    overtaken = asyncio.create_task(first.fetch(statement, *alone(tenant)))
    await waiting(late)
    await older.commit()
    await second.fetch(statement, *alone(tenant))
    await holder.commit()
    await overtaken


async def overtaking_an_earlier_snapshot(
    statement: str, tenant: Tenant, writer: Any, late: Any, first: Any, second: Any
) -> None:
    """The later worker waits for the earlier one, whose watermark its own snapshot does not show."""
    await book(late, tenant, 10)
    older = writer.transaction()
    await older.start()
    await book(writer, tenant, 100)  # open: the earlier worker's horizon
    holder = second.transaction()
    await holder.start()
    await second.fetch(statement, *alone(tenant))
    await older.commit()
    later = asyncio.create_task(first.fetch(statement, *alone(tenant)))
    await waiting(late)
    await holder.commit()
    await later


async def open_while_the_watermark_advances(
    statement: str, tenant: Tenant, writer: Any, late: Any, first: Any, second: Any
) -> None:
    """A transfer is inserted, then later ones commit and are rolled up, then the first commits; another one is rolled back."""
    open_one, undone = late.transaction(), second.transaction()
    await open_one.start()
    await book(late, tenant, 100)
    await undone.start()
    await book(second, tenant, 1000)
    await book(writer, tenant, 10)
    await first.fetch(statement, *alone(tenant))
    await open_one.commit()
    await undone.rollback()


ORDERS = {
    OVERTAKEN: overtaken_by_a_later_snapshot,
    OVERTAKING: overtaking_an_earlier_snapshot,
    OPEN: open_while_the_watermark_advances,
}


async def test_no_read_is_wrong_while_writers_and_workers_run(settings: Settings, endpoint: db.Endpoint) -> None:
    """Writers hold their transactions open, commit or roll back; three workers advance all the time; reads compare all the time."""
    tenant = tenant_of(await asyncio.to_thread(new_merchant, settings))
    place = rollup.Place(tenant.slot, UUID(int=tenant.merchant.int - 1))
    workers = [db.Endpoint(settings.cells[0].writer, settings) for _ in range(3)]
    done = asyncio.Event()
    dice = random.Random(5)
    rolled_up: list[int] = []

    async def write(connection: Any) -> int:
        booked = 0
        while not done.is_set():
            transaction = connection.transaction()
            await transaction.start()
            rows = [transfer(amount=dice.randrange(1, 1000), kind=dice.choice(["capture", "refund"])) for _ in range(3)]
            await connection.execute(*transfer_statement(tenant, rows))
            await asyncio.sleep(dice.choice([0, 0, 0.002, 0.03]))
            if dice.random() < 0.1:
                await transaction.rollback()
            else:
                await transaction.commit()
                booked += len(rows)
        return booked

    async def work(worker: db.Endpoint) -> None:
        while not done.is_set():
            report = await rollup.advance(
                worker, start=place, limit_s=0, merchants_per_statement=1, transfers_per_step=7
            )
            rolled_up.append(report.transfers)

    async def read(connection: Any) -> tuple[int, int]:
        reads = wrong = 0
        while not done.is_set():
            wrong += (await check(connection, tenant))["wrong"]
            reads += 1
        return reads, wrong

    async with connections(settings, 10) as opened:
        writing = [asyncio.create_task(write(connection)) for connection in opened[:8]]
        reading = [asyncio.create_task(read(connection)) for connection in opened[8:]]
        working = [asyncio.create_task(work(worker)) for worker in workers]
        await asyncio.sleep(4)
        done.set()
        booked = sum(await asyncio.gather(*writing))
        results = await asyncio.gather(*reading)
        await asyncio.gather(*working)
        last = await rollup.advance(
            endpoint, start=place, limit_s=0, merchants_per_statement=1, transfers_per_step=10**6
        )
        assert (await check(opened[0], tenant))["wrong"] == 0
    for worker in workers:
        await worker.close()
    assert sum(wrong for _, wrong in results) == 0
    assert sum(rolled_up) + last.transfers == booked
    assert sum(reads for reads, _ in results) > 100
    assert sum(map(bool, rolled_up)) > 20, "the workers had something to do while the reads ran"


def test_a_pass_says_what_it_did_and_where_it_stopped(own: tuple[Environment, Tenant], sql: Sql) -> None:
    environment, tenant = own
    for _ in range(25):
        add_transfers(sql, tenant, [transfer()])
    steps = []
    for _ in range(4):
        report = roll_up(environment, tenant, transfers_per_step=10)
        assert balance(environment) == {"EUR": (2500, 0)}
        steps.append((report.rollups, report.transfers, report.statements))
    assert steps == [(1, 11, 1), (1, 11, 1), (1, 3, 1), (0, 0, 1)]

    add_transfers(sql, tenant, [transfer() for _ in range(30)])
    report = roll_up(environment, tenant, transfers_per_step=10)
    assert report.transfers == 30, "what one transaction booked is one step, however much"

    for _ in range(25):
        add_transfers(sql, tenant, [transfer()])
    report = roll_up(environment, tenant, transfers_per_step=10, limit_s=20)
    assert report.transfers >= 25, "one call goes on until all merchants had their turn"
    assert report.resume is None


def test_a_pass_that_runs_out_of_time_resumes_where_it_stopped(
    own: tuple[Environment, Tenant], settings: Settings, sql: Sql
) -> None:
    environment, _ = own
    tenants = [tenant_of(new_merchant(settings)) for _ in range(5)]
    for tenant in tenants:
        add_transfers(sql, tenant, [transfer()])

    async def passes() -> list[rollup.Advance]:
        writer = (await environment.runtime.context(tenants[0])).database.writer
        reports: list[rollup.Advance] = []
        start = rollup.BEGINNING
        while len(reports) < 10_000:
            reports.append(await rollup.advance(writer, start=start, limit_s=0, merchants_per_statement=2))
            resume = reports[-1].resume
            if resume is None:
                return reports
            start = resume
        raise AssertionError("it does not come to an end")

    reports = environment.run(passes)
    assert {report.statements for report in reports} == {1}
    assert len(reports) >= 3
    rolled = sql.rows(
        "SELECT merchant_id FROM rollups WHERE merchant_id = ANY($1)", [tenant.merchant for tenant in tenants]
    )
    assert len(rolled) == 5


async def test_payments_of_one_merchant_share_no_row(settings: Settings) -> None:
    """All rows that a merchant has, its own and its keys' included, are locked by somebody: its next payment waits for none."""
    merchant = await asyncio.to_thread(new_merchant, settings)
    tenant = tenant_of(merchant)
    with Environment(settings, merchant["api_key"]) as environment:
        first = await asyncio.to_thread(environment.pay)
        await asyncio.to_thread(roll_up, environment, tenant)
        async with connections(settings, 1) as (holder,):
            transaction = holder.transaction()
            await transaction.start()
            for table in (
                "payments",
                "operations",
                "idempotency",
                "transfers",
                "events",
                "rollups",
                "balances",
                "api_keys",
            ):
                locked = await holder.fetch(f"SELECT FROM {table} WHERE merchant_id = $1 FOR UPDATE", tenant.merchant)
                assert locked, table
            await holder.fetch("SELECT FROM merchants WHERE id = $1 FOR UPDATE", tenant.merchant)
            second = await asyncio.to_thread(environment.pay)
            await transaction.rollback()
    assert (first.status, second.status) == (201, 201)
    assert second.json()["status"] == "succeeded"


def transfers(environment: Environment, **parameters: object) -> Answer:
    """Read a page of transfers."""
    return environment.request("GET", f"/v1/ledger/transfers?{urlencode(parameters)}")


def test_transfers_are_shown_as_they_were_booked(own: tuple[Environment, Tenant], sql: Sql) -> None:
    environment, _ = own
    payment = environment.pay(amount=1000).json()
    environment.pay(amount=2)
    environment.request("POST", "/v1/refunds", {"payment": payment["id"], "amount": 300})
    refunded, captured = transfers(environment, payment=payment["id"]).json()["data"]
    assert list(captured) == list(schemas.Transfer.model_fields)
    schemas.Transfer.model_validate(captured)
    assert (captured["object"], captured["kind"], captured["amount"], captured["currency"]) == (
        "transfer",
        "capture",
        1000,
        "EUR",
    )
    assert (captured["debit_account"], captured["credit_account"]) == ("processor:simulator", "merchant:pending")
    assert (refunded["debit_account"], refunded["credit_account"]) == ("merchant:available", "processor:simulator")
    assert (refunded["kind"], refunded["amount"], refunded["payment"]) == ("refund", 300, payment["id"])
    available = datetime.fromisoformat(captured["available_on"]) - datetime.fromisoformat(captured["created_at"])
    assert available == ledger.AVAILABLE_AFTER
    assert len(transfers(environment).json()["data"]) == 3


def test_each_filter_of_transfers_gives_what_a_plain_search_gives(own: tuple[Environment, Tenant], sql: Sql) -> None:
    environment, tenant = own
    dice = random.Random(11)
    payments = [uuid4() for _ in range(4)]
    rows = [
        transfer(
            PAST + timedelta(minutes=dice.randrange(600)),
            payment_id=dice.choice(payments),
            kind=dice.choice(["capture", "refund"]),
            currency=dice.choice(["EUR", "JPY"]),
        )
        for _ in range(120)
    ]
    add_transfers(sql, tenant, rows)
    add_transfers(sql, neighbour(tenant), [replace(row, id=uuid4()) for row in rows])
    tests: dict[str, Callable[[TransferRow, str], bool]] = {
        "payment": lambda row, value: ids.encode("pay", tenant.slot, row.payment_id) == value,
        "kind": lambda row, value: row.kind == value,
        "currency": lambda row, value: row.currency == value,
        "account": lambda row, value: value in row.accounts,
        "created_gte": lambda row, value: row.created_at >= datetime.fromisoformat(value),
        "created_lte": lambda row, value: row.created_at <= datetime.fromisoformat(value),
    }
    values = {
        "payment": [ids.encode("pay", tenant.slot, each) for each in payments],
        "kind": ["capture", "refund"],
        "currency": ["EUR", "JPY", "USD"],
        "account": ["merchant:pending", "merchant:available", "processor:simulator", "processor:another"],
        "created_gte": [row.created_at.isoformat() for row in rows],
        "created_lte": [row.created_at.isoformat() for row in rows],
    }
    for _ in range(40):
        chosen = {name: dice.choice(values[name]) for name in dice.sample(list(tests), dice.randrange(4))}
        matching = [row for row in rows if all(tests[name](row, value) for name, value in chosen.items())]
        wanted = [
            ids.encode("tr", tenant.slot, row.id) for row in sorted(matching, key=lambda row: row.id, reverse=True)
        ]
        older: list[str] = []
        newer: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = transfers(environment, limit=17, **chosen, **cursor).json()
            older += [item["id"] for item in page["data"]]
            if not page["has_more"]:
                break
            cursor = {"starting_after": older[-1]}
        cursor = {"ending_before": wanted[-1]} if wanted else {}
        while cursor:
            page = transfers(environment, limit=17, **chosen, **cursor).json()
            newer = [item["id"] for item in page["data"]] + newer
            cursor = {"ending_before": newer[0]} if page["has_more"] else {}
        assert older == wanted, chosen
        assert newer == wanted[:-1], chosen


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("payment=7", "payment"),
        ("kind=gift", "kind"),
        ("currency=eur", "currency"),
        ("account=everything", "account"),
        ("starting_after=pay_00000000000000000000000000AB", "starting_after"),
        ("metadata[a]=b", "metadata[a]"),
        ("status=succeeded", "status"),
    ],
)
def test_a_malformed_filter_of_transfers_is_refused_by_name(environment: Environment, query: str, named: str) -> None:
    answer = environment.request("GET", f"/v1/ledger/transfers?{query}")
    assert (answer.status, answer.problem) == (422, "validation-failed")
    assert [error["pointer"] for error in answer.json()["errors"]] == [named]


def test_a_strangers_payment_has_no_transfers_and_a_strangers_transfer_is_no_cursor(
    own: tuple[Environment, Tenant], settings: Settings, sql: Sql
) -> None:
    environment, tenant = own
    theirs = transfer()
    add_transfers(sql, neighbour(tenant), [theirs])
    assert transfers(environment, payment=ids.encode("pay", tenant.slot, theirs.payment_id)).json()["data"] == []
    answer = transfers(environment, starting_after=ids.encode("tr", tenant.slot, theirs.id))
    assert (answer.status, answer.problem) == (422, "validation-failed")
    elsewhere = ids.encode("pay", (tenant.slot + 1) % ids.SLOTS, theirs.payment_id)
    assert transfers(environment, payment=elsewhere).json() == {"object": "list", "data": [], "has_more": False}
