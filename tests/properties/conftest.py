"""A simulator of these tests' own, which decides quickly, and an environment that talks to it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from devstack.services import Services
from guilder.config import Settings

from tests.properties.world import SECRET, World
from tests.support.simulators import own_simulator
from tests.support.sql import Sql

QUICK = {"SIMULATOR_HANG_SECONDS": "0.4", "SIMULATOR_SLOW_SECONDS": "0.1", "SIMULATOR_SETTLE_SECONDS": "0.02"}


@pytest.fixture(scope="session")
def quick_settings(
    services: Services, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Settings of an environment whose processor is a simulator of this run's own."""
    log = tmp_path_factory.mktemp("simulator") / "simulator.log"
    secrets: Path = log.with_name("secrets.json")
    secrets.write_text(f'{{"simulator": {{"notification_secret": "{SECRET}"}}}}')
    with own_simulator(services, log, "", SECRET, **QUICK) as simulator:
        budgets = replace(settings.budgets, not_found_final=75.0)  # the tests' clock moves on: nothing waits for it
        yield replace(settings, simulator_url=simulator.url, processor_secrets_file=str(secrets), budgets=budgets)


@pytest.fixture(scope="session")
def world(quick_settings: Settings, merchant: dict[str, str], sql: Sql) -> Iterator[World]:
    """That environment, with a clock and a line to the processor that a test can disturb."""
    made = World(quick_settings, merchant["api_key"], sql)
    yield made
    made.close()
