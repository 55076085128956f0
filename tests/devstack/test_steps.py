"""Steps run in parallel where they may, in order where they must, and stop at a failure."""

import threading
from pathlib import Path

import pytest
from devstack import commands, steps
from devstack.errors import StackError
from devstack.steps import Silent, Step, StepError

from tests.devstack.conftest import alive


def test_independent_steps_run_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=10)

    def meet() -> None:
        meeting.wait()  # nobody passes unless all three are here

    steps.run([Step(name, meet) for name in ("a", "b", "c")], Silent())


def test_a_step_begins_after_those_it_needs() -> None:
    order: list[str] = []
    steps.run(
        [
            Step("roof", lambda: order.append("roof"), after=("walls",)),
            Step("walls", lambda: order.append("walls"), after=("ground",)),
            Step("ground", lambda: order.append("ground")),
        ],
        Silent(),
    )
    assert order == ["ground", "walls", "roof"]


def test_after_a_failure_no_other_step_begins_and_the_cause_is_told(tmp_path: Path) -> None:
    begun: list[str] = []
    log = tmp_path / "walls.log"

    def fail() -> None:
        raise StackError("no bricks", log=log, hint="Buy some.")

    house = [
        Step("walls", fail),
        Step("roof", lambda: begun.append("roof"), after=("walls",)),
    ]
    with pytest.raises(StepError, match="no bricks") as caught:
        steps.run(house, Silent())
    assert (caught.value.step, caught.value.log, caught.value.hint) == ("walls", log, "Buy some.")
    assert begun == []


def test_an_unforeseen_error_names_its_step_too() -> None:
    def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(StepError, match="OSError: disk full") as caught:
        steps.run([Step("walls", fail)], Silent())
    assert caught.value.step == "walls"


def test_a_failed_command_names_its_log(tmp_path: Path) -> None:
    log = tmp_path / "command.log"
    with pytest.raises(StackError, match="exit code 3") as caught:
        commands.run(["/bin/sh", "-c", "echo out of bricks; exit 3"], log=log, timeout=10)
    assert caught.value.log == log
    assert "out of bricks" in log.read_text()


def test_a_command_that_takes_too_long_is_ended_with_what_it_started(tmp_path: Path) -> None:
    log = tmp_path / "command.log"
    with pytest.raises(StackError, match="took longer than"):
        commands.run(["/bin/sh", "-c", "sleep 600 & echo $!; wait"], log=log, timeout=0.5)
    child = int(log.read_text().splitlines()[-1])
    assert not alive(child)
