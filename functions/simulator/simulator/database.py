"""The connection to PostgreSQL: the pool, the tables, the statements from .sql files."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg

type Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

type Password = Callable[[], str]
"""Makes a password for each new connection; without one, asyncpg looks into the URL and the password file."""

FOLDER = Path(__file__).parent
POOL_SIZE = 10
CONNECT_SECONDS = 5
# No statement waits for more than a handful of others on the same charge; this bounds a stuck server.
STATEMENT_SECONDS = 10
SCHEMA_LOCK = 0x51_4D_55_4C

log = logging.getLogger("simulator")

LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.AdminShutdownError,
    asyncpg.CannotConnectNowError,
)
"""The connection died under us, or there is none to be had."""
UNAVAILABLE = (*LOST, OSError, TimeoutError)
"""What a caller of `Database.run` sees when PostgreSQL cannot be used."""


def load_statements(name: str, **columns: str) -> dict[str, str]:
    """Read the blocks of `<name>.sql`, each after a line `-- name: ...`; `{...}` stands for a list of columns."""
    text = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    _, *parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    statements = dict(zip(parts[::2], parts[1::2], strict=True))
    for placeholder, names in columns.items():
        statements = {key: sql.replace(f"{{{placeholder}}}", names) for key, sql in statements.items()}
    return statements


class Database:
    """A pool that opens on first use and makes the tables then; on the event loop that uses it first."""

    def __init__(self, url: str, password: Password | None = None) -> None:
        self._url = url
        self._password = password
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()

    async def run[T](self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run `work` on a connection, once more on another one if the first turns out to be dead.

        Twice is safe: whatever is done here is done under an idempotency key or guarded by the state that it leaves.
        """
        try:
            return await self._run(work)
        except LOST as error:
            log.warning("a database connection was lost, trying once more: %s", error)
            return await self._run(work)

    async def _run[T](self, work: Callable[[Connection], Awaitable[T]]) -> T:
        pool = self._pool or await self._open()
        async with pool.acquire(timeout=CONNECT_SECONDS) as connection:
            return await work(connection)

    async def _open(self) -> asyncpg.Pool[asyncpg.Record]:
        async with self._opening:
            if self._pool is None:
                pool = await asyncpg.create_pool(
                    self._url,
                    password=self._password,
                    min_size=1,
                    max_size=POOL_SIZE,
                    timeout=CONNECT_SECONDS,
                    command_timeout=STATEMENT_SECONDS,
                )
                async with pool.acquire(timeout=CONNECT_SECONDS) as connection:
                    await make_tables(connection)
                self._pool = pool
            return self._pool

    async def close(self) -> None:
        """Close the pool, if it was ever opened."""
        if self._pool is not None:
            await asyncio.wait_for(self._pool.close(), CONNECT_SECONDS)
            self._pool = None


async def make_tables(connection: Connection) -> None:
    """Apply the schema unless this very text was applied last; processes that start together take turns."""
    schema = (FOLDER / "schema.sql").read_text(encoding="utf-8")
    checksum = hashlib.sha256(schema.encode()).hexdigest()
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", SCHEMA_LOCK)
        await connection.execute("CREATE TABLE IF NOT EXISTS schema_applied (checksum text NOT NULL)")
        if await connection.fetchval("SELECT checksum FROM schema_applied") == checksum:
            return
        await connection.execute(schema)
        await connection.execute("DELETE FROM schema_applied")
        await connection.execute("INSERT INTO schema_applied (checksum) VALUES ($1)", checksum)
