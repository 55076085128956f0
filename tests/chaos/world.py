"""A world of its own to break: private services, a database, a processor that takes 50 ms, and merchants in it."""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from devstack.services import Services
from devstack.stack import Stack
from guilder import administration
from guilder.config import Budgets, Cell, Settings

from tests.simulator.service import RunningSimulator
from tests.support.books import Books
from tests.support.sql import Sql
from tests.support.workers import Place, Preparation, RemoteEnvironment, Worker

DATABASE = "guilder_chaos"
LATENCY_MS = "50"

SCALE = 5 if os.environ.get("GUILDER_NIGHTLY") == "1" else 1
"""How much more of everything: `make test-nightly` sets the variable."""

HURRIED = Budgets(processor=4.0, lease=5.0, not_found_final=8.0)
"""Shorter than in production, so that a test can see leases end; long enough for a busy machine. The order between them is the same."""


@dataclass(frozen=True, slots=True)
class Merchant:
    """A merchant, and what its workers and its books need."""

    id: str
    place: Place
    database_url: str
    since: datetime
    """When it came into the world: what was made from then on is its own, since one test runs after the other."""

    def worker(self, environments: int = 1, prepare: Preparation | None = None) -> Worker:
        """A process with environments that serve this merchant."""
        return Worker(self.place, environments, prepare)

    def faults(self) -> list[str]:
        """What is wrong with the books now."""
        with Sql(self.database_url) as sql:
            return self._books(sql).faults()

    def payments(self) -> int:
        """How many payments there are."""
        with Sql(self.database_url) as sql:
            return self._books(sql).payments()

    def settle_down(self, reconciler: RemoteEnvironment, limit_s: float = 30.0) -> list[str]:
        """Run the reconciler until the books are right, or the time is up; what is wrong with them then.

        Right means: by this suite's own books and by Guilder's own checks, those of `make verify`.
        The pauses between its questions to the processor, which grow to half a minute, are cut short.
        """
        deadline = time.monotonic() + limit_s
        while True:
            with Sql(self.database_url) as sql:
                sql.script("UPDATE operations SET check_at = now() WHERE outcome IS NULL")
                sql.script("UPDATE notifications SET next_attempt_at = now() WHERE processed_at IS NULL")
                reconciler.reconcile()
                faults = self._books(sql).faults()
            if not faults:
                return reconciler.verify(self.since)
            if time.monotonic() > deadline:
                return faults
            time.sleep(0.2)

    def _books(self, sql: Sql) -> Books:
        assert self.place.settings.simulator_url is not None
        return Books(sql, self.place.settings.simulator_url, self.id)


@dataclass(frozen=True, slots=True)
class World:
    """Services that a test may stop, kill and hang, and what runs on them."""

    services: Services
    stack: Stack
    settings: Settings
    simulator: RunningSimulator
    database_url: str

    def merchant(self, budgets: Budgets = HURRIED, change: Callable[[Settings], Settings] = lambda it: it) -> Merchant:
        """A new merchant, whose workers have these budgets."""
        since = datetime.now(UTC)
        made = asyncio.run(administration.run(self.settings, {"action": "create_merchant", "name": "Chaos"}))
        settings = change(replace(self.settings, budgets=budgets))
        place = Place(settings, made["api_key"], self.services.pgpass, self.stack.paths.log("workers"))
        return Merchant(made["merchant_id"], place, self.database_url, since)


def on(url: str, database: str, *, password: bool) -> str:
    """Point a URL at another database; without its password where the password file has it."""
    parts = urlsplit(url)
    user = f"{parts.username}:{parts.password}" if password else f"{parts.username}"
    return f"postgresql://{user}@{parts.hostname}:{parts.port}/{database}"


def settings_of(services: Services, simulator_url: str, secrets: Path | None = None) -> Settings:
    """Settings over the world's database; its administrator's address has the password in it."""
    app = on(services.app_url(DATABASE), DATABASE, password=False)
    return Settings(
        environment="local",
        cells=(
            Cell("c1", 0, 1023, app, app, services.valkey_url, on(services.superuser_url, DATABASE, password=True)),
        ),
        database_auth="passfile",
        statement_cache_size=services.statement_cache_size,
        simulator_url=simulator_url,
        admin_secret_arn=None,
        processor_secrets_file=None if secrets is None else str(secrets),
        processor_secrets_arn=None,
        region="",
        log_level="INFO",
    )
