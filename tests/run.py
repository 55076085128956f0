"""Runs the checks and tests, one line a suite, and says at the end how many passed: what `make test` calls.

    tests/run.py                            everything
    tests/run.py unit integration           some suites
    tests/run.py tests/unit/test_ids.py     a file, a folder or a single test
    tests/run.py unit -k money              tests by name

The last line is `N passed, N failed`, and `, N skipped` where any were. The exit code is 0 only if nothing failed and every
suite had something to run. What a suite wrote is in `.local/logs/test-<suite>.log`, and on the screen if it failed.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / ".local" / "logs"
# The last line of the last run, for who prints it again.
TOTALS = LOGS / "test-totals"

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
TICK_SECONDS = 0.1
NAME_WIDTH = 12
# How long a suite that is stopped may take to clean up, before it is killed.
STOP_SECONDS = 45
NO_TESTS_COLLECTED = 5
INTERRUPTED = 130

# `make test-nightly` sets it: the suites that invent their own cases then invent many more.
NIGHTLY = os.environ.get("GUILDER_NIGHTLY") == "1"

TYPED = ("layers", "functions", "infra", "localstack", "requirements", "tests")
UP = ("-m", "devstack", "up")


@dataclass(frozen=True, slots=True)
class Suite:
    """Commands to run one after the other, as arguments to Python; with `tests`, pytest on these comes last."""

    name: str
    seconds: int
    commands: tuple[tuple[str, ...], ...] = ()
    tests: tuple[str, ...] = ()


SUITES = (
    Suite("lint", 60, (("-m", "ruff", "check", "."), ("-m", "ruff", "format", "--check", "."))),
    Suite("types", 600, (("-m", "mypy", *TYPED),)),
    Suite("imports", 60, (("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"),)),
    Suite("unit", 300, tests=("tests/unit",)),
    Suite("simulator", 600, tests=("tests/simulator",)),
    Suite("contract", 420, tests=("tests/contract",)),
    Suite("integration", 900, tests=("tests/integration",)),
    Suite("properties", 7200 if NIGHTLY else 900, tests=("tests/properties",)),
    Suite("chaos", 7200 if NIGHTLY else 900, tests=("tests/chaos",)),
    Suite("devstack", 900, tests=("tests/devstack",)),
    Suite("infra", 600, tests=("tests/infra",)),
    Suite("e2e", 900, (UP,), ("tests/e2e",)),
)


@dataclass(slots=True)
class Result:
    """What became of a suite. `problem` is what went wrong beyond the tests themselves."""

    suite: Suite
    log: Path
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    selected: int | None = None
    problem: str = ""
    seconds: float = 0.0

    @property
    def failures(self) -> int:
        """Failed tests; a suite that failed in another way counts as one."""
        return len(self.failed) or int(bool(self.problem))

    def counts(self) -> str:
        """The counts that are not 0, in words."""
        numbers = {"passed": self.passed, "failed": self.failures, "skipped": len(self.skipped)}
        return ", ".join(f"{number} {word}" for word, number in numbers.items() if number)

    def read_counts(self, file: Path) -> None:
        """Read what the plugin has written so far (see `counting.py`)."""
        self.passed, self.failed, self.skipped = 0, [], []
        with contextlib.suppress(FileNotFoundError):
            for line in file.read_text(encoding="utf-8").splitlines(keepends=True):
                if line.endswith("\n"):
                    self._count(json.loads(line))

    def _count(self, record: dict[str, str | int]) -> None:
        if "selected" in record:
            self.selected = int(record["selected"])
        elif record["outcome"] == "passed":
            self.passed += 1
        elif record["outcome"] == "skipped":
            self.skipped.append(f"{record['test']}: {record['reason']}")
        else:
            self.failed.append(str(record["test"]))


class Screen:
    """One line a suite: with a spinner while it runs on a terminal, else printed when it is done."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._frames = itertools.cycle(SPINNER)

    def show_running(self, result: Result) -> None:
        """Overwrite the line of the suite that runs."""
        if self._terminal:
            counts = result.counts()
            of = f" of {result.selected}" if counts and result.selected else ""
            self._overwrite(
                f"{next(self._frames)}      {result.suite.name:{NAME_WIDTH}}{result.seconds:6.1f} s  {counts}{of}"
            )

    def show_done(self, result: Result) -> None:
        """Print the line of a suite that is over, and after it what it wrote, if it failed."""
        mark = self._coloured("FAILED", 31) if result.failures else self._coloured("ok    ", 32)
        note = f"  ({result.problem})" if result.problem else ""
        line = f"{mark} {result.suite.name:{NAME_WIDTH}}{result.seconds:6.1f} s  {result.counts()}{note}"
        self._overwrite(f"{line}\n")
        if result.failures:
            print(result.log.read_text(encoding="utf-8", errors="replace").rstrip(), flush=True)
            print(f"--- end of {result.log.relative_to(ROOT)}", flush=True)

    def _overwrite(self, line: str) -> None:
        sys.stdout.write(f"\r\x1b[K{line}" if self._terminal else line)
        sys.stdout.flush()

    def _coloured(self, text: str, colour: int) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._terminal and "NO_COLOR" not in os.environ else text


def run(suite: Suite, keyword: str, screen: Screen) -> Result:
    """Run a suite to its end or its time limit."""
    result = Result(suite, LOGS / f"test-{suite.name}.log")
    counts = result.log.with_suffix(".counts")
    counts.unlink(missing_ok=True)
    began = time.monotonic()
    commands = [*suite.commands]
    if suite.tests:
        commands.append(pytest_command(suite.tests, keyword))
    with result.log.open("wb") as log:
        for command in commands:
            code = follow(command, log.fileno(), counts, began, result, screen)
            if code != 0:
                break
    judge(result, counts, keyword)
    screen.show_done(result)
    return result


def pytest_command(tests: Sequence[str], keyword: str) -> tuple[str, ...]:
    """How pytest is called."""
    return ("-m", "pytest", *tests, "-p", "tests.counting", *(("-k", keyword) if keyword else ()))


def follow(arguments: Sequence[str], log: int, counts: Path, began: float, result: Result, screen: Screen) -> int:
    """Run one command and show how far it is; its exit code, which is not 0 when it had to be stopped."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"COUNTS_FILE": str(counts)},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        while process.poll() is None:
            result.seconds = time.monotonic() - began
            result.read_counts(counts)
            if result.seconds > result.suite.seconds:
                result.problem = f"stopped after {result.suite.seconds} s"
                stop(process)
            screen.show_running(result)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(TICK_SECONDS)
    except BaseException:
        stop(process)
        raise
    result.seconds = time.monotonic() - began
    if process.returncode not in (0, NO_TESTS_COLLECTED) and not result.problem:
        result.problem = f"`{' '.join(arguments[1:])[:60]}` ended with {process.returncode}"
    return process.returncode


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a command and what it started, in good order if it can."""
    for number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, number)
            process.wait(seconds)
            return


def judge(result: Result, counts: Path, keyword: str) -> None:
    """Decide what the counts and the exit codes come to. What did not run did not pass."""
    if not result.suite.tests:
        result.passed = int(not result.problem)
        return
    result.read_counts(counts)
    ran = result.passed + len(result.failed) + len(result.skipped)
    if result.failed:
        result.problem = ""
    elif not result.problem and not result.selected and not keyword:
        result.problem = "no tests were found"
    elif not result.problem and ran < (result.selected or 0):
        result.problem = f"{result.selected} tests were chosen and only {ran} ran"


def choose(wanted: Sequence[str], keyword: str) -> list[Suite]:
    """The suites that are meant by names, paths or nothing at all."""
    by_name = {suite.name: suite for suite in SUITES}
    if not wanted:
        return [suite for suite in SUITES if suite.tests or not keyword]
    paths: dict[str, list[str]] = {}
    for word in wanted:
        suite = by_name.get(word) or suite_of(word)
        paths.setdefault(suite.name, []).extend(() if word in by_name else (word,))
    return [replace(by_name[name], tests=tuple(paths[name]) or by_name[name].tests) for name in paths]


def suite_of(path: str) -> Suite:
    """The suite that a path of a file, a folder or a test belongs to."""
    place = (Path.cwd() / path.partition("::")[0]).resolve()
    for suite in SUITES:
        if any(place.is_relative_to(ROOT / folder) for folder in suite.tests):
            return suite
    names = ", ".join(suite.name for suite in SUITES)
    raise SystemExit(f"{path} is neither a path under the tests of a suite nor a suite. Suites: {names}")


def left_out() -> list[str]:
    """Folders with tests that no suite runs."""
    folders = {str(file.relative_to(ROOT).parents[-3]) for file in (ROOT / "tests").rglob("test_*.py")}
    return sorted(folders - {folder for suite in SUITES for folder in suite.tests})


def summarise(results: Sequence[Result]) -> int:
    """Say what failed, what was skipped, and the totals; the number of failures."""
    lines = {
        "Failed": [
            line for r in results for line in r.failed or ([f"{r.suite.name}: {r.problem}"] if r.problem else [])
        ],
        "Skipped": [line for r in results for line in r.skipped],
    }
    for title in filter(lines.get, lines):
        print(f"\n{title}:", *(f"  {line}" for line in lines[title]), sep="\n")
    for folder in (forgotten := left_out()):
        print(f"\n{folder} has tests, but is in no suite of tests/run.py: that is a failure.")
    passed = sum(result.passed for result in results)
    failed = sum(result.failures for result in results) + len(forgotten)
    skipped = sum(len(result.skipped) for result in results)
    if passed + failed == 0:
        print("\nNothing was run: that is a failure.")
        failed = 1
    totals = f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")
    TOTALS.write_text(f"{totals}\n")
    print(f"\n{totals}", flush=True)
    return failed


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what", nargs="*", help=f"suites ({', '.join(suite.name for suite in SUITES)}) or paths of tests"
    )
    parser.add_argument("-k", dest="keyword", default="", help="only tests whose names match, as in pytest")
    arguments = parser.parse_args()
    LOGS.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    screen = Screen()
    results: list[Result] = []
    try:
        for suite in choose(arguments.what, arguments.keyword):
            results.append(run(suite, arguments.keyword, screen))  # noqa: PERF401 - what is done counts if it is interrupted
    except KeyboardInterrupt:
        print("\nInterrupted.")
        summarise(results)
        return INTERRUPTED
    return int(summarise(results) > 0)


if __name__ == "__main__":
    sys.exit(main())
