"""SQL from a test that is not async itself: a connection in a thread of its own."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import asyncpg


class Sql:
    """One connection; every call is one statement."""

    def __init__(self, url: str) -> None:
        self._thread = ThreadPoolExecutor(1, initializer=lambda: asyncio.set_event_loop(asyncio.new_event_loop()))
        self._connection = self._run(asyncpg.connect(url, timeout=10, command_timeout=30))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._connection.close(timeout=5))
        self._thread.shutdown()

    def rows(self, query: str, *args: object) -> list[dict[str, Any]]:
        """Run a statement and return its rows."""
        return [dict(row) for row in self._run(self._connection.fetch(query, *args))]

    def value(self, query: str, *args: object) -> Any:
        """Run a statement and return its first value."""
        return self._run(self._connection.fetchval(query, *args))

    def script(self, text: str) -> None:
        """Run several statements."""
        self._run(self._connection.execute(text))

    def _run(self, awaitable: Any) -> Any:
        async def wrapped() -> Any:
            return await awaitable

        return self._thread.submit(lambda: asyncio.get_event_loop().run_until_complete(wrapped())).result(60)
