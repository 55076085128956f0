"""A pytest plugin that writes what became of each test, one line of JSON each, into the file that COUNTS_FILE names.

`tests/run.py` reads it while the tests run, and afterwards: what a run writes on the screen is for people, not for counting.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TextIO

import pytest

COUNTS_FILE = "COUNTS_FILE"

# In the order of their weight: a test that passes and then fails in its tear-down has failed.
OUTCOMES = ("passed", "skipped", "failed")


class Counting:
    """Follows one test at a time through its set-up, call and tear-down."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._outcome = ""
        self._reason = ""

    def _write(self, **record: object) -> None:
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """All tests are found and chosen."""
        self._write(selected=len(session.items))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be collected counts as a failed test, one that skips itself as a skipped one."""
        if not report.passed:
            self._write(test=report.nodeid, outcome=report.outcome, reason=_reason(report.longrepr))

    def pytest_runtest_logstart(self) -> None:
        """A test begins."""
        self._outcome, self._reason = "", ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One of the three phases of a test is over."""
        if not self._outcome or OUTCOMES.index(report.outcome) > OUTCOMES.index(self._outcome):
            self._outcome = report.outcome
            self._reason = str(getattr(report, "wasxfail", "")) or _reason(report.longrepr)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """A test is over."""
        self._write(test=nodeid, outcome=self._outcome or "failed", reason=self._reason)


def _reason(explanation: object) -> str:
    """The last line of what pytest has to say; of a skip (file, line, reason) the reason."""
    text = str(explanation[2]) if isinstance(explanation, tuple) else str(explanation or "")
    return text.strip().rpartition("\n")[2]


def pytest_configure(config: pytest.Config) -> None:
    """Count, if there is somebody to count for."""
    path = os.environ.get(COUNTS_FILE)
    if path:
        config.pluginmanager.register(Counting(Path(path).open("w", encoding="utf-8")), "counting")  # noqa: SIM115 - for the whole run
