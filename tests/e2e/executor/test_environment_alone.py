"""An environment without LocalStack around it: what takes too long, or another machine, to be seen through Lambda's API."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from devstack import localstack_server
from devstack.paths import Paths
from lambda_executor import environment, process
from lambda_executor.environment import Environment, Event, Function


@pytest.fixture(scope="session")
def python() -> Path:
    """The interpreter that functions run on."""
    paths = Paths.default()
    paths.prepare()
    localstack_server.install(paths)
    return paths.venvs / "lambda-runtime" / "bin" / "python"


@pytest.fixture(scope="session")
def python_without_native_client(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter as it is where awslambdaric comes without its native part (macOS)."""
    home = tmp_path_factory.mktemp("portable")
    subprocess.run([python, "-m", "venv", "--without-pip", home], check=True, timeout=60)
    (packages,) = home.glob("lib/python*/site-packages")
    for package in next(python.parents[1].glob("lib/python*/site-packages")).iterdir():
        if not package.name.startswith(("runtime_client", "_virtualenv")):
            (packages / package.name).symlink_to(package)
    return home / "bin" / "python"


@contextmanager
def made(python: Path, home: Path, text: str) -> Iterator[Environment]:
    """An environment of a function with a time-out of 20 s."""
    (home / "task").mkdir(parents=True)
    (home / "task" / "handler.py").write_text(text)
    (home / "opt").mkdir()
    function = Function("alone", "1", timeout=20.0, memory_size_mb=128, task_root=home / "task", opt=home / "opt")
    packages = next(python.parents[1].glob("lib/python*/site-packages"))
    variables = {
        "_HANDLER": "handler.handler",
        "LAMBDA_TASK_ROOT": str(home / "task"),
        "LAMBDA_RUNTIME_DIR": str(packages),
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
    }
    alone = Environment(function, python, home / "scratch", variables)
    try:
        yield alone
    finally:
        alone.stop()


def event(request_id: str, payload: bytes = b"{}") -> Event:
    return Event(request_id, "arn:aws:lambda:us-east-1:000000000000:function:alone:1", "Root=1", payload)


def test_an_init_that_takes_too_long_is_repeated_within_the_first_call(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "INIT_SECONDS", 1.5)
    text = f"""
import pathlib, time
begun = pathlib.Path({str(tmp_path)!r}, "begun")
if not begun.exists():
    begun.touch()
    time.sleep(60)
def handler(event, context):
    return "served"
"""
    with made(python, tmp_path / "home", text) as alone:
        assert alone.start() is not None
        outcome = alone.invoke(event("r1"))
    assert (outcome.payload, outcome.is_error) == (b'"served"', False)
    assert "Phase: init\tStatus: timeout\n" in outcome.log


def test_output_beyond_the_bound_is_dropped_and_counted(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "MAX_OUTPUT_BYTES", 1000)
    with made(python, tmp_path, "def handler(event, context): print('x' * 5000)") as alone:
        assert alone.start() is None
        log = alone.invoke(event("r1")).log
    assert "x" * 1000 in log
    assert "x" * 1001 not in log
    assert "[4001 bytes of output dropped]\n" in log


def test_the_scratch_directory_goes_with_the_environment(python: Path, tmp_path: Path) -> None:
    with made(python, tmp_path, "def handler(event, context): ...") as alone:
        assert alone.start() is None
        assert (tmp_path / "scratch").exists()
    assert not (tmp_path / "scratch").exists()


def test_the_runtime_client_in_plain_python_does_what_the_native_one_does(
    python: Path, python_without_native_client: Path, tmp_path: Path
) -> None:
    text = """
import os, runtime_client
def handler(event, context):
    if "fail" in event:
        raise ValueError(event["fail"])
    return {"event": event, "id": context.aws_request_id, "arn": context.invoked_function_arn,
            "left": 0 < context.get_remaining_time_in_millis() <= 20000, "trace": os.environ["_X_AMZN_TRACE_ID"],
            "native": runtime_client.__file__.endswith(".so")}
"""
    outcomes = []
    for index, interpreter in enumerate((python, python_without_native_client)):
        with made(interpreter, tmp_path / str(index), text) as alone:
            assert alone.start() is None
            answers = [
                alone.invoke(event(f"r{n}", body)) for n, body in enumerate((b'{"a": "\xc3\xbc"}', b'{"fail": "x"}'))
            ]
            outcomes.append([(answer.payload, answer.is_error) for answer in answers])
    native, portable = outcomes
    assert portable[0] == (native[0][0].replace(b'"native": true', b'"native": false'), False)
    assert portable[1][1] is native[1][1] is True
