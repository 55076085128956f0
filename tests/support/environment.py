"""One Lambda environment: a thread with an event loop of its own that handles one request at a time, as Lambda does."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Self
from uuid import uuid4

from guilder.api.functions import TEXT_MIME_TYPES, read_app, write_app
from guilder.config import Settings
from guilder.runtime import Runtime
from mangum import Mangum

from tests.support.gateway import Answer, answer, event

_LAMBDA_CONTEXT: Any = None  # what no handler of ours looks at


class Environment:
    """Both functions' handlers on one runtime, called as awslambdaric calls them."""

    def __init__(self, settings: Settings, api_key: str, **replaced: Any) -> None:
        self._thread = ThreadPoolExecutor(1, initializer=lambda: asyncio.set_event_loop(asyncio.new_event_loop()))
        self.runtime = Runtime(settings, **replaced)
        self.api_key = api_key
        apps = self._thread.submit(lambda: [write_app(self.runtime), read_app(self.runtime)]).result()
        self._write, self._read = (
            self._thread.submit(Mangum, app, lifespan="off", text_mime_types=TEXT_MIME_TYPES).result() for app in apps
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.runtime.close)
        self._thread.shutdown()

    def run[T](self, work: Callable[[], Awaitable[T]]) -> T:
        """Run something in the environment's loop."""

        async def wrapped() -> T:
            return await work()

        return self._thread.submit(lambda: asyncio.get_event_loop().run_until_complete(wrapped())).result(60)

    def request(
        self, method: str, path: str, body: object = None, *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request through Mangum; ``body`` goes as JSON unless it is bytes. ``headers`` replace the usual ones."""
        if headers is None:
            headers = self.headers()
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        handler = self._read if method == "GET" else self._write
        return answer(self._thread.submit(handler, event(method, path, headers, raw), _LAMBDA_CONTEXT).result(60))

    def headers(self, key: str | None = None) -> dict[str, str]:
        """Make the usual headers, with a new idempotency key unless one is given."""
        return {
            "Authorization": f"Bearer {self.api_key}",
            "Content-Type": "application/json",
            "Idempotency-Key": key or uuid4().hex,
        }

    def pay(self, key: str | None = None, **fields: object) -> Answer:
        """Create a payment of 10.50 EUR with ``tok_visa``, or as ``fields`` say."""
        body = {"amount": 1050, "currency": "EUR", "payment_method": "tok_visa"} | fields
        return self.request("POST", "/v1/payments", body, headers=self.headers(key))

    def post(self, path: str, body: object = None, key: str | None = None) -> Answer:
        """Send a write below /v1."""
        return self.request("POST", f"/v1/{path}", body, headers=self.headers(key))

    def reconcile(self, seconds: float = 0.1) -> dict[str, int]:
        """Run the reconciler once over, as its function does."""
        return asdict(self.run(lambda: self.runtime.reconcile(seconds)))

    def get(self, payment_id: str) -> Answer:
        """Read a payment."""
        return self.request("GET", f"/v1/payments/{payment_id}")
