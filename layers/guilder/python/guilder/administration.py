"""What the migrate function does as the cluster's administrator: apply migrations to every cell, and make a merchant with its first key.

Event ``{}`` or ``{"action": "migrate"}`` gives ``{"cells": {"c1": {"applied": ["0001_roles"], "version": 1}}}``.
Event ``{"action": "create_merchant", "name": "Demo", "livemode": false}`` gives
``{"merchant_id": "mer_...", "api_key": "gk_test_..."}``; the key is shown this once.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from guilder import ids, keys, migrate
from guilder.config import Cell, ConfigurationError, Settings
from guilder.runtime import utc_now

CONNECT_S = 10
STATEMENT_S = 600
"""A migration may build an index for minutes; Lambda's own limit of 15 minutes is above it."""


async def run(settings: Settings, event: Mapping[str, Any]) -> dict[str, Any]:
    """Do what the event asks for.

    Raises:
        ValueError: an unknown action or a malformed field.
        migrate.MigrationError: the files and a database disagree.
    """
    action = event.get("action", "migrate")
    if action == "migrate":
        return {"cells": {cell.name: await _migrate(settings, cell) for cell in settings.cells}}
    if action == "create_merchant":
        return await _create_merchant(settings, event.get("name"), event.get("livemode", False))
    raise ValueError("action is `migrate` or `create_merchant`")


async def _migrate(settings: Settings, cell: Cell) -> dict[str, Any]:
    async with _administrator(settings, cell) as connection:
        result = await migrate.migrate(connection, migrate.load())
    return {"applied": result.applied, "version": result.version}


async def _create_merchant(settings: Settings, name: object, livemode: object) -> dict[str, Any]:
    if not isinstance(name, str) or not isinstance(livemode, bool):
        raise ValueError("create_merchant takes `name` (text) and `livemode` (true or false)")  # noqa: TRY004 (it is the event that is wrong)
    source = ids.IdSource(utc_now)
    merchant = source.new()
    cell = settings.cell_of(ids.slot_of_merchant(merchant))
    async with _administrator(settings, cell) as connection:
        made = await keys.provision(connection, name, livemode=livemode, merchant=merchant, key_id=source.new())
    return {"merchant_id": made.merchant_id, "api_key": made.api_key}


@asynccontextmanager
async def _administrator(settings: Settings, cell: Cell) -> AsyncIterator[asyncpg.Connection]:
    if cell.direct is None:
        raise ConfigurationError(
            f"GUILDER_CELLS has no `direct` address for cell {cell.name}: only the migrate function is given one"
        )
    user, password = await asyncio.to_thread(_log_in, settings)
    connection = await asyncpg.connect(
        cell.direct, user=user, password=password, timeout=CONNECT_S, command_timeout=STATEMENT_S
    )
    try:
        yield connection
    finally:
        await connection.close(timeout=CONNECT_S)


def _log_in(settings: Settings) -> tuple[str | None, str | None]:
    """Read the administrator's name and password: from Secrets Manager on AWS, else from the password file (asyncpg's default)."""
    if settings.admin_secret_arn is None:
        return None, None
    import boto3  # part of Lambda's Python runtime; only this function needs it
    from botocore.config import Config

    limits = Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 3})
    secret = json.loads(
        boto3.client("secretsmanager", config=limits).get_secret_value(SecretId=settings.admin_secret_arn)[
            "SecretString"
        ]
    )
    return secret["username"], secret["password"]
