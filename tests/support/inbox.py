"""The notifications function, and an HTTP server that hands to it what a processor sends and answers what it answered."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from guilder.api.functions import TEXT_MIME_TYPES, notifications_app
from guilder.config import Settings
from mangum import Mangum

from tests.support.environment import _LAMBDA_CONTEXT, Environment
from tests.support.gateway import Answer, answer, event


class Intake(Environment):
    """One Lambda environment of the notifications function; it can pay as well, to have something to be told of."""

    def __init__(self, settings: Settings, api_key: str, **replaced: Any) -> None:
        super().__init__(settings, api_key, **replaced)
        app = self._thread.submit(notifications_app, self.runtime).result(30)
        self._receive = self._thread.submit(Mangum, app, lifespan="off", text_mime_types=TEXT_MIME_TYPES).result(30)

    def receive(self, body: bytes, signature: str | None, processor: str = "simulator", **headers: str) -> Answer:
        """Hand a notification over as API Gateway does."""
        sent = {"Content-Type": "application/json", **headers}
        if signature is not None:
            sent["Simulator-Signature"] = signature
        proxied = event("POST", f"/v1/notifications/{processor}", sent, body)
        return answer(self._thread.submit(self._receive, proxied, _LAMBDA_CONTEXT).result(60))


@dataclass(frozen=True)
class Delivery:
    """What came over HTTP, and how the function answered."""

    body: bytes
    signature: str
    status: int


class Inbox:
    """Where the processor sends to. ``intake`` answers; without one, nobody does (502)."""

    def __init__(self) -> None:
        self.url = ""
        self.intake: Intake | None = None
        self.deliveries: list[Delivery] = []

    def of(self, operation_or_reference: str) -> list[Delivery]:
        """Deliveries that speak of it, in the order of their arrival."""
        return [delivery for delivery in self.deliveries if operation_or_reference.encode() in delivery.body]

    def wait_for(self, reference: str, count: int, *, status: int = 200) -> list[Delivery]:
        """Wait for that many that were answered so."""
        deadline = time.monotonic() + 15
        while len(found := [delivery for delivery in self.of(reference) if delivery.status == status]) < count:
            assert time.monotonic() < deadline, self.of(reference)
            time.sleep(0.02)
        return found

    def take(self, body: bytes, signature: str) -> int:
        """Hand one delivery to the function."""
        status = self.intake.receive(body, signature).status if self.intake else 502
        self.deliveries.append(Delivery(body, signature, status))
        return status


@contextmanager
def listening() -> Iterator[Inbox]:
    """An inbox that listens while the block runs."""
    inbox = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(inbox.take(body, self.headers["Simulator-Signature"]))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
            """Nothing to the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    inbox.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield inbox
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
