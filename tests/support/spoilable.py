"""Books that a test may spoil: a database with a payment of every kind and a simulator of its own, brought back after each test."""
# ruff: noqa: S608 (the statements name tables of the database itself)

import asyncio
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
from devstack.services import Services
from guilder import administration, ids
from guilder.config import Budgets, Settings
from guilder.ids import Tenant
from guilder.operations import Address, write_key
from guilder.runtime import Runtime
from guilder.verify import Options, Report

from tests.support.environment import Environment
from tests.support.simulators import own_simulator
from tests.support.sql import Sql

QUICK = Budgets(processor=1.0, lease=1.5, not_found_final=3.0)
BOUNDS = "payments_amounts_bounded"
UNTIL_SETTLED_S = 6.0
"""Longer than ``QUICK.not_found_final``, the reconciler's pauses included: then nothing is in doubt."""


@dataclass(frozen=True)
class Books:
    """A database, its simulator and one merchant's key."""

    settings: Settings
    sql: Sql
    """As the administrator."""
    tenant: Tenant
    api_key: str

    def verify(self, **options: Any) -> Report:
        """Run the checks as the functions' role."""

        async def run() -> Report:
            runtime = Runtime(self.settings)
            try:
                return await runtime.verify(Options(**{"seconds": 60.0} | options))
            finally:
                await runtime.close()

        return asyncio.run(run())

    def until_replicated(self) -> None:
        """Wait until the replica has what was written so far."""
        written = self.sql.value("SELECT pg_current_wal_lsn()::text")
        deadline = time.monotonic() + 30
        while not self.sql.value("SELECT bool_and(replay_lsn >= $1::text::pg_lsn) FROM pg_stat_replication", written):
            assert time.monotonic() < deadline, "the replica does not follow"
            time.sleep(0.1)

    def broken(self, **options: Any) -> set[str]:
        """Name the checks that found something; everything must have been seen."""
        report = self.verify(**options)
        assert report.incomplete == []
        return {finding.check for finding in report.findings}

    def of_another_merchant(self) -> "Books":
        """Add a merchant. When it is gone again, its charges are somebody else's, whatever became of them."""
        made = asyncio.run(administration.run(self.settings, {"action": "create_merchant", "name": "Another"}))
        merchant = ids.decode("mer", made["merchant_id"])
        return replace(self, tenant=Tenant(merchant.slot, merchant.uuid, livemode=False), api_key=made["api_key"])

    def environment(self) -> Environment:
        """A Lambda environment on this database."""
        return Environment(self.settings, self.api_key)

    def shown(self, payment: UUID) -> str:
        """Write a payment's id as the API shows it."""
        return ids.encode("pay", self.tenant.slot, payment)

    def key(self) -> str:
        """Write a key that no operation has, as Guilder writes them."""
        return write_key(Address(self.tenant, uuid4()))


class Charges:
    """The processor's side, past Guilder. A test pays back what it charged: unlike the database, the simulator is not brought back."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=10)

    def charge(self, reference: str, key: str | None = None, amount: int = 700) -> str:
        """Charge a card; give the charge's id."""
        body = {"reference": reference, "amount": amount, "currency": "EUR", "source": "tok_visa", "capture": True}
        return str(self._post("/charges", body, key)["id"])

    def refund(self, charge: str, amount: int | None = None) -> None:
        """Pay back, all that is left unless told how much."""
        self._post(f"/charges/{charge}/refunds", {"amount": amount})

    def void(self, charge: str) -> None:
        """Give back what is held."""
        self._post(f"/charges/{charge}/void", {})

    def of(self, reference: str) -> dict[str, Any]:
        """Find the one charge of a reference."""
        (found,) = self._client.get("/charges", params={"reference": reference}).raise_for_status().json()["data"]
        return dict(found)

    def _post(self, path: str, body: object, key: str | None = None) -> dict[str, Any]:
        answer = self._client.post(path, json=body, headers={"Idempotency-Key": key or uuid4().hex})
        return dict(answer.raise_for_status().json())


@contextmanager
def spoilable_books(services: Services, log: Path) -> Iterator[Books]:
    """Make the database and its payments, with everything in doubt decided; drop it in the end."""
    os.environ["PGPASSFILE"] = str(services.pgpass)
    name = f"guilder_books_{os.getpid()}"
    with Sql(services.superuser_url) as admin, own_simulator(services, log, "", "") as simulator:
        admin.script(f"CREATE DATABASE {name}")
        try:
            settings = settings_of(services, name, simulator.url)
            asyncio.run(administration.run(settings, {}))
            made = asyncio.run(administration.run(settings, {"action": "create_merchant", "name": "Books"}))
            merchant = ids.decode("mer", made["merchant_id"])
            with Sql(str(settings.cells[0].direct)) as sql:
                books = Books(settings, sql, Tenant(merchant.slot, merchant.uuid, livemode=False), made["api_key"])
                with books.environment() as environment:
                    pay_in_every_way(environment)
                    # The reconciler would ask about a pending refund in half a minute.
                    sql.rows("UPDATE operations SET check_at = now() WHERE kind = 'refund' AND outcome IS NULL")
                    environment.reconcile(UNTIL_SETTLED_S)
                    environment.run(lambda: environment.runtime.roll_up(5.0))
                    environment.pay()  # which the roll-up has not seen
                keep(sql)
                yield books
        finally:
            admin.script(f"DROP DATABASE {name} WITH (FORCE)")


def keep(sql: Sql) -> None:
    """Put a copy of every row and of the constraints that a test drops aside."""
    sql.script("CREATE SCHEMA kept")
    for table in _tables(sql):
        sql.script(f"CREATE TABLE kept.{table} AS TABLE public.{table}")
    sql.script(f"""
        CREATE TABLE kept_constraints AS SELECT pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE conname = '{BOUNDS}'""")


def restore(sql: Sql) -> None:
    """Bring every row, and the constraint, back to what was kept."""
    rows = "".join(f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept.{table};" for table in _tables(sql))
    definition = sql.value("SELECT definition FROM kept_constraints")
    sql.script(f"""
        BEGIN; SET LOCAL session_replication_role = replica; {rows}
        ALTER TABLE payments DROP CONSTRAINT IF EXISTS {BOUNDS}; ALTER TABLE payments ADD CONSTRAINT {BOUNDS} {definition}; COMMIT""")


def _tables(sql: Sql) -> list[str]:
    found = sql.rows("""
        SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
            AND relname NOT IN ('schema_migrations', 'kept_constraints')""")
    return [row["relname"] for row in found]


def settings_of(services: Services, database: str, simulator_url: str) -> Settings:
    """Settings of a function over one database: writer and reader through the pooler, as the functions' role."""
    cell = {
        "name": "c1", "first_slot": 0, "last_slot": 1023,
        "writer": services.app_url(database), "reader": services.app_reader_url(database),
        "cache": services.valkey_url.rsplit("/", 1)[0] + "/8",
        "direct": f"{services.superuser_url.rsplit('/', 1)[0]}/{database}",
    }  # fmt: skip
    variables = {
        "GUILDER_ENV": "local",
        "GUILDER_CELLS": json.dumps([cell]),
        "GUILDER_DATABASE_AUTH": "passfile",
        "GUILDER_STATEMENT_CACHE_SIZE": str(services.statement_cache_size),
        "GUILDER_SIMULATOR_URL": simulator_url,
    }
    return replace(Settings.from_environment(variables), budgets=QUICK)


def pay_in_every_way(environment: Environment) -> None:
    """Bring payments and refunds into every status they can have."""

    def paid(**fields: Any) -> str:
        return str(environment.pay(**fields).json()["id"])

    paid()
    environment.post("refunds", {"payment": paid(), "amount": 300})
    environment.post("refunds", {"payment": paid(payment_method="tok_refund_pending"), "amount": 100})
    environment.post("refunds", {"payment": paid(payment_method="tok_refund_fails"), "amount": 100})
    paid(payment_method="tok_declined")
    paid(confirm=False)
    environment.post(f"payments/{paid(confirm=False)}/cancel")
    environment.post(f"payments/{paid(confirm=False)}/confirm")
    paid(capture_method="manual")
    part = paid(capture_method="manual")
    environment.post(f"payments/{part}/capture", {"amount": 400})
    rest = paid(capture_method="manual")
    environment.post(f"payments/{rest}/capture", {"amount": 400})
    environment.post(f"payments/{rest}/cancel")
    environment.post(f"payments/{paid(capture_method='manual')}/cancel")
    paid(payment_method="tok_requires_action")
    environment.post(f"payments/{paid(payment_method='tok_requires_action')}/cancel")
    paid(payment_method="tok_timeout_after_charge")
    paid(payment_method="tok_timeout_before_charge")
