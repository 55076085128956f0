"""The process of an environment: how it is started, what it prints, how it ends."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil

MAX_OUTPUT_BYTES = 8 * 1024 * 1024
"""Kept of what a function prints during one call; what goes beyond is counted and dropped."""

READ_BYTES = 64 * 1024
BOOTSTRAP = Path(__file__).with_name("function") / "bootstrap.py"


class Output:
    """The pipe that a function's process prints to."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._kept = bytearray()
        self._dropped = 0

    def fileno(self) -> int:
        """The pipe's reading end."""
        return self._descriptor

    def read(self) -> bool:
        """Take all that is in the pipe; false when nobody can write to it any more."""
        try:
            while data := os.read(self._descriptor, READ_BYTES):
                room = MAX_OUTPUT_BYTES - len(self._kept)
                self._kept += data[:room]
                self._dropped += len(data[room:]) if room < len(data) else 0
                if len(data) < READ_BYTES:
                    return True
        except BlockingIOError:
            return True
        return False

    def take(self) -> str:
        """What has been printed since the last time, ending with a line end."""
        self.read()
        text = self._kept.decode(errors="replace")
        if self._dropped:
            text += f"\n[{self._dropped} bytes of output dropped]"
        self._kept, self._dropped = bytearray(), 0
        return text if not text or text.endswith("\n") else f"{text}\n"

    def close(self) -> None:
        """Close our end."""
        os.close(self._descriptor)


class FunctionProcess:
    """One running process. It leads a session, so that it is killed together with whatever it has started itself.

    Its standard input is a pipe whose other end only LocalStack's process holds. Nothing is ever written to it: it ends
    when LocalStack ends, in whatever way, and then the process ends too (see function/bootstrap.py).
    """

    def __init__(self, python: Path, title: str, opt: Path, cwd: Path, variables: Mapping[str, str]) -> None:
        self._popen = subprocess.Popen(
            # No user's packages, none from the current directory, and no byte code written beside shared sources.
            [python, "-s", "-P", "-B", BOOTSTRAP, title, opt],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=dict(variables),
            start_new_session=True,
        )
        assert self._popen.stdin is not None  # noqa: S101  (both are pipes)
        assert self._popen.stdout is not None  # noqa: S101
        self._lifeline = self._popen.stdin
        self.output = Output(os.dup(self._popen.stdout.fileno()))
        self._popen.stdout.close()
        self._memory = 0

    def returncode(self) -> int | None:
        """The exit code (the negative of the signal's number), or None while it runs."""
        return self._popen.poll()

    def memory_mb(self) -> int:
        """The largest resident set seen so far; asked at the end of each call."""
        with contextlib.suppress(psutil.Error):
            self._memory = max(self._memory, psutil.Process(self._popen.pid).memory_info().rss)
        return self._memory // (1024 * 1024)

    def kill(self) -> None:
        """Kill the session's processes. Safe from any thread, and more than once."""
        # The number cannot have been given to another session: it stays taken while a member of this one lives.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)

    def end(self) -> str:
        """Kill it, wait for its end, close the pipes; give what it had printed and nobody had taken."""
        self.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # one that the kernel holds on to is left to the kernel
            self._popen.wait(timeout=5.0)
        printed = self.output.take()
        self.output.close()
        self._lifeline.close()
        return printed
