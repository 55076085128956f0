"""Real services for every test that asks: PostgreSQL, Valkey, PgBouncer and the simulator, started once and reused; a database per run."""

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

import pytest
from devstack import services as devstack_services
from guilder import administration
from guilder.config import Budgets, Settings

from tests.support.environment import Environment
from tests.support.sql import Sql

DATABASE = f"guilder_test_{os.getpid()}"
BUDGETS = Budgets(processor=3.0, lease=5.0, not_found_final=7.0)
"""Shorter than in production, so that a test can see leases end; the order between them is the same."""


@pytest.fixture(scope="session")
def services() -> devstack_services.Services:
    """The local services; started if they do not run."""
    return devstack_services.ensure()


def on(url: str, database: str) -> str:
    """Point a URL at another database of the same server, without its password: the password file has it."""
    parts = urlsplit(url)
    where = f"{parts.username}@{parts.hostname}:{parts.port}"
    return urlunsplit((parts.scheme, where, f"/{database}", "", ""))


@pytest.fixture(scope="session")
def cells(services: devstack_services.Services) -> Iterator[str]:
    """GUILDER_CELLS over a database of this run's own, migrated through the migrate function's code; dropped at the end."""
    os.environ["PGPASSFILE"] = str(services.pgpass)
    with Sql(on(services.superuser_url, "postgres")) as admin:
        admin.script(f"CREATE DATABASE {DATABASE}")
        cell = {
            "name": "c1",
            "first_slot": 0,
            "last_slot": 1023,
            "writer": on(services.app_url(DATABASE), DATABASE),
            "reader": on(services.app_url(DATABASE), DATABASE),
            "cache": services.valkey_url.rsplit("/", 1)[0] + "/9",
            "direct": on(services.superuser_url, DATABASE),
        }
        try:
            yield json.dumps([cell])
        finally:
            admin.script(f"DROP DATABASE {DATABASE} WITH (FORCE)")


@pytest.fixture(scope="session")
def variables(services: devstack_services.Services, cells: str) -> dict[str, str]:
    """The environment variables of a function."""
    return {
        "GUILDER_ENV": "local",
        "GUILDER_CELLS": cells,
        "GUILDER_DATABASE_AUTH": "passfile",
        "GUILDER_STATEMENT_CACHE_SIZE": str(services.statement_cache_size),
        "GUILDER_SIMULATOR_URL": services.simulator_url,
        "PGPASSFILE": str(services.pgpass),
    }


@pytest.fixture(scope="session")
def settings(variables: dict[str, str]) -> Settings:
    """Settings as a function reads them, over a migrated database, with shorter budgets."""
    made = replace(Settings.from_environment(variables), budgets=BUDGETS)
    asyncio.run(administration.run(made, {}))
    return made


@pytest.fixture(scope="session")
def sql(settings: Settings) -> Iterator[Sql]:
    """SQL as the cluster's administrator."""
    direct = settings.cells[0].direct
    assert direct is not None
    with Sql(direct) as connection:
        yield connection


def new_merchant(settings: Settings, *, livemode: bool = False) -> dict[str, str]:
    """Make a merchant and its key as the migrate function does."""
    return asyncio.run(
        administration.run(settings, {"action": "create_merchant", "name": "Test", "livemode": livemode})
    )


@pytest.fixture(scope="session")
def merchant(settings: Settings) -> dict[str, str]:
    """A merchant in test mode: ``merchant_id`` and ``api_key``."""
    return new_merchant(settings)


@pytest.fixture
def environment(settings: Settings, merchant: dict[str, str]) -> Iterator[Environment]:
    """One Lambda environment of that merchant."""
    with Environment(settings, merchant["api_key"]) as made:
        yield made
