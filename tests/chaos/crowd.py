"""Many callers with few keys: every key is asked for by several callers at the same time, from several processes."""

import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from tests.chaos.world import Merchant
from tests.support.gateway import Answer
from tests.support.workers import Call, RemoteEnvironment, undecided

PROCESSES = 4
ENVIRONMENTS = 8
PAUSE_S = 0.15


@dataclass(slots=True)
class Told:
    """What one caller was told, first and in the end."""

    first: Answer
    last: Answer


@dataclass(slots=True)
class Crowd:
    """Callers at work. ``told`` fills up while they are."""

    calls: int
    told: dict[str, list[Told]] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def done(self) -> float:
        """The share of the callers that have their final answer."""
        with self._lock:
            return sum(len(told) for told in self.told.values()) / self.calls

    def note(self, status: int) -> None:
        """Count an answer."""
        with self._lock:
            self.statuses[status] += 1

    def add(self, key: str, told: Told) -> None:
        """Note what a caller was told."""
        with self._lock:
            self.told.setdefault(key, []).append(told)

    def wait_for(self, share: float, limit_s: float = 60.0) -> None:
        """Wait until so many are done: the moment to break something."""
        deadline = time.monotonic() + limit_s
        while self.done < share:
            assert time.monotonic() < deadline, f"{self.done:.0%} of the callers were done after {limit_s:.0f} s"
            time.sleep(0.01)

    def disagreements(self) -> list[str]:
        """Keys whose callers did not all end with the same status and bytes."""
        return [
            f"{key}: {sorted({(told.last.status, told.last.body) for told in tolds})}"
            for key, tolds in self.told.items()
            if len({(told.last.status, told.last.body) for told in tolds}) > 1
        ]


@contextmanager
def environments_of(merchant: Merchant) -> Iterator[list[RemoteEnvironment]]:
    """Environments over several processes, neighbours in the list in different ones."""
    with ExitStack() as stack:
        workers = [stack.enter_context(merchant.worker(ENVIRONMENTS)) for _ in range(PROCESSES)]
        yield [worker.environments[number] for number in range(ENVIRONMENTS) for worker in workers]


@contextmanager
def at_work(
    environments: Sequence[RemoteEnvironment], calls: Sequence[Call], callers: int, patience_s: float = 40.0
) -> Iterator[Crowd]:
    """``callers`` callers for each call, while the block runs; at its end all of them are done.

    Callers with the same key come one after the other, so that they are at work at the same time. One that is told to come again does.
    """
    crowd = Crowd(len(calls) * callers)
    waiting: queue.SimpleQueue[Call] = queue.SimpleQueue()
    for call in calls:
        for _ in range(callers):
            waiting.put(call)

    def work(environment: RemoteEnvironment) -> None:
        while True:
            try:
                call = waiting.get_nowait()
            except queue.Empty:
                return
            assert call.key is not None
            crowd.add(call.key, _ask(environment, call, crowd, patience_s))

    with ThreadPoolExecutor(len(environments)) as threads:
        working = [threads.submit(work, environment) for environment in environments]
        yield crowd
        for future in working:
            future.result()


def _ask(environment: RemoteEnvironment, call: Call, crowd: Crowd, patience_s: float) -> Told:
    deadline = time.monotonic() + patience_s
    first = answer = environment.send(call)
    crowd.note(answer.status)
    while undecided(answer):
        assert time.monotonic() < deadline, f"{call.key} is still undecided: {answer}"
        time.sleep(PAUSE_S)
        answer = environment.send(call)
        crowd.note(answer.status)
    return Told(first, answer)
