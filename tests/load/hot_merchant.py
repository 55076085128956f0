"""Whether one busy merchant is slower than many: creates per second at the handler, all to one merchant against spread over 64.

    python tests/load/hot_merchant.py

Writes `hot_merchant.ratio_vs_many` to `.local/bench.json`, where others' records stay as they are: 1 means equally fast, and less than
0.9 that payments of one merchant wait for each other.

Both sides of the comparison run in the same processes, on the same database, in alternating rounds, so that what else this machine does
falls on both. The processor is the simulator, which answers at once. A roll-up advances all the time, as it would in production.
"""

import asyncio
import json
import multiprocessing
import os
import platform
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from http import HTTPStatus
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from devstack import services as devstack_services
from devstack.paths import Paths
from guilder import administration, db, rollup
from guilder.config import Settings
from guilder.errors import Unavailable

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a script, it does not see the tests' package
from tests.conftest import new_merchant, on
from tests.load.gateway_latency import merge
from tests.support.environment import Environment
from tests.support.sql import Sql

COMMAND = "python tests/load/hot_merchant.py"
MERCHANTS = 64
PROCESSES, ENVIRONMENTS = 2, 4
"""Lambda environments at work at the same time: enough that payments of one merchant meet in the database."""
PASSING = {HTTPStatus.ACCEPTED, HTTPStatus.SERVICE_UNAVAILABLE}
"""What a machine that is busy with something else may answer now and then; such a payment does not count as made."""
PAIRS = int(os.environ.get("HOT_MERCHANT_PAIRS", "10"))
ROUND_S = 3.0
LEAST_RATIO = 0.9


def main() -> int:
    """Measure, write, print; fails where one merchant is more than a tenth slower."""
    with database() as settings:
        keys = [new_merchant(settings)["api_key"] for _ in range(MERCHANTS)]
        with rolling_up(settings):
            pairs = measure(settings, keys)
    line = record(pairs)
    merge(Paths.default().state / "bench.json", [line])
    print(f"{line['name']:28} {line['value']:8.3f} {line['unit']}  ({line['conditions']})")
    return 0 if line["value"] >= LEAST_RATIO else 1


@contextmanager
def database() -> Iterator[Settings]:
    """A database of this run's own, migrated; dropped at the end."""
    services = devstack_services.ensure()
    os.environ["PGPASSFILE"] = str(services.pgpass)
    name = f"guilder_bench_{os.getpid()}"
    cell = {
        "name": "c1",
        "first_slot": 0,
        "last_slot": 1023,
        "writer": on(services.app_url(name), name),
        "reader": on(services.app_url(name), name),
        "cache": services.valkey_url.rsplit("/", 1)[0] + "/8",
        "direct": on(services.superuser_url, name),
    }
    settings = Settings.from_environment(
        {
            "GUILDER_ENV": "local",
            "GUILDER_CELLS": json.dumps([cell]),
            "GUILDER_DATABASE_AUTH": "passfile",
            "GUILDER_STATEMENT_CACHE_SIZE": str(services.statement_cache_size),
            "GUILDER_SIMULATOR_URL": services.simulator_url,
            "GUILDER_LOG_LEVEL": "WARNING",
        }
    )
    with Sql(on(services.superuser_url, "postgres")) as admin:
        admin.script(f"CREATE DATABASE {name}")
        try:
            asyncio.run(administration.run(settings, {}))
            yield settings
        finally:
            admin.script(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def rolling_up(settings: Settings) -> Iterator[None]:
    """Advance the roll-ups every second, as the scheduled worker does."""
    done = threading.Event()

    async def work() -> None:
        endpoint = db.Endpoint(settings.cells[0].writer, settings)
        while not done.is_set():
            with suppress(Unavailable):
                await rollup.advance(endpoint, limit_s=1)
            await asyncio.sleep(1)
        await endpoint.close()

    thread = threading.Thread(target=asyncio.run, args=(work(),))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def measure(settings: Settings, keys: list[str]) -> list[tuple[float, float]]:
    """Creates per second of each pair of rounds: one merchant, many."""
    spawn = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for number in range(PROCESSES):
        ours, theirs = spawn.Pipe()
        processes.append(spawn.Process(target=serve, args=(theirs, settings, keys, number)))
        processes[-1].start()
        pipes.append(ours)
    try:
        play(pipes, 1)  # warm-up: connections, keys, plans
        play(pipes, MERCHANTS)
        pairs = []
        for number in range(PAIRS):
            order = (1, MERCHANTS) if number % 2 == 0 else (MERCHANTS, 1)
            rates = {merchants: play(pipes, merchants) for merchants in order}
            pairs.append((rates[1], rates[MERCHANTS]))
        return pairs
    finally:
        for pipe in pipes:
            pipe.send(0)
        for process in processes:
            process.join(30)


def play(pipes: list[Connection], merchants: int) -> float:
    """Let every process create payments for one round; the sum of their rates."""
    for pipe in pipes:
        pipe.send(merchants)
    rates: list[float] = [pipe.recv() for pipe in pipes]
    return sum(rates)


def serve(pipe: Connection, settings: Settings, keys: list[str], number: int) -> None:
    """One process: some environments, each creating payments one after the other, in rounds, until told to stop."""
    with ExitStack() as stack, ThreadPoolExecutor(ENVIRONMENTS) as threads:
        stack.enter_context(
            redirect_stdout(stack.enter_context(Path(os.devnull).open("w")))
        )  # metrics, a line a payment
        environments = [stack.enter_context(Environment(settings, keys[0])) for _ in range(ENVIRONMENTS)]
        while merchants := pipe.recv():
            began = time.perf_counter()
            works = [
                threads.submit(create, environment, keys[:merchants], number * ENVIRONMENTS + place, began + ROUND_S)
                for place, environment in enumerate(environments)
            ]
            made = sum(work.result() for work in works)
            pipe.send(made / (time.perf_counter() - began))


def create(environment: Environment, keys: list[str], start: int, until: float) -> int:
    """Create payments, to the merchants in turn; how many were made."""
    made = 0
    while time.perf_counter() < until:
        environment.api_key = keys[(start + made) % len(keys)]
        answer = environment.pay()
        if answer.status not in {HTTPStatus.CREATED, *PASSING}:
            raise RuntimeError(f"{answer.status}: {answer.body!r}")
        made += answer.status == HTTPStatus.CREATED
    return made


def record(pairs: list[tuple[float, float]]) -> dict[str, Any]:
    """One line of the bench's result: the median of the pairs' ratios, and their spread."""
    ratios = sorted(one / many for one, many in pairs)
    one, many = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    low, _, high = statistics.quantiles(ratios, n=4)
    conditions = (
        f"median of {len(ratios)} alternating pairs of {ROUND_S:.0f} s, ratios {ratios[0]:.2f} to {ratios[-1]:.2f}, middle half "
        f"{low:.2f} to {high:.2f}; {one:.0f} creates/s on one merchant, {many:.0f} on {MERCHANTS}; {PROCESSES} processes of "
        f"{ENVIRONMENTS} environments; Python {platform.python_version()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}"
    )
    return {
        "name": "hot_merchant.ratio_vs_many",
        "value": round(statistics.median(ratios), 3),
        "unit": "ratio",
        "conditions": conditions,
        "command": COMMAND,
    }


if __name__ == "__main__":
    sys.exit(main())
