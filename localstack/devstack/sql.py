"""Statements on the local databases, for code that is not asynchronous."""

import asyncio

import asyncpg

CONNECT_SECONDS = 5.0
STATEMENT_SECONDS = 30.0


def fetch(url: str, statement: str, *arguments: object) -> list[asyncpg.Record]:
    """Run one statement on a connection of its own and return its rows. Must not be called inside an event loop."""
    return asyncio.run(_fetch(url, statement, arguments))


def answers(url: str) -> bool:
    """Whether the server takes a connection and answers."""
    try:
        return bool(fetch(url, "SELECT 1"))
    except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError):
        return False
    except asyncpg.ConnectionDoesNotExistError:
        return False


async def _fetch(url: str, statement: str, arguments: tuple[object, ...]) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS, command_timeout=STATEMENT_SECONDS)
    try:
        return list(await connection.fetch(statement, *arguments))
    finally:
        await connection.close(timeout=CONNECT_SECONDS)
