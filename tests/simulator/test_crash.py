"""SIGKILL in the middle of charges: what was said to be done is done, and nothing is done twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import httpx

from tests.simulator.conftest import NewDatabase
from tests.simulator.service import Processor, RunningSimulator, new, running

KILLS = 3
CALLERS = 12
CHARGES_BEFORE_A_KILL = 60


async def test_a_killed_simulator_loses_nothing_and_charges_nothing_twice(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    with running(await new_database(), tmp_path / "log") as simulator:
        reference = new("pay")
        answered: dict[str, str] = {}
        asked: list[str] = []
        for _ in range(KILLS):
            await _charge_until_killed(simulator, reference, asked, answered)
            simulator.start()
        unanswered = [key for key in asked if key not in answered]
        assert unanswered, "the kills came in the middle of calls"
        async with simulator.client() as processor:
            await _check_what_was_said(processor, reference, answered)
            for key in unanswered:
                found = await processor.get(f"/operations/{key}")
                again = await processor.charge(key=key, reference=reference)
                assert again.status_code == 200
                assert found.status_code == 404 or found.json()["charge"]["id"] == again.json()["id"]
                answered[key] = again.json()["id"]
            await _check_what_was_said(processor, reference, answered)


async def _charge_until_killed(
    simulator: RunningSimulator, reference: str, asked: list[str], answered: dict[str, str]
) -> None:
    """Charge from several callers at once; kill while they are at it."""
    reached = asyncio.Event()
    enough = len(answered) + CHARGES_BEFORE_A_KILL

    async def call(processor: Processor) -> None:
        while True:
            key = new("op")
            asked.append(key)
            answer = await processor.charge(key=key, reference=reference)
            assert answer.status_code == 200
            answered[key] = answer.json()["id"]
            if len(answered) >= enough:
                reached.set()

    async with simulator.client() as processor:
        callers = [asyncio.create_task(call(processor)) for _ in range(CALLERS)]
        await asyncio.wait_for(reached.wait(), 30)
        simulator.kill()
        ends = await asyncio.gather(*callers, return_exceptions=True)
        assert all(isinstance(end, httpx.TransportError) for end in ends), ends


async def _check_what_was_said(processor: Processor, reference: str, answered: dict[str, str]) -> None:
    listed = (await processor.get("/charges", params={"reference": reference, "limit": 1000})).json()
    assert listed["has_more"] is False
    by_key = {charge["idempotency_key"]: charge["id"] for charge in listed["data"]}
    assert max(Counter(charge["idempotency_key"] for charge in listed["data"]).values()) == 1
    assert answered.items() <= by_key.items()


async def test_a_kill_while_it_decides_leaves_nothing_done(new_database: NewDatabase, tmp_path: Path) -> None:
    """The claim of the dead process stands until its lease ends: until then nobody is told that nothing will come."""
    with running(await new_database(), tmp_path / "log", SIMULATOR_SLOW_SECONDS="5") as simulator:
        key, reference = new("op"), new("pay")
        async with simulator.client() as processor:
            slow = asyncio.create_task(processor.charge("tok_slow", key, reference=reference))
            await asyncio.sleep(0.5)
            simulator.kill()
            assert isinstance((await asyncio.gather(slow, return_exceptions=True))[0], httpx.TransportError)
        simulator.start()
        async with simulator.client() as processor:
            assert (await processor.get(f"/operations/{key}")).status_code == 409
            assert await processor.charges_of(reference) == []


async def test_processes_that_start_together_make_the_tables_once(new_database: NewDatabase, tmp_path: Path) -> None:
    database_url = await new_database()
    simulators = [RunningSimulator(database_url, tmp_path / f"log{index}") for index in range(3)]
    try:
        await asyncio.gather(*(asyncio.to_thread(simulator.start) for simulator in simulators))
        for simulator in simulators:
            async with simulator.client() as processor:
                assert (await processor.charge()).status_code == 200
    finally:
        for simulator in simulators:
            simulator.stop()
