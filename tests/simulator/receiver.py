"""A receiver of notifications: an HTTP server in a thread, which can be told to refuse."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Delivery:
    """One POST as it came in."""

    signature: str
    body: bytes

    @property
    def notification(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


class Receiver:
    """What came in so far, in order."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.refusals_left = 0
        self.url = ""

    def about(self, reference: str) -> list[dict[str, Any]]:
        """The notifications about one reference, in the order of their arrival."""
        received = [delivery.notification for delivery in self.deliveries]
        return [one for one in received if one["data"]["charge"]["reference"] == reference]

    def wait_for(self, reference: str, count: int, seconds: float = 10.0) -> list[dict[str, Any]]:
        """Wait until there are so many about a reference."""
        deadline = time.monotonic() + seconds
        while len(found := self.about(reference)) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} notifications about {reference}: {found}"
            time.sleep(0.02)
        return found


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that listens while the block runs."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if receiver.refusals_left > 0:
                receiver.refusals_left -= 1
                self.send_response(503)
            else:
                receiver.deliveries.append(Delivery(self.headers["Simulator-Signature"], body))
                self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Nothing to the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/notifications"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
