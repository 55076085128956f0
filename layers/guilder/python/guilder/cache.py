"""The cache: Valkey beside each cell. An accelerator, never the authority: without it every answer is the same, only later.

Each call has a short time-out and is sent once: claiming is not idempotent, and waiting is PostgreSQL's part. After a failure the cache is
left alone for a moment, so that one that hangs costs one time-out and not one per request.
"""

import time
from collections.abc import Awaitable
from typing import Any, cast

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from guilder.config import Cell, Settings
from guilder.log import logger

PAUSE_AFTER_FAILURE_S = 1.0

_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class CacheUnavailable(Exception):
    """No answer in time. Go on without."""


class Cache:
    """One connection to one cell's cache, opened at the first call."""

    def __init__(self, cell: Cell, settings: Settings) -> None:
        limit = settings.budgets.cache
        self._client = redis.Redis.from_url(
            cell.cache,
            socket_timeout=limit,
            socket_connect_timeout=limit,
            retry=Retry(NoBackoff(), 0),
            max_connections=settings.connections_per_endpoint,
            protocol=2,
        )
        self._paused_until = 0.0

    async def claim(self, key: str, value: bytes, life_ms: int) -> bytes | None:
        """Put ``value`` under a free key and return None, or return what stands there (SET NX GET: one round trip).

        Raises:
            CacheUnavailable: as on every method here.
        """
        return cast("bytes | None", await self._send(self._client.set(key, value, nx=True, get=True, px=life_ms)))

    async def get(self, key: str) -> bytes | None:
        """Read a value."""
        return cast("bytes | None", await self._send(self._client.get(key)))

    async def put(self, key: str, value: bytes, life_ms: int) -> None:
        """Store a value, whatever stood there."""
        await self._send(self._client.set(key, value, px=life_ms))

    async def release(self, key: str, value: bytes) -> None:
        """Delete the key if ``value`` still stands there: somebody else's claim is not ours to remove."""
        await self._send(self._client.eval(_RELEASE, 1, key, value))

    async def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        await self._client.connection_pool.disconnect(inuse_connections=True)

    async def _send(self, command: Awaitable[Any]) -> Any:
        if time.monotonic() < self._paused_until:
            if hasattr(command, "close"):
                command.close()  # a coroutine that will not be awaited
            raise CacheUnavailable
        try:
            return await command
        except (RedisError, OSError) as error:
            self._paused_until = time.monotonic() + PAUSE_AFTER_FAILURE_S
            logger.warning("cache unavailable", extra={"reason": type(error).__name__})
            raise CacheUnavailable from error
