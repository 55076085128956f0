"""The world that these tests break: services of their own in a state directory of their own, as tests/devstack has them."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from devstack import services as devstack_services
from devstack import steps
from devstack.paths import Paths
from devstack.services import Services
from devstack.stack import Stack
from guilder import administration

from tests.chaos.world import DATABASE, LATENCY_MS, World, on, settings_of
from tests.simulator.service import RunningSimulator, running
from tests.support.sql import Sql

NEEDED = ("PostgreSQL", "Valkey", "PgBouncer installation", "PgBouncer")
"""Of the local services: the replica is not what breaks here, and the processor is one of the tests' own."""


@pytest.fixture(scope="session")
def paths() -> Iterator[Paths]:
    # Not pytest's own directory: its next run closes that to other accounts, and as root PostgreSQL runs as one.
    with tempfile.TemporaryDirectory(prefix="guilder-chaos-") as directory:
        yield Paths(Path(directory))


@pytest.fixture(scope="session")
def stack(paths: Paths) -> Iterator[Stack]:
    """The services, running. One object for the whole run: it knows its children."""
    stack = Stack(paths)
    steps.run([step for step in devstack_services.service_steps(stack) if step.name in NEEDED], steps.Silent())
    yield stack
    for name in devstack_services.NAMES:
        stack.processes.stop(name)


@contextmanager
def own_processor(services: Services, log: Path, name: str, **variables: str) -> Iterator[RunningSimulator]:
    """A simulator with a database of its own."""
    with Sql(services.superuser_url) as admin:
        admin.script(f"CREATE DATABASE {name} OWNER simulator")
    url = on(services.superuser_url, name, password=False).replace("postgres@", "simulator@")
    with running(url, log, PGPASSFILE=str(services.pgpass), **variables) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def world(stack: Stack, paths: Paths) -> Iterator[World]:
    """Everything, migrated and answering; a test that breaks something repairs it."""
    services = devstack_services.describe(stack)
    with Sql(services.superuser_url) as admin:
        admin.script(f"CREATE DATABASE {DATABASE}")
    log = paths.log("processor")
    with own_processor(services, log, "processor", SIMULATOR_LATENCY_MS=LATENCY_MS) as simulator:
        settings = settings_of(services, simulator.url)
        asyncio.run(administration.run(settings, {}))
        yield World(services, stack, settings, simulator, on(services.superuser_url, DATABASE, password=True))
