"""Lambda environments in processes of their own, which can be killed without a word, as AWS's machines can.

A worker is a process with several environments; each handles one call at a time. Workers are forked from a server that has imported all
there is to import, so that a test can afford many of them.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from guilder import verify
from guilder.config import Settings

from tests.support.environment import Environment
from tests.support.gateway import Answer

IN_FLIGHT = "idempotency-key-in-flight"
LIMIT_S = 60.0
STOP_S = 10.0

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.support.workers", "asyncpg.protocol.protocol", "guilder.processors.simulator"])

type Preparation = Callable[[], None]
"""Called in the new process before it does anything, to put a trap in. Must be picklable."""


class WorkerDied(Exception):
    """The process ended before it had answered: what was asked of it may or may not have been done."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request below /v1; ``key`` is its idempotency key."""

    method: str
    path: str
    body: object = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Reconcile:
    """A run of the reconciler."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Verify:
    """A run of ``make verify``'s function over what was made since a moment; whatever is open counts as stuck."""

    since: datetime


type Question = Call | Reconcile | Verify


@dataclass(frozen=True, slots=True)
class Place:
    """What a worker needs to know of the world."""

    settings: Settings
    api_key: str
    pgpass: Path
    log: Path


class RemoteEnvironment:
    """One environment of a worker, seen from outside: ask it one thing at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def send(self, call: Call) -> Answer:
        """Send a request and wait for its answer.

        Raises:
            WorkerDied: there will be none.
        """
        answer: Answer = self._ask(call)
        return answer

    def pay(self, key: str, **fields: object) -> Answer:
        """Create a payment of 10.50 EUR with ``tok_visa``, or as ``fields`` say."""
        return self.send(payment(key, **fields))

    def reconcile(self, seconds: float = 0.1) -> dict[str, int]:
        """Run the reconciler once over."""
        report: dict[str, int] = self._ask(Reconcile(seconds))
        return report

    def verify(self, since: datetime) -> list[str]:
        """Check the books with Guilder's own checks; what they found."""
        findings: list[str] = self._ask(Verify(since))
        return findings

    def close(self) -> None:
        """Let the environment end."""
        self._connection.close()

    def _ask(self, question: Question) -> Any:
        try:
            self._connection.send(question)
            if not self._connection.poll(LIMIT_S):
                raise TimeoutError(f"no answer to {question} within {LIMIT_S:.0f} s")
            answer = self._connection.recv()
        except (EOFError, ConnectionError) as error:
            raise WorkerDied from error
        if isinstance(answer, BaseException):
            raise answer
        return answer


class Worker:
    """A process with ``environments`` Lambda environments."""

    def __init__(self, place: Place, environments: int = 1, prepare: Preparation | None = None) -> None:
        pairs = [PROCESSES.Pipe() for _ in range(environments)]
        theirs = [pair[1] for pair in pairs]
        self.environments = [RemoteEnvironment(pair[0]) for pair in pairs]
        self._process = PROCESSES.Process(target=_work, args=(theirs, place, prepare), daemon=True)
        self._process.start()
        for connection in theirs:
            connection.close()  # so that the end of the process is the end of the connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for environment in self.environments:
            environment.close()
        self._process.join(STOP_S)
        if self._process.is_alive():
            self.kill()

    def kill(self) -> None:
        """SIGKILL: no clean-up of any kind."""
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join(STOP_S)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.is_alive()

    def was_killed(self) -> bool:
        """Whether a SIGKILL ended the process."""
        self._process.join(STOP_S)
        return self._process.exitcode == -signal.SIGKILL


def payment(key: str, **fields: object) -> Call:
    """Ask for a payment of 10.50 EUR with ``tok_visa``, or as ``fields`` say."""
    return Call("POST", "/v1/payments", {"amount": 1050, "currency": "EUR", "payment_method": "tok_visa"} | fields, key)


def undecided(answer: Answer) -> bool:
    """Whether a retry with the same key is what a caller does next: accepted and not known yet, under way elsewhere, unavailable."""
    return answer.status in {202, 503} or (answer.status == 409 and IN_FLIGHT in answer.json()["type"])


def until_decided(environment: RemoteEnvironment, call: Call, limit_s: float = 30.0, pause_s: float = 0.2) -> Answer:
    """Retry as a caller does, until the answer is final."""
    deadline = time.monotonic() + limit_s
    while undecided(answer := environment.send(call)):
        assert time.monotonic() < deadline, f"still undecided after {limit_s:.0f} s: {answer}"
        time.sleep(pause_s)
    return answer


def _work(connections: list[Connection], place: Place, prepare: Preparation | None) -> None:
    """Be the worker: a thread for each environment, until every connection is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["PGPASSFILE"] = str(place.pgpass)
    log = os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    if prepare is not None:
        prepare()
    threads = [threading.Thread(target=_serve, args=(connection, place)) for connection in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _serve(connection: Connection, place: Place) -> None:
    """Be one environment."""
    with Environment(place.settings, place.api_key) as environment:
        while True:
            try:
                question = connection.recv()
            except EOFError:
                return
            connection.send(_answer(environment, question))


def _answer(environment: Environment, question: Question) -> Answer | dict[str, int] | list[str] | BaseException:
    try:
        if isinstance(question, Verify):
            options = verify.Options(since=question.since, stuck_after=timedelta(0))
            report = environment.run(lambda: environment.runtime.verify(options))
            return [str(finding) for finding in report.findings] + [f"incomplete: {one}" for one in report.incomplete]
        if isinstance(question, Reconcile):
            return environment.reconcile(question.seconds)
        headers = environment.headers(question.key)
        return environment.request(question.method, question.path, question.body, headers=headers)
    except Exception as error:  # noqa: BLE001 (it is raised where the call was made)
        return RuntimeError(f"{type(error).__name__}: {error}")
