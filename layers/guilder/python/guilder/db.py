"""PostgreSQL through a transaction pooler: connections per cell and endpoint, named SQL blocks, one safe retry.

What must hold so that RDS Proxy never pins a connection: no reset query when a connection is given back, no types of our own on the
wire, no SET, no session locks, no temporary objects. Time-outs and such are set on the role (migrations/0001_roles.sql).
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from guilder.config import Cell, Settings
from guilder.errors import Unavailable
from guilder.log import logger

type Row = asyncpg.Record
type Password = str | Callable[[], Awaitable[str]] | None

_DEAD = (
    asyncpg.InterfaceError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.ConnectionFailureError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    ConnectionError,
    OSError,
)
"""Errors that say the connection is gone, not that the statement was wrong. A Lambda that was frozen meets them at its first statement."""

_BLOCK = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


_GAVE_UP = (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)
"""Errors that say PostgreSQL ended the statement for another's sake, as for a lock that did not come free: nothing of it was done."""


def load_queries(module_file: str, **fragments: str) -> dict[str, str]:
    """Read the ``.sql`` file beside a module: blocks that start with ``-- name: <name>``.

    ``{fragment}`` in a block stands for the fragment of that name: SQL that several statements share.
    """
    text = Path(module_file).with_suffix(".sql").read_text(encoding="utf-8")
    for fragment, sql in fragments.items():
        text = text.replace("{" + fragment + "}", sql)
    parts = _BLOCK.split(text)[1:]
    return {name: body.strip().removesuffix(";") for name, body in zip(parts[::2], parts[1::2], strict=True)}


class Transaction:
    """Several statements that happen all or none."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetchrow(self, query: str, *args: object) -> Row | None:
        """Run one statement and return its only row."""
        row: Row | None = await self._connection.fetchrow(query, *args)
        return row


class Endpoint:
    """One address of one cell. Connects at the first statement, within the event loop that runs it."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._url = url
        self._settings = settings
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()

    async def fetch(self, query: str, *args: object) -> list[Row]:
        """Run one statement in a transaction of its own and return its rows.

        The statement may run twice: where the connection is lost, it is sent once more on a new one. Every statement that Guilder sends
        this way is therefore written so that the second run finds what the first one did.

        Raises:
            Unavailable: no connection, or no answer in time. Whether the statement took effect is then unknown.
            asyncpg.PostgresError: the statement itself was refused, by a constraint for example.
        """
        try:
            try:
                return await self._run(query, args)
            except (
                TimeoutError
            ):  # an OSError too, and no sign of a dead connection: waiting twice would break the caller's budget
                raise
            except _DEAD as error:
                logger.info("database connection lost, connecting again", extra={"reason": type(error).__name__})
                return await self._run(query, args)
        except (*_DEAD, *_GAVE_UP) as error:
            logger.warning("database unavailable", extra={"reason": type(error).__name__})
            raise Unavailable("The database did not answer in time.") from error

    async def fetchrow(self, query: str, *args: object) -> Row | None:
        """Run one statement as ``fetch`` does and return its only row."""
        rows = await self.fetch(query, *args)
        return rows[0] if rows else None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open one transaction over several statements. Nothing in it is sent again: where it fails, none of it happened, or nobody knows.

        Raises:
            Unavailable: no connection, or no answer in time.
        """
        try:
            pool = self._pool or await self._open()
            async with pool.acquire(timeout=self._settings.budgets.connect) as connection, connection.transaction():
                yield Transaction(connection)
        except (*_DEAD, *_GAVE_UP) as error:
            logger.warning("database unavailable", extra={"reason": type(error).__name__})
            raise Unavailable("The database did not answer in time.") from error

    async def close(self) -> None:
        """Give the connections up; the next statement opens new ones."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()

    async def _run(self, query: str, args: Sequence[object]) -> list[Row]:
        pool = self._pool or await self._open()
        async with pool.acquire(timeout=self._settings.budgets.connect) as connection:
            return await connection.fetch(query, *args)

    async def _open(self) -> "asyncpg.Pool[asyncpg.Record]":
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    password=password_source(self._url, self._settings),
                    min_size=0,
                    max_size=self._settings.connections_per_endpoint,
                    timeout=self._settings.budgets.connect,
                    command_timeout=self._settings.budgets.statement,
                    statement_cache_size=self._settings.statement_cache_size,
                    max_cached_statement_lifetime=0,
                    reset=_keep_as_it_is,
                )
            return self._pool


async def _keep_as_it_is(_connection: Any) -> None:
    """Replace asyncpg's reset query, which would cost a round trip per statement and pin the proxy. There is no session state to reset."""


def password_source(url: str, settings: Settings) -> Password:
    """Tell how the role in ``url`` logs in: with a token signed by the function's IAM role, or with the password file, asyncpg default."""
    if settings.database_auth != "iam":
        return None
    target = urlsplit(url)

    async def token() -> str:
        from guilder.iam import database_token  # botocore is dear to import and needed on AWS only

        return database_token(target.hostname or "", target.port or 5432, target.username or "", settings.region)

    return token


class CellDatabase:
    """The writer and the reader of one cell."""

    __slots__ = ("name", "reader", "writer")

    def __init__(self, cell: Cell, settings: Settings) -> None:
        self.name = cell.name
        self.writer = Endpoint(cell.writer, settings)
        self.reader = Endpoint(cell.reader, settings)

    async def close(self) -> None:
        """Close both."""
        await self.writer.close()
        await self.reader.close()
