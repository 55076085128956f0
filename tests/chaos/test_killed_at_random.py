"""SIGKILL at random moments under load: creations, captures and refunds, each asked again under its key until its answer is final."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from uuid import uuid4

import pytest

from tests.chaos.world import SCALE, Merchant, World
from tests.support.gateway import Answer
from tests.support.workers import Call, RemoteEnvironment, Worker, WorkerDied, payment, undecided, until_decided

pytestmark = pytest.mark.timeout(200 * SCALE)

PROCESSES = 3
ENVIRONMENTS = 4
CHAINS = 3 * SCALE
"""How many payments each environment makes, captures and refunds, one after the other."""
KILLS = 8 * SCALE
BETWEEN_KILLS_S = (0.2, 0.8)
PATIENCE_S = 60.0


@dataclass(slots=True)
class Fleet:
    """Workers of which each that dies is replaced, as Lambda does."""

    merchant: Merchant
    workers: list[Worker]
    dead: list[Worker] = field(default_factory=list)
    """Closed at the end: until then somebody may still be waiting for an answer of theirs."""
    deaths_met: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def environment(self, place: int) -> RemoteEnvironment:
        """The environment at a place, in a new process if the last one died."""
        with self.lock:
            number, within = place % PROCESSES, place // PROCESSES
            if not self.workers[number].alive:
                self.dead.append(self.workers[number])
                self.workers[number] = self.merchant.worker(ENVIRONMENTS)
            return self.workers[number].environments[within]

    def close(self) -> None:
        """Let all of them end."""
        for worker in (*self.workers, *self.dead):
            worker.__exit__()

    def kill_one(self) -> None:
        """Kill any one of them."""
        with self.lock:
            self.workers[random.randrange(PROCESSES)].kill()

    def ask(self, place: int, call: Call) -> Answer:
        """Ask until the answer is final, however often the worker dies of it."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = self.environment(place).send(call)
            except WorkerDied:
                with self.lock:
                    self.deaths_met += 1
            else:
                if not undecided(answer):
                    return answer
                time.sleep(0.1)
            assert time.monotonic() < deadline, f"{call} is still undecided"


def chain(fleet: Fleet, place: int) -> list[tuple[Call, Answer]]:
    """A payment that is authorized, captured in two parts and refunded in two parts; each with its answer."""
    done = []

    def ask(call: Call) -> Answer:
        answer = fleet.ask(place, call)
        done.append((call, answer))
        return answer

    paid = ask(payment(uuid4().hex, capture_method="manual")).json()
    if paid["status"] == "failed":  # the processor never heard of it
        return done
    for part in (600, 450):
        ask(Call("POST", f"/v1/payments/{paid['id']}/capture", {"amount": part}, uuid4().hex))
    for part in (500, 100):
        ask(Call("POST", "/v1/refunds", {"payment": paid["id"], "amount": part}, uuid4().hex))
    return done


def test_workers_killed_at_random_under_load(world: World) -> None:
    merchant = world.merchant()
    fleet = Fleet(merchant, [merchant.worker(ENVIRONMENTS) for _ in range(PROCESSES)])
    places = range(PROCESSES * ENVIRONMENTS)
    with ExitStack() as stack, ThreadPoolExecutor(len(places)) as threads:
        stack.callback(fleet.close)
        chains = [threads.submit(lambda at: [chain(fleet, at) for _ in range(CHAINS)], place) for place in places]
        for _ in range(KILLS):
            time.sleep(random.uniform(*BETWEEN_KILLS_S))
            fleet.kill_one()
        answered = [pair for future in chains for pairs in future.result(PATIENCE_S * 3) for pair in pairs]
    assert fleet.deaths_met > 0, "nobody was killed at work"
    with merchant.worker() as worker:
        survivor = worker.environments[0]
        assert merchant.settle_down(survivor) == []
        assert [answer for _, answer in answered if answer.status >= 500] == []
        created = [call for call, _ in answered if call.path == "/v1/payments"]
        assert merchant.payments() == len(created) == len(places) * CHAINS
        for call, answer in answered:
            again = until_decided(survivor, call)
            assert (again.status, again.body) == (answer.status, answer.body) or refused(again, answer), call
        assert merchant.faults() == []


def refused(again: Answer, answer: Answer) -> bool:
    """Refused before anything was claimed, both times: such an answer is not kept, and its request id is each request's own."""
    return again.status == answer.status in {409, 422} and again.problem == answer.problem
