"""Steps that wait for each other, run in parallel where they do not."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Protocol

from devstack import commands
from devstack.errors import StackError


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        action: does it, and returns a remark for the person watching, or nothing.
        after: the names of the steps that must have succeeded before.
    """

    name: str
    action: Callable[[], str | None]
    after: tuple[str, ...] = ()


class Reporter(Protocol):
    """Whoever shows the progress. Called from one thread."""

    def started(self, name: str) -> None:
        """A step begins."""

    def finished(self, name: str, seconds: float, remark: str) -> None:
        """A step succeeded."""

    def failed(self, name: str, seconds: float) -> None:
        """A step failed."""


class Silent:
    """Shows nothing."""

    def started(self, name: str) -> None:
        """Say nothing."""

    def finished(self, name: str, seconds: float, remark: str) -> None:
        """Say nothing."""

    def failed(self, name: str, seconds: float) -> None:
        """Say nothing."""


class StepError(StackError):
    """A step did not succeed; its cause is the exception that this one was raised from."""

    def __init__(self, step: str, cause: Exception) -> None:
        message = str(cause) if isinstance(cause, StackError) else f"{type(cause).__name__}: {cause}"
        known = cause if isinstance(cause, StackError) else StackError(message)
        super().__init__(message, log=known.log, hint=known.hint)
        self.step = step


def run(steps: Sequence[Step], reporter: Reporter) -> None:
    """Run all steps.

    After a failure no other step begins; those under way end first.

    Raises:
        StepError: for the first step that failed.
        KeyboardInterrupt: Ctrl-C; the commands under way have been ended.
    """
    actions = {step.name: step.action for step in steps}
    order = TopologicalSorter({step.name: step.after for step in steps})
    order.prepare()
    pool = ThreadPoolExecutor(max_workers=len(steps))
    try:
        _run_in_order(order, actions, pool, reporter)
    except KeyboardInterrupt:
        commands.end_all()
        raise
    finally:
        # Not waiting: after a failure or at the end nothing runs, and after Ctrl-C nobody wants to wait.
        pool.shutdown(wait=False, cancel_futures=True)


def _run_in_order(
    order: "TopologicalSorter[str]",
    actions: dict[str, Callable[[], str | None]],
    pool: ThreadPoolExecutor,
    reporter: Reporter,
) -> None:
    running: dict[Future[str | None], tuple[str, float]] = {}
    failure: StepError | None = None
    while order.is_active() or running:
        for name in () if failure else order.get_ready():
            reporter.started(name)
            running[pool.submit(actions[name])] = (name, time.monotonic())
        if not running:
            break
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            name, began = running.pop(future)
            error = future.exception()
            if error is None:
                reporter.finished(name, time.monotonic() - began, future.result() or "")
                order.done(name)
            elif isinstance(error, Exception):
                reporter.failed(name, time.monotonic() - began)
                failure = failure or _failure(name, error)
            else:
                raise error
    if failure is not None:
        raise failure


def _failure(step: str, cause: Exception) -> StepError:
    failure = StepError(step, cause)
    failure.__cause__ = cause
    return failure
