"""What Guilder stands on breaks while callers are at work: nothing is charged twice, nothing hangs, asking again resolves every error."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import psutil
import pytest
import redis
from devstack import pgbouncer, postgres, valkey
from devstack.pgbouncer import POOLER
from devstack.postgres import PRIMARY
from devstack.stack import Stack
from devstack.valkey import VALKEY
from guilder.config import Budgets

from tests.chaos.crowd import at_work, environments_of
from tests.chaos.world import HURRIED, SCALE, World
from tests.support.workers import payment

pytestmark = pytest.mark.timeout(200 * SCALE)

KEYS = 30 * SCALE
CALLERS = 8
AWAY_S = 1.5
BREAK_AT = 0.2
FLUSHES = 20

type Outage = Callable[[World], None]


def pid_of(stack: Stack, name: str) -> int:
    record = stack.processes.running(name)
    assert record is not None, f"{name} does not run"
    return record.pid


def cache_flushed(world: World) -> None:
    """Again and again, so that claims and answers both go."""
    with redis.Redis.from_url(world.services.valkey_url, socket_timeout=5) as client:
        for _ in range(FLUSHES):
            client.flushall()
            time.sleep(0.1)


def cache_stopped(world: World) -> None:
    world.stack.processes.stop(VALKEY)
    time.sleep(AWAY_S)
    valkey.start(world.stack)


def cache_restarted(world: World) -> None:
    world.stack.processes.stop(VALKEY)
    valkey.start(world.stack)


def cache_hanging(world: World) -> None:
    pid = pid_of(world.stack, VALKEY)
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(AWAY_S)
    finally:
        os.kill(pid, signal.SIGCONT)


def database_restarted(world: World) -> None:
    world.stack.processes.stop(PRIMARY)
    postgres.start(world.stack)


def database_killed(world: World) -> None:
    psutil.Process(pid_of(world.stack, PRIMARY)).kill()
    postgres.start(world.stack)


def pooler_restarted(world: World) -> None:
    world.stack.processes.stop(POOLER)
    time.sleep(0.3)
    pgbouncer.start(world.stack, POOLER)


def processor_hanging(world: World) -> None:
    """For longer than anybody waits for it."""
    world.simulator.pause()
    try:
        time.sleep(HURRIED.processor + 1)
    finally:
        world.simulator.resume()


@contextmanager
def repaired(world: World) -> Iterator[None]:
    """Whatever happens, the next test finds everything running."""
    try:
        yield
    finally:
        postgres.start(world.stack)
        valkey.start(world.stack)
        pgbouncer.start(world.stack, POOLER)


def break_in_the_middle(world: World, outage: Outage, budgets: Budgets) -> tuple[set[int], list[str]]:
    """Callers at work, the outage among them; what statuses they met, and what is wrong afterwards."""
    merchant = world.merchant(budgets)
    calls = [payment(uuid4().hex) for _ in range(KEYS)]
    with repaired(world), environments_of(merchant) as environments:
        with at_work(environments, calls, CALLERS) as crowd:
            crowd.wait_for(BREAK_AT)
            assert crowd.done < 1 - BREAK_AT, "this comes too late to matter"
            outage(world)
        wrong = crowd.disagreements() + merchant.settle_down(environments[0])
        if merchant.payments() != KEYS:
            wrong.append(f"{merchant.payments()} payments for {KEYS} keys")
        wrong += [
            f"{key} ended with {told.last.status}"
            for key, tolds in crowd.told.items()
            for told in tolds
            if told.last.status != 201
        ]
        return set(crowd.statuses), wrong


@pytest.mark.parametrize("outage", [cache_flushed, cache_stopped, cache_hanging, cache_restarted])
def test_without_its_cache_guilder_is_slower_and_nothing_else(world: World, outage: Outage) -> None:
    statuses, wrong = break_in_the_middle(world, outage, Budgets())
    assert wrong == []
    assert statuses <= {201, 409}


@pytest.mark.parametrize("outage", [database_restarted, database_killed, pooler_restarted, processor_hanging])
def test_what_cannot_be_done_now_is_done_when_asked_again(world: World, outage: Outage) -> None:
    statuses, wrong = break_in_the_middle(world, outage, HURRIED)
    assert wrong == []
    assert statuses <= {201, 202, 409, 503}, "503 says that asking again is right; a 500 would not"
