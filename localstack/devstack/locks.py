"""One at a time: locks that the operating system takes back when their holder dies."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devstack.errors import BusyError


@contextmanager
def exclusive(file: Path, *, wait_seconds: float, message: str) -> Iterator[None]:
    """Hold the lock for the length of the block.

    Raises:
        BusyError: somebody else held it for all of the waiting time; `message` says what that means.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait_seconds
    with file.open("a+") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    handle.seek(0)
                    holder = handle.read().strip() or "unknown"
                    raise BusyError(
                        f"{message} (process {holder})", hint="Wait for it to end, then try again."
                    ) from None
                time.sleep(0.1)
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        yield
