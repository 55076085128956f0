"""One execution environment: a process that is initialised once and then handles one event after another.

    start    the init: the module is imported and the runtime asks for its first event (10 s at most, as in Lambda)
    invoke   hands an event over and waits for the answer, for the function's time-out at most
    reset    what follows a failure: the process is killed; the next call's first act is an init in a new one

That is Lambda's own way: a failed init is done again within the first invocation, and a crash or a time-out resets the
environment in place. A process that dies while it has no event is replaced before the next one is handed over.
"""

import contextlib
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lambda_executor.failures import Exited, Failure, InitFailed, ResponseTooLarge, TimedOut
from lambda_executor.process import FunctionProcess
from lambda_executor.report import Report, init_report, init_start
from lambda_executor.runtime_api import Connection, Kind, Message, RuntimeApi

INIT_SECONDS = 10.0
"""How long an init may take before the first event. Afterwards it counts against the function's time-out."""

LIVENESS_SECONDS = 0.05
"""How often to look whether the process still lives, should its end not show at its pipe or its connections."""


@dataclass(frozen=True, slots=True)
class Function:
    """One version of a function, as an environment needs it."""

    name: str
    version: str
    timeout: float
    memory_size_mb: int
    task_root: Path
    opt: Path


@dataclass(frozen=True, slots=True)
class Event:
    """One invocation."""

    request_id: str
    function_arn: str
    trace_id: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the caller gets, and what goes to the function's log."""

    payload: bytes
    is_error: bool
    log: str


class Environment:
    """One process of a function, or the place for one.

    Args:
        python: the interpreter that functions run on.
        scratch: a directory of this environment's own, which is deleted at the end.
        variables: the process's environment variables, apart from AWS_LAMBDA_RUNTIME_API.
    """

    def __init__(self, function: Function, python: Path, scratch: Path, variables: Mapping[str, str]) -> None:
        self._function = function
        self._python = python
        self._scratch = scratch
        self._variables = variables
        self._lock = threading.Lock()  # one event at a time
        self._stopped = False
        self._api = RuntimeApi()
        self._process: FunctionProcess | None = None
        self._messages: deque[Message] = deque()
        self._idle: Connection | None = None  # on which the runtime waits for an event
        self._log = init_start()  # what goes before the next START line
        self._init: float | None = None  # until it has been reported

    def start(self) -> Failure | None:
        """Initialise ahead of the first event; give what went wrong, if anything did."""
        with self._lock:
            began = time.perf_counter()
            try:
                self._idle = self._await_runtime(began + INIT_SECONDS)
            except Failure as failure:
                self._reset()
                self._log += init_report(time.perf_counter() - began, failure.status, failure.error_type)
                return failure
            self._init = time.perf_counter() - began
            self._log += self._running.output.take()
            return None

    def invoke(self, event: Event) -> Outcome:
        """Have the function handle one event. Whatever happens to its process is told in the outcome."""
        called = time.perf_counter()
        with self._lock:
            report = Report(event.request_id, self._function.version, self._function.memory_size_mb, init=self._init)
            log, self._log, self._init = self._log + report.start(), "", None
            try:
                answer = self._handle(event, report, called)
            except Failure as failure:
                self._reset()
                report.fail(failure.status, failure.error_type)
                log += self._log + failure.log(event.request_id)
                self._log = ""
                return Outcome(failure.payload(event.request_id), is_error=True, log=log + report.end())
            log += self._running.output.take()
            return Outcome(answer.body, is_error=answer.kind is Kind.ERROR, log=log + report.end())

    def stop(self) -> None:
        """End the process, in the middle of an event if need be, and give everything back."""
        self._stopped = True
        if process := self._process:
            process.kill()  # ends the call that holds the lock, too
        with self._lock:
            self._reset()
            self._api.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    @property
    def _running(self) -> FunctionProcess:
        if self._process is None:
            raise RuntimeError("the environment has no process")
        return self._process

    def _handle(self, event: Event, report: Report, called: float) -> Message:
        """Hand the event over and wait for the answer; write down when what happened."""
        report.begin(called)
        deadline = time.perf_counter() + self._function.timeout
        try:
            connection = self._await_runtime(deadline)
            self._hand_over(connection, event, deadline)
            report.hand_over()
            answer = self._await_answer(event.request_id, deadline)
        finally:
            report.finish(self._process.memory_mb() if self._process else 0)
        with contextlib.suppress(ConnectionError):  # it died after it had answered: the answer counts
            answer.accept()
        if answer.too_large:
            raise ResponseTooLarge
        return answer

    def _await_runtime(self, deadline: float) -> Connection:
        """The connection on which the runtime waits for an event; of a new process, if there is none or it has died."""
        if self._process is not None and self._process.returncode() is None:
            with contextlib.suppress(Exited):
                connection = self._await_next(deadline)
                if connection.is_open():  # it may have died after it had asked
                    return connection
        self._reset()
        if self._stopped:
            raise Exited(-signal.SIGKILL)
        self._spawn()
        return self._await_next(deadline)

    def _spawn(self) -> None:
        temporary = self._scratch / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        self._process = FunctionProcess(
            self._python,
            title=f"{self._function.name}:{self._function.version}",
            opt=self._function.opt,
            cwd=self._function.task_root,
            variables={
                **self._variables,
                "AWS_LAMBDA_RUNTIME_API": self._api.address,
                "HOME": str(temporary),
                "TMPDIR": str(temporary),
            },
        )
        self._api.watch(self._process.output)

    def _reset(self) -> None:
        """Back to an environment without a process; keep the last that it printed."""
        self._api.reset()
        self._messages.clear()
        self._idle = None
        if self._process is not None:
            self._log += self._process.end()
            self._process = None

    def _await_next(self, deadline: float) -> Connection:
        """Wait until the runtime asks for an event.

        Raises:
            InitFailed: it told us that the function's module cannot be used.
            Failure: it ended, or the time is over.
        """
        while self._idle is None:
            message = self._next_message(deadline)
            if message.kind is Kind.NEXT:
                self._idle = message.connection
                continue
            message.accept()
            if message.kind is Kind.INIT_ERROR:
                raise InitFailed(message.body)
        connection, self._idle = self._idle, None
        return connection

    def _hand_over(self, connection: Connection, event: Event, deadline: float) -> None:
        remaining = deadline - time.perf_counter()
        headers = [
            ("Content-Type", "application/json"),
            ("Lambda-Runtime-Aws-Request-Id", event.request_id),
            ("Lambda-Runtime-Deadline-Ms", str(int((time.time() + remaining) * 1000))),
            ("Lambda-Runtime-Invoked-Function-Arn", event.function_arn),
            ("Lambda-Runtime-Trace-Id", event.trace_id),
        ]
        with contextlib.suppress(
            ConnectionError
        ):  # the process has ended, or hangs: waiting for the answer tells which
            connection.respond(200, headers, event.payload, remaining)

    def _await_answer(self, request_id: str, deadline: float) -> Message:
        while True:
            message = self._next_message(deadline)
            if message.kind in (Kind.RESPONSE, Kind.ERROR) and message.request_id == request_id:
                return message
            if message.kind is Kind.NEXT:
                self._idle = message.connection
            else:
                message.accept()

    def _next_message(self, deadline: float) -> Message:
        """The next request of the runtime; its output is read meanwhile.

        Raises:
            Exited: the process has ended, and everything that it had sent has been read.
            TimedOut: the deadline has passed.
        """
        while not self._messages:
            remaining = deadline - time.perf_counter()
            if remaining <= 0:
                raise TimedOut(self._function.timeout)
            returncode = self._running.returncode()
            if returncode is not None:
                self._running.kill()  # what it has started holds its connections open
            patience = LIVENESS_SECONDS if returncode is None or self._api.is_connected else 0.0
            self._messages.extend(self._api.poll(min(remaining, patience)))
            if returncode is not None and not self._messages and not self._api.is_connected:
                raise Exited(returncode)
        return self._messages.popleft()
