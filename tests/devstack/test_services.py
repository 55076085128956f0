"""The local services: repaired whatever died, with their data, and as the functions need them."""

import asyncio
import signal
import stat
import time
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import psutil
import pytest
from devstack import credentials, pgbouncer, services, sql
from devstack.paths import Paths
from devstack.pgbouncer import POOLER, POOLER_READER
from devstack.postgres import PRIMARY
from devstack.replica import REPLICA
from devstack.services import Services
from devstack.stack import Stack
from devstack.valkey import VALKEY

from tests.devstack.conftest import alive


def kill(stack: Stack, name: str) -> None:
    record = stack.processes.running(name)
    assert record is not None, f"{name} does not run"
    psutil.Process(record.pid).send_signal(signal.SIGKILL)


def work(running: Services) -> None:
    """Use every service once, on the way that the functions take."""
    assert sql.fetch(running.superuser_url, "SELECT 1")
    assert sql.fetch(running.replica_url, "SELECT pg_is_in_recovery()")[0][0] is True
    assert sql.fetch(running.app_url("guilder"), "SELECT current_user")[0][0] == credentials.APP
    assert sql.fetch(running.app_reader_url("guilder"), "SELECT pg_is_in_recovery()")[0][0] is True
    assert httpx.get(f"{running.simulator_url}/charges", timeout=10).status_code == httpx.codes.OK
    assert asyncio.run(_ping(running.valkey_url))


async def _ping(url: str) -> bool:
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(b"PING\r\n")
    answer = await asyncio.wait_for(reader.readline(), timeout=5)
    writer.close()
    return answer == b"+PONG\r\n"


def wait_until_replica_has(running: Services, statement: str) -> bool:
    """Whether the replica gives the statement a row within five seconds."""
    for _ in range(100):
        if sql.fetch(running.replica_url, statement):
            return True
        time.sleep(0.05)
    return False


def test_pgbouncer_is_there() -> None:
    """`make up` can do without and says so; the tests cannot, since then nothing would be tested through a pooler."""
    assert pgbouncer.find() is not None, "install PgBouncer: apt-get install pgbouncer, or brew install pgbouncer"


@pytest.mark.parametrize("name", services.NAMES)
def test_a_killed_service_is_repaired(stack: Stack, paths: Paths, name: str) -> None:
    work(services.ensure(paths))
    kill(stack, name)
    work(services.ensure(paths))


def test_all_killed_at_once_keep_their_data(stack: Stack, paths: Paths) -> None:
    running = services.ensure(paths)
    sql.fetch(running.owner_url, "CREATE TABLE IF NOT EXISTS kept (at timestamptz)")
    sql.fetch(running.owner_url, "INSERT INTO kept VALUES (now())")
    before = sql.fetch(running.owner_url, "SELECT count(*) FROM kept")
    for name in services.NAMES:
        kill(stack, name)
    again = services.ensure(paths)
    assert sql.fetch(again.owner_url, "SELECT count(*) FROM kept") == before
    assert again == running, "addresses and passwords must not change"


def test_when_everything_runs_nothing_is_started(stack: Stack, paths: Paths) -> None:
    services.ensure(paths)
    before = [stack.processes.running(name) for name in services.NAMES]
    services.ensure(paths)
    assert [stack.processes.running(name) for name in services.NAMES] == before


def test_the_replica_follows_the_primary(stack: Stack, paths: Paths) -> None:
    running = services.ensure(paths)
    sql.fetch(running.owner_url, "CREATE TABLE IF NOT EXISTS followed (at timestamptz)")
    sql.fetch(running.owner_url, "INSERT INTO followed VALUES (now())")
    assert wait_until_replica_has(running, "SELECT 1 FROM pg_class WHERE relname = 'followed'")
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        sql.fetch(running.replica_url, "DELETE FROM followed")


@pytest.mark.parametrize("running_then", [True, False])
def test_a_replica_whose_data_are_gone_is_copied_anew(stack: Stack, paths: Paths, running_then: bool) -> None:
    services.ensure(paths)
    if not running_then:
        kill(stack, REPLICA)
    home = paths.data / "replica"
    home.rename(home.with_name("gone"))
    running = services.ensure(paths)
    work(running)
    sql.fetch(running.owner_url, "CREATE TABLE IF NOT EXISTS copied (at timestamptz)")
    assert wait_until_replica_has(running, "SELECT 1 FROM pg_class WHERE relname = 'copied'")
    services_gone = home.with_name("gone")
    for file in sorted(services_gone.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink()
    services_gone.rmdir()


def test_a_postmaster_pid_that_means_a_stranger_does_not_stop_postgresql(stack: Stack, paths: Paths) -> None:
    services.ensure(paths)
    kill(stack, PRIMARY)
    file = paths.data / "primary" / "postmaster.pid"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([str(psutil.Process().pid), *lines[1:]]) + "\n")
    work(services.ensure(paths))


def test_pgbouncer_gives_two_clients_one_server_connection(stack: Stack, paths: Paths) -> None:
    """Transaction mode: a connection belongs to a client for one transaction only."""
    url = services.ensure(paths).app_url("guilder")

    async def backends() -> tuple[int, int]:
        first = await asyncpg.connect(url, statement_cache_size=0)
        second = await asyncpg.connect(url, statement_cache_size=0)
        try:
            return (
                await first.fetchval("SELECT pg_backend_pid()"),
                await second.fetchval("SELECT pg_backend_pid()"),
            )
        finally:
            await first.close()
            await second.close()

    one, other = asyncio.run(backends())
    assert one == other


def test_many_clients_share_a_bounded_number_of_server_connections(stack: Stack, paths: Paths) -> None:
    running = services.ensure(paths)
    clients = 300

    async def crowd() -> int:
        connections = await asyncio.gather(
            *(asyncpg.connect(running.app_url("guilder"), statement_cache_size=0, timeout=60) for _ in range(clients))
        )
        try:
            await asyncio.gather(*(each.fetchval("SELECT pg_sleep(0.01)") for each in connections))
            return len(connections)
        finally:
            await asyncio.gather(*(each.close() for each in connections))

    assert asyncio.run(crowd()) == clients
    counted = sql.fetch(
        running.superuser_url, "SELECT count(*) FROM pg_stat_activity WHERE usename = $1", credentials.APP
    )
    assert 0 < counted[0][0] <= pgbouncer.POOL_SIZE


def test_the_database_is_as_durable_as_in_production_and_ready_for_logical_replication(
    stack: Stack, paths: Paths
) -> None:
    url = services.ensure(paths).superuser_url
    wanted = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "wal_level": "logical"}
    shown = {name: sql.fetch(url, "SELECT current_setting($1)", name)[0][0] for name in wanted}
    assert shown == wanted


def test_a_wrong_password_opens_nothing(stack: Stack, paths: Paths) -> None:
    running = services.ensure(paths)
    for url in (running.owner_url, running.app_url("guilder")):
        password = urlsplit(url).password
        assert password
        # PgBouncer before 1.21 has its own words for it
        with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.ProtocolViolationError)):
            sql.fetch(url.replace(password, "wrong"), "SELECT 1")


def test_passwords_are_readable_by_their_owner_alone(stack: Stack, paths: Paths) -> None:
    services.ensure(paths)
    secrets = [paths.pgpass, paths.data / "passwords.json", *paths.data.glob("*.conf")]
    secrets += [paths.state / name / "users.txt" for name in (POOLER, POOLER_READER)]
    assert len(secrets) == 6
    assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in secrets} == {file.name: 0o600 for file in secrets}


def test_a_deleted_password_file_comes_back(stack: Stack, paths: Paths) -> None:
    running = services.ensure(paths)
    content = running.pgpass.read_text()
    running.pgpass.unlink()
    assert services.ensure(paths).pgpass.read_text() == content


def test_stopping_leaves_no_process_behind(stack: Stack, paths: Paths) -> None:
    services.ensure(paths)
    records = [stack.processes.running(name) for name in services.NAMES]
    for name in services.NAMES:
        assert stack.processes.stop(name), name
    assert [record for record in records if record is None or alive(record.pid)] == []
    assert _processes_in(paths.state) == []
    assert stack.processes.names() == []


def test_a_second_stack_beside_the_first_is_not_touched(stack: Stack, paths: Paths, tmp_path: Path) -> None:
    services.ensure(paths)
    other = Stack(Paths(tmp_path))
    for name in (VALKEY, PRIMARY):
        other.processes.stop(name)
    assert stack.processes.running(VALKEY) is not None
    assert stack.processes.running(PRIMARY) is not None
    assert other.port(VALKEY) != stack.port(VALKEY)


def _processes_in(directory: Path) -> list[str]:
    """Processes that name the directory in their command line or work in it."""
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            if str(directory) in words or process.cwd().startswith(str(directory)):
                found.append(words)
        except psutil.Error:
            continue
    return found
