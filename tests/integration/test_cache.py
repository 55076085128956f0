"""The cache is an accelerator: flushed, gone or hanging, every answer is the same, and nothing is charged twice."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from uuid import uuid4

import pytest
import redis
from guilder.config import Settings

from tests.integration.test_payments import charges
from tests.support.environment import Environment


def with_cache(settings: Settings, url: str) -> Settings:
    return replace(settings, cells=tuple(replace(cell, cache=url) for cell in settings.cells))


@pytest.fixture
def hanging() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[socket.socket] = []
        server.settimeout(0.1)
        stop = threading.Event()

        def accept() -> None:
            while not stop.is_set():
                try:
                    kept.append(server.accept()[0])
                except TimeoutError:
                    continue

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        stop.set()
        thread.join()
        for connection in kept:
            connection.close()


def check_idempotency(settings: Settings, api_key: str) -> None:
    key = uuid4().hex
    with Environment(settings, api_key) as environment:
        first = environment.pay(key)
        assert first.status == 201
        replay = environment.pay(key)
        assert (replay.status, replay.body, replay.headers["idempotency-replayed"]) == (201, first.body, "true")
        assert environment.pay(key, amount=1).problem == "idempotency-key-reused"
        assert environment.get(first.json()["id"]).json() == first.json()
    assert len(charges(settings, first.json()["id"])) == 1


def test_without_a_cache(settings: Settings, merchant: dict[str, str]) -> None:
    check_idempotency(with_cache(settings, "redis://127.0.0.1:9/0"), merchant["api_key"])


def test_with_a_cache_that_hangs_an_answer_takes_a_time_out_and_not_one_per_question(
    settings: Settings, merchant: dict[str, str], hanging: str
) -> None:
    check_idempotency(with_cache(settings, hanging), merchant["api_key"])
    slow = replace(settings, budgets=replace(settings.budgets, cache=2.0))
    with Environment(with_cache(slow, hanging), merchant["api_key"]) as environment:
        start = time.monotonic()
        assert environment.pay().status == 201
        assert time.monotonic() - start < 2 * 2.0, (
            "claim and store each waited: the pause after a failure does not work"
        )


def test_concurrent_callers_without_a_cache(settings: Settings, merchant: dict[str, str]) -> None:
    without, key, callers = with_cache(settings, "redis://127.0.0.1:9/0"), uuid4().hex, 8
    with ExitStack() as stack, ThreadPoolExecutor(callers) as threads:
        environments = [stack.enter_context(Environment(without, merchant["api_key"])) for _ in range(callers)]
        answers = [future.result(60) for future in [threads.submit(each.pay, key) for each in environments]]
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert len(charges(settings, answers[0].json()["id"])) == 1


def test_a_flushed_cache_loses_nothing(environment: Environment, settings: Settings) -> None:
    key = uuid4().hex
    first = environment.pay(key)
    redis.Redis.from_url(settings.cells[0].cache, socket_timeout=5).flushdb()
    replay = environment.pay(key)
    assert (replay.body, replay.headers["idempotency-replayed"]) == (first.body, "true")
    assert len(charges(settings, first.json()["id"])) == 1


def test_a_replay_needs_no_database(environment: Environment, settings: Settings, merchant: dict[str, str]) -> None:
    """With the key known and the answer cached, a replay is one trip to the cache: it works while the database is gone."""
    key = uuid4().hex
    first = environment.pay(key)
    gone = replace(
        settings, cells=tuple(replace(cell, writer="postgresql://guilder_app@127.0.0.1:9/x") for cell in settings.cells)
    )
    with Environment(gone, merchant["api_key"]) as other:
        other.runtime._keys = environment.runtime._keys
        replay = other.pay(key)
        assert (replay.status, replay.body) == (201, first.body)
        unavailable = other.pay(uuid4().hex)
        assert (unavailable.status, unavailable.problem) == (503, "unavailable")
        assert int(unavailable.headers["retry-after"]) >= 1
