"""What a caller is told when a function fails."""

from pathlib import Path

from tests.e2e.executor.stage import FUNCTIONS, Stage, has_ended, processes_of, wait_for


def test_an_exception_is_the_callers_error_and_the_environment_lives_on(stage: Stage, probe: str) -> None:
    before = stage.call(probe).payload["pid"]
    answer = stage.call(probe, fail="no such merchant")
    assert answer.error == "Unhandled"
    assert answer.payload["errorType"] == "ValueError"
    assert answer.payload["errorMessage"] == "no such merchant"
    assert any("in fail" in line for line in answer.payload["stackTrace"])
    assert "[ERROR] ValueError: no such merchant" in answer.log
    assert stage.call(probe).payload["pid"] == before


def test_an_exit_in_mid_call_is_an_error(stage: Stage) -> None:
    function = stage.deploy(FUNCTIONS / "probe.py")
    answer = stage.call(function, exit=3)
    assert answer.error == "Unhandled"
    assert answer.payload["errorType"] == "Runtime.ExitError"
    assert answer.payload["errorMessage"].endswith("Error: Runtime exited with error: exit status 3")
    assert stage.call(function).payload["calls"] == 1


def test_an_exception_at_import_is_the_init_error(stage: Stage) -> None:
    function = stage.deploy("raise RuntimeError('no database')\ndef handler(event, context): ...")
    for _ in range(2):  # each call tries again
        answer = stage.call(function)
        assert answer.error == "Unhandled"
        assert answer.payload["errorType"] == "RuntimeError"
        assert answer.payload["errorMessage"] == "no database"
        assert any("handler.py" in line for line in answer.payload["stackTrace"])
        assert "Error Type: RuntimeError" in answer.log
    wait_for(lambda: all(has_ended(process) for process in processes_of(function)))


def test_a_missing_handler_is_the_init_error(stage: Stage) -> None:
    answer = stage.call(stage.deploy("", Handler="handler.absent"))
    assert answer.payload["errorType"] == "Runtime.HandlerNotFound"
    assert answer.payload["errorMessage"] == "Handler 'absent' missing on module 'handler'"


def test_a_failed_init_is_tried_again(stage: Stage, tmp_path: Path) -> None:
    text = f"""
import pathlib
assert pathlib.Path({str(tmp_path)!r}, "ready").exists(), "not yet"
def handler(event, context):
    return "served"
"""
    function = stage.deploy(text)
    assert stage.call(function).payload["errorMessage"] == "not yet"
    (tmp_path / "ready").touch()
    answer = stage.call(function)
    assert (answer.error, answer.payload) == (None, "served")


def test_an_answer_that_is_not_json_is_an_error(stage: Stage) -> None:
    answer = stage.call(stage.deploy("def handler(event, context): return object()"))
    assert answer.error == "Unhandled"
    assert answer.payload["errorType"] == "Runtime.MarshalError"
