"""What Lambda itself adds to a function's log: INIT_START, START, END and REPORT lines."""

import math
import platform
import time


def init_start() -> str:
    """The first line of an environment."""
    return f"INIT_START Runtime Version: python:{platform.python_version()}\n"


def init_report(seconds: float, status: str, error_type: str) -> str:
    """The line about an init that failed before any event."""
    line = f"INIT_REPORT Init Duration: {seconds * 1000:.2f} ms\tPhase: init\tStatus: {status}"
    return f"{line}\tError Type: {error_type}\n" if status == "error" else f"{line}\n"


class Report:
    """The figures of one invocation.

    Attributes:
        init: the seconds that the first init took, where this is the environment's first invocation.

    `Duration` is the time from the start of the function's time-out to the answer's arrival, as in Lambda: an init that
    had to be repeated is in it. `Executor Duration`, which Lambda does not have, is this package's own share of a warm
    call: from LocalStack's call to the event handed over, and from the answer's arrival to the return.
    """

    def __init__(self, request_id: str, version: str, memory_size_mb: int, init: float | None) -> None:
        self._request_id = request_id
        self._version = version
        self._memory_size_mb = memory_size_mb
        self._init = init
        self._max_memory_mb = 0
        self._status = ""
        self._error_type = ""
        self._called = self._began = self._handed = self._answered = time.perf_counter()

    def begin(self, called: float) -> None:
        """The time-out's clock starts; LocalStack called at the given time."""
        self._called, self._began = called, time.perf_counter()

    def hand_over(self) -> None:
        """The runtime has the event."""
        self._handed = time.perf_counter()

    def finish(self, max_memory_mb: int) -> None:
        """The answer is there, or there will be none."""
        self._answered, self._max_memory_mb = time.perf_counter(), max_memory_mb

    def fail(self, status: str, error_type: str) -> None:
        """There will be none."""
        self._status, self._error_type = status, error_type

    def start(self) -> str:
        """The line before the function's own output."""
        return f"START RequestId: {self._request_id} Version: {self._version}\n"

    def end(self) -> str:
        """The lines after it. The init is billed too, since August 2025."""
        duration = self._answered - self._began
        executor = (self._handed - self._called) + (time.perf_counter() - self._answered)
        fields = [
            f"REPORT RequestId: {self._request_id}",
            f"Duration: {duration * 1000:.2f} ms",
            f"Billed Duration: {math.ceil((duration + (self._init or 0.0)) * 1000)} ms",
            f"Memory Size: {self._memory_size_mb} MB",
            f"Max Memory Used: {self._max_memory_mb} MB",
        ]
        if self._init is not None:
            fields.append(f"Init Duration: {self._init * 1000:.2f} ms")
        if self._status:
            fields.append(f"Status: {self._status}")
        if self._status == "error":
            fields.append(f"Error Type: {self._error_type}")
        fields.append(f"Executor Duration: {executor * 1000:.3f} ms")
        return f"END RequestId: {self._request_id}\n" + "\t".join(fields) + "\n"
