"""The streaming replica of the primary; a lost or broken one is copied anew."""

import shutil
import time

from devstack import commands, credentials, sql
from devstack.errors import StackError
from devstack.ports import LOOPBACK
from devstack.postgres import PRIMARY, START_SECONDS, fresh_directory, programs, server_of
from devstack.processes import Server, base_environment
from devstack.stack import Stack
from devstack.system_user import hand_over

REPLICA = "postgres-replica"

STREAMING_SECONDS = 15.0
"""A sound replica streams within a second of its start; after a long absence it catches up first."""


def start(stack: Stack) -> str:
    """Make sure that the replica runs and streams; say what had to be done."""
    note = ""
    if not (stack.paths.data / "replica" / "PG_VERSION").exists():
        _copy(stack)
        note = "copied from the primary"
    started = _start(stack)
    if not started or not _streams(stack):
        _copy(stack)
        note = "was broken: copied anew from the primary"
        if not _start(stack) or not _streams(stack):
            raise StackError("the replica does not follow the primary", log=stack.paths.log(REPLICA))
    return note


def _server(stack: Stack) -> Server:
    conninfo = " ".join(
        (
            f"host={LOOPBACK}",
            f"port={stack.port(PRIMARY)}",
            f"user={credentials.REPLICATION}",
            f"password={stack.passwords[credentials.REPLICATION]}",
            "application_name=replica",
        )
    )
    return server_of(stack, REPLICA, stack.paths.data / "replica", extra=f"primary_conninfo = '{conninfo}'\n")


def _start(stack: Stack) -> bool:
    """Start it and say whether it takes queries."""
    server = _server(stack)
    url = stack.url(credentials.SUPERUSER, REPLICA, "postgres")
    try:
        stack.processes.ensure(server, lambda: sql.answers(url), START_SECONDS)
    except StackError:
        return False
    return True


def _streams(stack: Stack) -> bool:
    """Whether the primary sends it its log, within a bounded time."""
    url = stack.url(credentials.SUPERUSER, PRIMARY, "postgres")
    statement = "SELECT 1 FROM pg_stat_replication WHERE application_name = 'replica' AND state = 'streaming'"
    deadline = time.monotonic() + STREAMING_SECONDS
    while not sql.fetch(url, statement):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _copy(stack: Stack) -> None:
    """Copy the primary. The copy takes its place only when it is whole."""
    stack.processes.stop(REPLICA)
    home = stack.paths.data / "replica"
    draft = fresh_directory(stack, home.with_name("replica.new"))
    shutil.rmtree(home, ignore_errors=True)
    commands.run(
        [
            programs() / "pg_basebackup",
            f"--pgdata={draft}",
            "--checkpoint=fast",
            "--wal-method=stream",
            f"--host={LOOPBACK}",
            f"--port={stack.port(PRIMARY)}",
            f"--username={credentials.REPLICATION}",
            "--no-password",
        ],
        log=stack.paths.log("pg_basebackup"),
        timeout=300,
        env=base_environment() | {"PGPASSWORD": stack.passwords[credentials.REPLICATION]},
        cwd=draft.parent,
        user=stack.database_user,
    )
    signal_file = draft / "standby.signal"
    signal_file.touch()
    hand_over(signal_file, stack.database_user, 0o600)
    draft.rename(home)
