"""What can go wrong with an invocation apart from the function's own exceptions, worded as Lambda words it.

    Failure
    ├── TimedOut           the function's time-out has passed                Sandbox.Timedout
    ├── Exited             the process ended, by itself or by a signal       Runtime.ExitError
    ├── InitFailed         the module could not be imported                  whatever the runtime reported
    └── ResponseTooLarge   more than 6 MB came back                          Function.ResponseSizeTooLarge

Each ends the process: the next call finds a new one in its place.
"""

import json
import signal
from datetime import UTC, datetime

MAX_RESPONSE_BYTES = 6_291_556
"""Lambda's limit for a synchronous answer: 6 MB and 100 bytes."""


class Failure(Exception):
    """An invocation without an answer from the function."""

    status = "error"
    error_type = ""
    names_request = True

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence

    def payload(self, request_id: str) -> bytes:
        """The body that the caller gets."""
        return json.dumps({"errorType": self.error_type, "errorMessage": self._message(request_id)}).encode()

    def log(self, request_id: str) -> str:
        """What Lambda writes to the function's log about it."""
        return f"{self._message(request_id)}\n{self.error_type}\n"

    def _message(self, request_id: str) -> str:
        return f"RequestId: {request_id} Error: {self.sentence}" if self.names_request else self.sentence


class TimedOut(Failure):
    """The function ran longer than it may."""

    status = "timeout"
    error_type = "Sandbox.Timedout"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Task timed out after {seconds:.2f} seconds")

    def log(self, request_id: str) -> str:
        """One line with the time."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return f"{now} {request_id} {self.sentence}\n"


class Exited(Failure):
    """The process ended while it had an event, or before it could ask for one."""

    error_type = "Runtime.ExitError"

    def __init__(self, returncode: int) -> None:
        super().__init__(_describe_exit(returncode))


class InitFailed(Failure):
    """The runtime told why the function's module cannot be used, and printed the traceback."""

    def __init__(self, payload: bytes) -> None:
        error = json.loads(payload)
        super().__init__(str(error.get("errorMessage", "")))
        self.error_type = str(error.get("errorType", "Runtime.Unknown"))
        self._payload = payload

    def payload(self, request_id: str) -> bytes:  # noqa: ARG002  (the runtime knew of no request)
        """What the runtime said."""
        return self._payload

    def log(self, request_id: str) -> str:  # noqa: ARG002
        """Nothing to add to what the runtime printed."""
        return ""


class ResponseTooLarge(Failure):
    """The function answered with more than Lambda passes on."""

    error_type = "Function.ResponseSizeTooLarge"
    names_request = False

    def __init__(self) -> None:
        super().__init__(f"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes).")


def _describe_exit(returncode: int) -> str:
    if returncode == 0:
        return "Runtime exited without providing a reason"
    if returncode > 0:
        return f"Runtime exited with error: exit status {returncode}"
    name = signal.strsignal(-returncode) or f"signal {-returncode}"
    return f"Runtime exited with error: signal: {name.partition(':')[0].lower()}"  # macOS says "Killed: 9"
