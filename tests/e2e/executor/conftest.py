"""One LocalStack for all tests of the executor, apart from those that end it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.executor.stage import FUNCTIONS, Stage, running

SHELL_VARIABLE = "ONLY_IN_THE_DEVELOPERS_SHELL"


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A LocalStack that was started from a shell with a variable of its own."""
    with pytest.MonkeyPatch.context() as shell:
        shell.setenv(SHELL_VARIABLE, "1")
        with running(tmp_path_factory.mktemp("stage")) as started:
            yield started


@pytest.fixture(scope="session")
def probe(stage: Stage) -> str:
    """A function that does what its event asks for."""
    return stage.deploy(FUNCTIONS / "probe.py")


@dataclass(frozen=True, slots=True)
class Schedule:
    """A function that is called every minute.

    Attributes:
        touched: the file that it makes.
        made: when the rule was made, by the monotonic clock.
    """

    touched: Path
    made: float


@pytest.fixture(scope="session", autouse=True)
def schedule(stage: Stage, probe: str, tmp_path_factory: pytest.TempPathFactory) -> Schedule:
    """Made before the first test, so that its minute passes while the others run."""
    touched = tmp_path_factory.mktemp("schedule") / "touched"
    events = stage.client("events")
    rule = events.put_rule(Name="every-minute", ScheduleExpression="rate(1 minute)")
    function = stage.client("lambda").get_function(FunctionName=probe)["Configuration"]["FunctionArn"]
    stage.client("lambda").add_permission(
        FunctionName=probe,
        StatementId="schedule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule["RuleArn"],
    )
    target = {"Id": "probe", "Arn": function, "Input": f'{{"touch": "{touched}"}}'}
    events.put_targets(Rule="every-minute", Targets=[target])
    return Schedule(touched, made=time.monotonic())
