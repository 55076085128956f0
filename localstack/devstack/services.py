"""The services that need no deployment: PostgreSQL and its replica, PgBouncer, Valkey and the simulator.

`ensure` is for tests and tools: it starts what does not run, in seconds, and is quick when everything does.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from devstack import credentials, locks, pgbouncer, postgres, replica, simulator, steps, valkey
from devstack.paths import Paths
from devstack.pgbouncer import POOLER, POOLER_READER
from devstack.postgres import PRIMARY
from devstack.replica import REPLICA
from devstack.simulator import SIMULATOR
from devstack.stack import Stack
from devstack.steps import Step
from devstack.valkey import VALKEY

LOCK_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Services:
    """Where the services are. Every URL has the password in it."""

    superuser_url: str
    """The primary, as its superuser, database postgres."""
    owner_url: str
    """The primary, as the role that owns Guilder's tables."""
    replica_url: str
    """The replica, as the superuser, database guilder."""
    app_url_template: str
    """The primary as the functions' role, through PgBouncer; `{database}` stands for the database."""
    app_reader_url_template: str
    """The replica in the same way."""
    valkey_url: str
    simulator_url: str
    pgpass: Path
    """A PostgreSQL password file with every role, good for all of these addresses."""
    pooled: bool
    """Whether the app's URLs lead through PgBouncer; where there is none, they lead to the servers."""
    statement_cache_size: int
    """How many named statements a client may keep: none behind a PgBouncer that loses them."""

    def app_url(self, database: str) -> str:
        """The primary as the functions' role."""
        return self.app_url_template.format(database=database)

    def app_reader_url(self, database: str) -> str:
        """The replica as the functions' role."""
        return self.app_reader_url_template.format(database=database)


def ensure(paths: Paths | None = None) -> Services:
    """Start what does not run and say where everything is.

    Raises:
        StepError: a service does not start; the message says which.
        BusyError: somebody else has been starting services here for minutes.
    """
    stack = Stack(paths)
    with lock(stack):
        steps.run(service_steps(stack), steps.Silent())
    return describe(stack)


def lock(stack: Stack) -> AbstractContextManager[None]:
    """Only one process at a time starts or stops services."""
    return locks.exclusive(
        stack.paths.run / "services.lock",
        wait_seconds=LOCK_SECONDS,
        message="another process is starting or stopping the local services",
    )


def service_steps(stack: Stack) -> Sequence[Step]:
    """How the services come up, and which of them need another first."""
    return (
        Step("PostgreSQL", lambda: _start_primary(stack)),
        Step("PostgreSQL replica", lambda: replica.start(stack), after=("PostgreSQL",)),
        Step("Valkey", lambda: _remark(valkey.start(stack))),
        Step("PgBouncer installation", lambda: pgbouncer.install(stack)),
        Step("PgBouncer", lambda: _start_poolers(stack), after=("PgBouncer installation", "PostgreSQL")),
        Step("Processor simulator", lambda: _remark(simulator.start(stack)), after=("PostgreSQL",)),
    )


def app_endpoints(stack: Stack, database: str, *, password: bool = False) -> tuple[str, str]:
    """Where the functions find a database to write and to read: through PgBouncer, or directly where there is none."""
    writer, reader = (POOLER, POOLER_READER) if pgbouncer.find() else (PRIMARY, REPLICA)
    return (
        stack.url(credentials.APP, writer, database, password=password),
        stack.url(credentials.APP, reader, database, password=password),
    )


def describe(stack: Stack) -> Services:
    """Where the services of a stack are."""
    program = pgbouncer.find()
    writer, reader = app_endpoints(stack, "{database}", password=True)
    return Services(
        superuser_url=stack.url(credentials.SUPERUSER, PRIMARY, "postgres"),
        owner_url=stack.url(credentials.OWNER, PRIMARY, "guilder"),
        replica_url=stack.url(credentials.SUPERUSER, REPLICA, "guilder"),
        app_url_template=writer,
        app_reader_url_template=reader,
        valkey_url=valkey.url(stack),
        simulator_url=simulator.url(stack),
        pgpass=stack.paths.pgpass,
        pooled=program is not None,
        statement_cache_size=0 if program and not program.keeps_named_statements else 256,
    )


NAMES = (SIMULATOR, POOLER, POOLER_READER, VALKEY, REPLICA, PRIMARY)
"""In the order in which they are stopped: clients before what they use."""


def _start_primary(stack: Stack) -> str:
    stack.write_password_file()
    made = postgres.initialise(stack)
    started = postgres.start(stack)
    postgres.prepare(stack)
    return "new database" if made else _remark(started)


def _start_poolers(stack: Stack) -> str:
    remarks = {pgbouncer.start(stack, POOLER), pgbouncer.start(stack, POOLER_READER)}
    return " ".join(filter(None, remarks))


def _remark(started: bool) -> str:
    return "started" if started else "runs"
