"""The simulator under test: a real process, a real PostgreSQL, HTTP between."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from urllib.parse import urlsplit

import asyncpg
import pytest
from devstack.services import Services

from tests.simulator.receiver import Receiver, receiving
from tests.simulator.service import Processor, RunningSimulator, running

type NewDatabase = Callable[[], Awaitable[str]]
"""Makes an empty database and gives its URL."""

NOTIFICATION_SECRET = "a secret that both sides know"


@pytest.fixture(scope="session")
async def new_database(services: Services) -> AsyncIterator[NewDatabase]:
    """Databases of this run's own, dropped at its end; the password comes from the password file."""
    os.environ["PGPASSFILE"] = str(services.pgpass)
    server = urlsplit(services.superuser_url)
    made: list[str] = []
    admin = await asyncpg.connect(services.superuser_url, timeout=10)

    async def make() -> str:
        name = f"simulator_test_{uuid.uuid4().hex}"
        await admin.execute(f"CREATE DATABASE {name} OWNER simulator")
        made.append(name)
        return f"postgresql://simulator@{server.hostname}:{server.port}/{name}"

    try:
        yield make
        for name in made:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@pytest.fixture(scope="session")
async def database_url(new_database: NewDatabase) -> str:
    """The database of the shared simulator."""
    return await new_database()


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    """Where the shared simulator's notifications arrive."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def simulator(
    database_url: str, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningSimulator]:
    """One simulator for all tests that need no other: each uses references and keys of its own."""
    log = tmp_path_factory.mktemp("simulator") / "log"
    variables = {
        "SIMULATOR_NOTIFICATION_URL": receiver.url,
        "SIMULATOR_NOTIFICATION_SECRET": NOTIFICATION_SECRET,
    }
    with running(database_url, log, **variables) as simulator:
        yield simulator


@pytest.fixture
async def processor(simulator: RunningSimulator) -> AsyncIterator[Processor]:
    """A client of the shared simulator."""
    async with simulator.client() as client:
        yield client
