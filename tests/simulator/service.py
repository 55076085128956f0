"""A simulator as a process of its own, the way it runs on a developer's machine: uvicorn on a free port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

START_SECONDS = 20.0
STOP_SECONDS = 10.0

# Short, so that a test of a token that makes one wait is quick; long enough to act while it waits.
QUICK = {
    "SIMULATOR_HANG_SECONDS": "1.5",
    "SIMULATOR_SLOW_SECONDS": "0.8",
    "SIMULATOR_SETTLE_SECONDS": "0.3",
}


class RunningSimulator:
    """One uvicorn process, which can be killed and started again on the same port."""

    def __init__(self, database_url: str, log: Path, **variables: str) -> None:
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SIMULATOR_")},
            **QUICK,
            "SIMULATOR_DATABASE_URL": database_url,
            **variables,
        }
        self._log = log
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "uvicorn", "simulator.app:app", "--host", "127.0.0.1"]
        command += ["--port", str(self._port), "--log-level", "warning", "--timeout-graceful-shutdown", "2"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the simulator did not start:\n{self._log.read_text()[-3000:]}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        """SIGKILL: no clean-up of any kind."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, as the local stack does."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """SIGSTOP: it hangs, its connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: it goes on where it was."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _end(self, signal_number: int) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal_number)
            process.wait(STOP_SECONDS)

    def client(self) -> Processor:
        """An HTTP client of it."""
        return Processor(self.url)


class Processor(httpx.AsyncClient):
    """The simulator's interface in the words of the tests."""

    def __init__(self, url: str) -> None:
        limits = httpx.Limits(max_connections=60, max_keepalive_connections=60)
        super().__init__(base_url=url, timeout=15, limits=limits)

    async def charge(self, source: str = "tok_visa", key: str | None = None, **fields: Any) -> httpx.Response:
        """POST /charges; what is not given is as in the plainest case."""
        body = {"reference": fields.pop("reference", None) or new("pay"), "amount": 1000, "currency": "EUR"}
        body |= {"source": source, "capture": True} | fields
        return await self.post("/charges", json=body, headers={"Idempotency-Key": key or new("op")})

    async def move(self, what: str, charge_id: str, key: str | None = None, **body: Any) -> httpx.Response:
        """POST a capture, void or refund."""
        headers = {"Idempotency-Key": key or new("op")}
        return await self.post(f"/charges/{charge_id}/{what}", json=body, headers=headers)

    async def charges_of(self, reference: str) -> list[dict[str, Any]]:
        """All charges of a reference."""
        answer = await self.get("/charges", params={"reference": reference})
        assert answer.status_code == 200, answer.text
        assert answer.json()["has_more"] is False
        found: list[dict[str, Any]] = answer.json()["data"]
        return found


def new(prefix: str) -> str:
    """A fresh reference or key."""
    return f"{prefix}_{uuid.uuid4().hex}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(database_url: str, log: Path, **variables: str) -> Iterator[RunningSimulator]:
    """A simulator that runs while the block does."""
    simulator = RunningSimulator(database_url, log, **variables)
    simulator.start()
    try:
        yield simulator
    finally:
        simulator.stop()
