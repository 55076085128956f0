"""When LocalStack ends, in whatever way, so do the functions' processes."""

import contextlib
import os
import signal
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import BotoCoreError

from tests.e2e.executor.stage import FUNCTIONS, has_ended, processes_of, running, wait_for, wait_for_process

EVENTS: list[dict[str, Any]] = [{"sleep": 60}, {"occupy": None}]
"""Waiting, and holding the interpreter's lock: the second can run no code of ours any more."""


@pytest.mark.parametrize("way", [signal.SIGTERM, signal.SIGKILL], ids=["asked to end", "killed"])
def test_no_process_stays_behind(way: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "children").mkdir()
    with running(tmp_path / "stage") as stage:
        function = stage.deploy(FUNCTIONS / "probe.py", Timeout=60)
        with ThreadPoolExecutor(len(EVENTS)) as callers:
            calls = []
            for index, event in enumerate(EVENTS):
                (tmp_path / str(index)).mkdir()
                child = {"start_child": str(tmp_path / "children")}
                calls.append(
                    callers.submit(stage.call, function, **child, announce=str(tmp_path / str(index)), **event)
                )
                wait_for_process(tmp_path / str(index))
            processes = processes_of(function)
            children = [psutil.Process(int(file.name)) for file in (tmp_path / "children").iterdir()]
            assert len(processes) == len(children) == len(EVENTS)
            os.kill(stage.pid, way)
            try:
                for process in (*processes, *children):
                    wait_for(partial(has_ended, process))
            finally:
                kill((*processes, *children))
            for call in calls:
                # Asked to end, LocalStack may find the time to tell the caller what happened to the function.
                lost = isinstance(call.exception(timeout=30), BotoCoreError)
                assert lost or call.result().payload["errorType"] == "Runtime.ExitError"


def kill(processes: Iterable[psutil.Process]) -> None:
    """Leave nothing behind where the executor did."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
