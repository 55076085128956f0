"""Which process a process number means: the kernel gives numbers out again, so a number alone is never enough."""

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

import psutil


def identify(pid: int) -> str | None:
    """A name that no other process has had since the machine was started; None where nothing runs under the number.

    On Linux the start in clock ticks since boot, with the boot's own id: unlike a wall-clock time it does not move when
    the clock is set. Elsewhere the time of creation.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if psutil.LINUX:
            return f"{_boot()}:{_start_ticks(pid)}"
        return f"{process.create_time():.2f}"
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None


MARK = "GUILDER_LOCAL_SERVER"
"""In the environment of every server we start: which one it is. So one that lost its record is found again."""


def marked(mark: str) -> list[psutil.Process]:
    """The processes that carry the mark in the environment they were started with."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark:
                found.append(process)
    return found


def at_home(program: str, home: str) -> list[psutil.Process]:
    """The processes of a program that work in a directory (PostgreSQL's children hide their environment)."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.exe() == program and process.cwd() == home:
                found.append(process)
    return found


def wait_gone(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until the processes have ended, for a bounded time; return those that have not.

    A dead one that its parent has not noticed yet has ended. In a container it may stay so for as long as that runs,
    and psutil's own waiting would wait with it.
    """
    deadline = time.monotonic() + seconds
    left = [process for process in processes if _runs(process)]
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [process for process in left if _runs(process)]
    return left


def session_members(leader: int) -> list[psutil.Process]:
    """The processes of the session that a process began, the leader among them while it lives.

    A number stays taken while a session bears it, so members found after the leader's death are still its own.
    """
    members = []
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == leader:
                members.append(psutil.Process(pid))
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            continue
    return members


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start_ticks(pid: int) -> int:
    """Field 22 of /proc/<pid>/stat; the name in field 2 may hold spaces and brackets, so count after its end."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(after_name[19])
