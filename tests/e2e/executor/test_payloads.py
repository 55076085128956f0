"""What goes in comes out, up to Lambda's limit."""

import pytest

from tests.e2e.executor.stage import FUNCTIONS, Stage

MEGABYTE = 1024 * 1024


@pytest.mark.parametrize(
    "value",
    [None, "", "grüße, 世界, 🜂, \u0000, \\ud800", {"nested": [1, 2.5, True, None]}, 'quotes " and \n lines'],
    ids=["null", "empty", "unicode", "nested", "escapes"],
)
def test_an_event_comes_back_as_it_was(stage: Stage, probe: str, value: object) -> None:
    assert stage.call(probe, echo=value).payload["echo"] == value


@pytest.mark.parametrize("text", ["x" * (5 * MEGABYTE), "世" * MEGABYTE], ids=["5 MB", "3 MB of Chinese"])
def test_large_events_and_answers_pass(stage: Stage, probe: str, text: str) -> None:
    assert stage.call(probe, echo=text).payload["echo"] == text


def test_an_answer_over_six_megabytes_is_an_error(stage: Stage) -> None:
    function = stage.deploy(FUNCTIONS / "probe.py")
    answer = stage.call(function, fill=7 * MEGABYTE)
    assert answer.error == "Unhandled"
    assert answer.payload["errorType"] == "Function.ResponseSizeTooLarge"
    assert stage.call(function, fill=5 * MEGABYTE).error is None


def test_the_time_that_remains_is_told(stage: Stage, probe: str) -> None:
    assert 15_000 < stage.call(probe).payload["remaining_ms"] <= 25_000
