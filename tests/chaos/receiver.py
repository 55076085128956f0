"""The function that hears the processor's notifications, as an HTTP server in a process of its own."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from guilder.api.functions import notifications_app
from guilder.runtime import Runtime

from tests.support.workers import PROCESSES, STOP_S, Place

PATH = "/v1/notifications/simulator"


@contextmanager
def hearing(place: Place, port: int) -> Iterator[None]:
    """It listens while the block runs; the processor sends again what came too early."""
    process = PROCESSES.Process(target=_listen, args=(place, port), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join(STOP_S)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listen(place: Place, port: int) -> None:
    os.environ["PGPASSFILE"] = str(place.pgpass)
    uvicorn.run(notifications_app(Runtime(place.settings)), host="127.0.0.1", port=port, log_level="error")
