"""The second locks: privileges, CHECKs, checksums; and every SQL block against the migrated schema."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from uuid import uuid4

import asyncpg
import guilder
import pytest
from guilder import db, migrate
from guilder.config import Settings
from guilder.states import Status

from tests.conftest import on
from tests.support.sql import Sql

PACKAGE = Path(guilder.__file__).parent


def statements() -> list[tuple[str, str, str]]:
    """Every statement that the package can send: each module with a .sql file beside it has them under ``SQL``; fragments are left out."""
    found = []
    for path in sorted(PACKAGE.rglob("*.sql")):
        if path.parent.name == "migrations" or path.stem in FRAGMENTS:
            continue
        name = ".".join(("guilder", *path.relative_to(PACKAGE).with_suffix("").parts))
        module = importlib.import_module(name)
        queries: dict[str, str] = getattr(module, "SQL", None) or module._SQL
        found += [(name.removeprefix("guilder."), block, query) for block, query in queries.items()]
    return found


FRAGMENTS = {"pages"}
"""Only part of other modules' statements."""
BLOCKS = statements()


@asynccontextmanager
async def empty_database(settings: Settings) -> AsyncIterator[str]:
    direct = settings.cells[0].direct
    assert direct is not None
    name = f"guilder_test_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(on(direct, "postgres"), timeout=10)
    await admin.execute(f"CREATE DATABASE {name}")
    try:
        yield on(direct, name)
    finally:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()


@pytest.mark.parametrize(("module", "name", "query"), BLOCKS, ids=[f"{module}.{name}" for module, name, _ in BLOCKS])
async def test_each_block_prepares(settings: Settings, module: str, name: str, query: str) -> None:
    direct = settings.cells[0].direct
    assert direct is not None
    connection = await asyncpg.connect(direct, timeout=10)
    try:
        await connection.prepare(query)
    finally:
        await connection.close()
    assert len(query.encode()) < 16_384, "RDS Proxy pins on longer statements"
    assert "*" not in query.replace("count(*)", ""), "a cached named plan breaks after DDL"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE transfers SET amount = amount + 1",
        "DELETE FROM transfers",
        "TRUNCATE transfers",
        "UPDATE events SET data = '{}'",
        "DELETE FROM events",
        "DELETE FROM payments",
        "DELETE FROM operations",
        "INSERT INTO api_keys DEFAULT VALUES",
        "UPDATE api_keys SET scopes = '{}'",
        "CREATE TABLE mine (id int)",
        "SELECT checksum FROM schema_migrations",
    ],
)
def test_what_the_functions_may_not_do(settings: Settings, statement: str) -> None:
    with Sql(settings.cells[0].writer) as app, pytest.raises(asyncpg.InsufficientPrivilegeError):
        app.rows(statement)


def test_the_functions_limits_are_set_on_their_role(settings: Settings) -> None:
    with Sql(settings.cells[0].writer) as app:
        shown = {
            name: app.value(f"SHOW {name}")
            for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        }
    assert shown == {"statement_timeout": "5s", "lock_timeout": "4s", "idle_in_transaction_session_timeout": "10s"}


def test_each_tenant_key_leads_with_the_slot_and_nothing_counts_in_a_sequence(sql: Sql) -> None:
    keys = sql.rows("""
        SELECT c.relname, array_agg(a.attname::text ORDER BY k.place) AS columns
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k (number, place)
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
        WHERE i.indisprimary AND c.relnamespace = 'public'::regnamespace AND c.relname <> 'schema_migrations' GROUP BY 1""")
    assert {row["relname"] for row in keys} >= {
        "merchants",
        "api_keys",
        "payments",
        "operations",
        "idempotency",
        "transfers",
        "events",
    }
    for row in keys:
        wanted = ["slot", "id"] if row["relname"] == "merchants" else ["slot", "merchant_id", "livemode"]
        assert row["columns"][: len(wanted)] == wanted, row
    assert sql.rows("SELECT relname FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace") == []
    assert sql.rows("SELECT attname FROM pg_attribute WHERE attidentity <> '' AND attrelid > 16384") == []


def test_the_tables_belong_to_the_owner_and_not_to_who_ran_the_migration(sql: Sql) -> None:
    owners = sql.rows(
        "SELECT tableowner, tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_migrations'"
    )
    assert {row["tableowner"] for row in owners} == {"guilder_owner"}


def test_events_of_the_coming_weeks_have_their_partitions(sql: Sql) -> None:
    sql.rows("SELECT make_event_partitions(current_date, current_date + 60)")
    names = {
        row["name"]
        for row in sql.rows(
            "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'events'::regclass"
        )
    }
    for days in (0, 30, 60):
        assert sql.value("SELECT 'events_' || to_char(current_date + $1::integer, 'IYYY\"w\"IW')", days) in names


INSERT = """
INSERT INTO payments (slot, merchant_id, livemode, id, status, version, owner, amount, currency, capture_method, payment_method, processor,
    created_at, updated_at, amount_capturable, amount_captured, failure_code, next_action_url, cancellation_reason)
VALUES (0, $1, false, $1, $2, 1, $1, 100, 'EUR', 'manual', 'tok', 'simulator', $3, $3, $4, $5, $6, $7,
    CASE WHEN $2 = 'canceled' THEN 'requested' END)"""

ALLOWED: dict[Status, set[tuple[int, int, bool, bool]]] = {
    # capturable, captured, failure, action
    Status.REQUIRES_CONFIRMATION: {(0, 0, False, False)},
    Status.PROCESSING: {(0, 0, False, False)},
    Status.REQUIRES_ACTION: {(0, 0, False, True)},
    Status.REQUIRES_CAPTURE: {(100, 0, False, False), (60, 40, False, False)},
    Status.SUCCEEDED: {(0, 100, False, False), (0, 40, False, False)},
    Status.FAILED: {(0, 0, True, False)},
    Status.CANCELED: {(0, 0, False, False)},
}


def test_the_database_knows_the_same_states(settings: Settings) -> None:
    """Every status with every combination of amounts, failure and action: the CHECKs let in what can be, and nothing else."""
    amounts = [(0, 0), (100, 0), (60, 40), (0, 40), (0, 100), (100, 100), (-1, 0), (0, -1), (0, 101)]
    with Sql(settings.cells[0].writer) as app:
        for status, (capturable, captured), failed, acting in product(Status, amounts, (False, True), (False, True)):
            row = (
                uuid4(),
                status,
                datetime.now(UTC),
                capturable,
                captured,
                "code" if failed else None,
                "url" if acting else None,
            )
            try:
                app.rows(INSERT, *row)
                accepted = True
            except asyncpg.CheckViolationError:
                accepted = False
            assert accepted == ((capturable, captured, failed, acting) in ALLOWED[status]), (
                status,
                capturable,
                captured,
                failed,
                acting,
            )
        with pytest.raises(asyncpg.CheckViolationError):
            app.rows(INSERT, uuid4(), "unheard_of", datetime.now(UTC), 0, 0, None, None)


async def test_migrations_run_once_in_order_and_two_at_a_time_wait(settings: Settings) -> None:
    async with empty_database(settings) as url:
        connections = [await asyncpg.connect(url, timeout=10) for _ in range(3)]
        results = await asyncio.gather(*(migrate.migrate(connection, migrate.load()) for connection in connections))
        names = [migration.name for migration in migrate.load()]
        assert sorted(len(result.applied) for result in results) == [0, 0, len(names)]
        assert {result.version for result in results} == {len(names)}
        assert [
            row["name"] for row in await connections[0].fetch("SELECT name FROM schema_migrations ORDER BY version")
        ] == names
        for connection in connections:
            await connection.close()


async def test_a_changed_file_is_an_error_and_changes_nothing(settings: Settings) -> None:
    async with empty_database(settings) as url:
        connection = await asyncpg.connect(url, timeout=10)
        files = migrate.load()
        await migrate.migrate(connection, files)
        changed = [
            *files[:-1],
            migrate.Migration(files[-1].version, files[-1].name, files[-1].sql + "\n-- afterthought"),
        ]
        with pytest.raises(migrate.MigrationError, match=files[-1].name):
            await migrate.migrate(connection, changed)
        assert (await migrate.migrate(connection, files)).applied == []
        await connection.close()


async def test_a_file_that_fails_leaves_nothing_and_those_before_it_stay(settings: Settings) -> None:
    async with empty_database(settings) as url:
        connection = await asyncpg.connect(url, timeout=10)
        files = migrate.load()
        broken = migrate.Migration(
            len(files) + 1, f"{len(files) + 1:04}_broken", "CREATE TABLE half_done (id int); SELECT 1/0"
        )
        with pytest.raises(asyncpg.DivisionByZeroError):
            await migrate.migrate(connection, [*files, broken])
        assert await connection.fetchval("SELECT to_regclass('half_done')") is None
        assert await connection.fetchval("SELECT max(version) FROM schema_migrations") == len(files)
        mended = migrate.Migration(broken.version, broken.name, "CREATE TABLE whole (id int)")
        assert (await migrate.migrate(connection, [*files, mended])).applied == [broken.name]
        await connection.close()


@pytest.mark.parametrize("names", [["0001_a.sql", "0003_c.sql"], ["1_a.sql"], ["0001_A.sql"], ["0002_a.sql"]])
def test_a_gap_or_a_malformed_name_is_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(migrate.MigrationError, match="name it"):
        migrate.load(tmp_path)


async def test_a_lost_connection_is_opened_again(settings: Settings) -> None:
    """A function that was frozen finds its connection dead. The statement is sent again on a new one; the caller sees nothing of it."""
    direct = settings.cells[0].direct
    assert direct is not None
    endpoint = db.Endpoint(direct, settings)
    pid = (await endpoint.fetch("SELECT pg_backend_pid() AS pid"))[0]["pid"]
    other = await asyncpg.connect(direct, timeout=10)
    await other.execute("SELECT pg_terminate_backend($1, 5000)", pid)
    await other.close()
    assert (await endpoint.fetch("SELECT pg_backend_pid() AS pid"))[0]["pid"] != pid
    await endpoint.close()
