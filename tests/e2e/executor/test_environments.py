"""Environments: made, reused, and replaced after their process has ended."""

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.e2e.executor.stage import FUNCTIONS, Stage, has_ended, processes_of, wait_for, wait_for_process

PARALLEL = 4


def test_module_state_survives_between_calls(stage: Stage, probe: str) -> None:
    first, second = stage.call(probe).payload, stage.call(probe).payload
    assert second["pid"] == first["pid"]
    assert second["calls"] == first["calls"] + 1


def test_parallel_calls_get_an_environment_each_and_idle_ones_are_reused(stage: Stage, tmp_path: Path) -> None:
    function = stage.deploy(FUNCTIONS / "probe.py")

    def meet(directory: Path) -> set[int]:
        directory.mkdir()
        event = {"directory": str(directory), "parties": PARALLEL}
        with ThreadPoolExecutor(PARALLEL) as callers:
            answers = callers.map(lambda _: stage.call(function, meet=event), range(PARALLEL))
            return {answer.payload["pid"] for answer in answers}

    environments = meet(tmp_path / "cold")
    assert len(environments) == PARALLEL
    assert meet(tmp_path / "warm") == environments
    assert stage.call(function).payload["pid"] in environments
    assert {process.pid for process in processes_of(function)} == environments


def test_the_time_out_kills_the_process_and_what_it_started(stage: Stage, tmp_path: Path) -> None:
    function = stage.deploy(FUNCTIONS / "probe.py", Timeout=1)
    before = stage.call(function).payload["pid"]
    late = stage.call(function, start_child=str(tmp_path), sleep=60)
    assert late.error == "Unhandled"
    assert late.payload["errorType"] == "Sandbox.Timedout"
    assert late.payload["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")
    assert "Task timed out after 1.00 seconds" in late.log
    assert "\tStatus: timeout" in late.log
    (child,) = tmp_path.iterdir()
    wait_for(lambda: not psutil.pid_exists(int(child.name)) or has_ended(psutil.Process(int(child.name))))
    after = stage.call(function).payload
    assert after["pid"] != before
    assert after["calls"] == 1


def test_sigkill_in_mid_call_is_that_callers_error_alone(stage: Stage, tmp_path: Path) -> None:
    function = stage.deploy(FUNCTIONS / "probe.py")
    (tmp_path / "victim").mkdir()
    with ThreadPoolExecutor(2) as callers:
        killed = callers.submit(stage.call, function, announce=str(tmp_path / "victim"), sleep=60)
        victim = wait_for_process(tmp_path / "victim")
        # In another environment, since the victim is busy; it ends only after the kill.
        bystander = callers.submit(stage.call, function, meet={"directory": str(tmp_path), "parties": 3})
        wait_for(lambda: len(list(tmp_path.iterdir())) == 2)
        victim.send_signal(signal.SIGKILL)
        answer = killed.result(timeout=20)
        (tmp_path / "killed").touch()
        assert bystander.result(timeout=20).error is None
    assert answer.error == "Unhandled"
    assert answer.payload["errorType"] == "Runtime.ExitError"
    assert answer.payload["errorMessage"].startswith("RequestId: ")
    assert answer.payload["errorMessage"].endswith(" Error: Runtime exited with error: signal: killed")
    assert "Error Type: Runtime.ExitError" in answer.log
    with ThreadPoolExecutor(2) as callers:  # both environments answer, one of them from a new process
        (tmp_path / "again").mkdir()
        event = {"directory": str(tmp_path / "again"), "parties": 2}
        payloads = [a.payload for a in callers.map(lambda _: stage.call(function, meet=event), range(2))]
    assert min(payload["calls"] for payload in payloads) == 1
    assert victim.pid not in [payload["pid"] for payload in payloads]


def test_a_process_that_dies_between_calls_is_replaced_unnoticed(stage: Stage) -> None:
    function = stage.deploy(FUNCTIONS / "probe.py")
    before = stage.call(function).payload["pid"]
    (process,) = processes_of(function)
    assert process.pid == before
    process.kill()
    wait_for(lambda: has_ended(process))
    answer = stage.call(function)
    assert answer.error is None
    assert answer.payload["calls"] == 1
    assert answer.payload["pid"] != before


def test_deleting_a_function_ends_its_processes(stage: Stage) -> None:
    function = stage.deploy(FUNCTIONS / "probe.py")
    stage.call(function)
    (process,) = processes_of(function)
    stage.client("lambda").delete_function(FunctionName=function)
    wait_for(lambda: has_ended(process))


@pytest.mark.parametrize(("text", "status"), [(None, "READY"), ("raise RuntimeError('no database')", "FAILED")])
def test_provisioned_environments_are_initialised_before_any_call(stage: Stage, text: str | None, status: str) -> None:
    functions = stage.client("lambda")
    function = stage.deploy(text or FUNCTIONS / "probe.py")
    version = functions.publish_version(FunctionName=function)["Version"]
    which = {"FunctionName": function, "Qualifier": version}
    functions.put_provisioned_concurrency_config(**which, ProvisionedConcurrentExecutions=2)
    wait_for(lambda: functions.get_provisioned_concurrency_config(**which)["Status"] == status)
    assert len(processes_of(function)) == (2 if status == "READY" else 0)
    if status == "READY":
        answer = stage.call(f"{function}:{version}", environment=None)
        assert answer.payload["environment"]["AWS_LAMBDA_INITIALIZATION_TYPE"] == "provisioned-concurrency"
