"""Runs a command that ends by itself: its output goes to a log file, its time is bounded, and Ctrl-C ends it."""

import contextlib
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from devstack.errors import StackError
from devstack.identity import wait_gone
from devstack.paths import REPOSITORY

END_SECONDS = 5.0
"""How long a command may take to end when it is asked to; then it is killed."""

_running: set[subprocess.Popen[bytes]] = set()
_lock = threading.Lock()


def run(
    argv: Sequence[str | Path],
    *,
    log: Path,
    timeout: float,
    env: Mapping[str, str] | None = None,
    cwd: Path = REPOSITORY,
    user: str | None = None,
    hint: str = "",
) -> None:
    """Run the command to its end, with its output in the log file (which it begins anew).

    Raises:
        StackError: it failed or took longer than the time-out (seconds).
    """
    words = [str(word) for word in argv]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        output.write(f"$ {' '.join(words)}\n".encode())
        output.flush()
        child = subprocess.Popen(
            words,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )
        with _lock:
            _running.add(child)
        try:
            code = child.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            _end(child)
            raise StackError(f"{Path(words[0]).name} took longer than {timeout:.0f} s", log=log, hint=hint) from None
        finally:
            with _lock:
                _running.discard(child)
    if code != 0:
        raise StackError(f"{Path(words[0]).name} failed with exit code {code}", log=log, hint=hint)


def end_all() -> None:
    """End every command that runs now, with what it started (at Ctrl-C)."""
    with _lock:
        running = list(_running)
    for child in running:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        leader = psutil.Process(child.pid)
        family = [leader, *leader.children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        for process in wait_gone(family, END_SECONDS):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
