"""Does what the event asks for, one thing a key, and tells about the process that did it."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

calls = 0


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    global calls
    calls += 1
    answer: dict[str, Any] = {
        "pid": os.getpid(),
        "calls": calls,
        "remaining_ms": context.get_remaining_time_in_millis(),
    }
    for name, argument in event.items():
        answer[name] = ACTIONS[name](argument)
    return answer


def meet(where: dict[str, Any]) -> int:
    """Return when as many processes as are expected are here at the same time."""
    directory, parties = Path(where["directory"]), int(where["parties"])
    (directory / str(os.getpid())).touch()
    deadline = time.monotonic() + 20
    while len(list(directory.iterdir())) < parties:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{parties} did not meet")
        time.sleep(0.02)
    return parties


def announce(directory: str) -> None:
    """Tell the test that we are running, and where."""
    (Path(directory) / str(os.getpid())).touch()


def fail(message: str) -> None:
    raise ValueError(message)


def start_child(directory: str) -> int:
    child = subprocess.Popen(["sleep", "600"])
    (Path(directory) / str(child.pid)).touch()
    return child.pid


def occupy(_: object) -> None:
    """Hold the interpreter's lock for what is practically for ever."""
    re.match(r"(a+)+$", "a" * 80 + "b")


ACTIONS: dict[str, Callable[[Any], Any]] = {
    "announce": announce,
    "echo": lambda value: value,
    "environment": lambda _: dict(os.environ),
    "exit": sys.exit,
    "fail": fail,
    "fill": lambda size: "x" * size,
    "import": lambda name: bool(__import__(name)),
    "meet": meet,
    "occupy": occupy,
    "path": lambda _: sys.path,
    "print": print,
    "sleep": time.sleep,
    "start_child": start_child,
    "touch": lambda file: Path(file).touch(),
}
