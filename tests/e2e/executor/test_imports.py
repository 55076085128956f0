"""What a function finds: its own code, its layers, Lambda's variables, and nothing of the developer's machine."""

import importlib.util
import py_compile
import sys
from pathlib import Path

from tests.e2e.executor.conftest import SHELL_VARIABLE
from tests.e2e.executor.stage import FUNCTIONS, Stage

LAMBDA_VARIABLES = {
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_XRAY_CONTEXT_MISSING",
    "AWS_XRAY_DAEMON_ADDRESS",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "LANG",
    "LD_LIBRARY_PATH",
    "PATH",
    "PYTHONPATH",
    "TZ",
    "_AWS_XRAY_DAEMON_ADDRESS",
    "_AWS_XRAY_DAEMON_PORT",
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
}
BESIDES = {"AWS_ENDPOINT_URL", "HOME", "TMPDIR", "LC_CTYPE"}
"""Where LocalStack is; in place of /tmp; and what Python sets itself where the machine lacks Lambda's locale."""

SHARED = """
import shared, only_first, only_second, parts.first, parts.second, in_both
def handler(event, context):
    return {"shared": shared.VALUE, "in_both": in_both.VALUE}
"""


def layer(name: str) -> dict[str, bytes | str]:
    """A layer with a module of its own, one that the other has too, and half of a package."""
    return {
        "python/shared.py": f"VALUE = {name!r}",
        "python/in_both.py": f"VALUE = {name!r}",
        f"python/only_{name}.py": "",
        "python/parts/__init__.py": "",
        f"python/parts/{name}.py": "",
    }


def test_layers_lie_over_one_another_in_the_order_of_the_list(stage: Stage) -> None:
    first, second = stage.layer(layer("first")), stage.layer(layer("second"))
    own = {"in_both.py": "VALUE = 'own'"}
    forward = stage.deploy(SHARED, own, Layers=[first, second])
    backward = stage.deploy(SHARED, own, Layers=[second, first])
    assert stage.call(forward).payload == {"shared": "second", "in_both": "own"}
    assert stage.call(backward).payload == {"shared": "first", "in_both": "own"}


def test_the_path_begins_with_the_code_and_then_the_layers(stage: Stage) -> None:
    function = stage.deploy(FUNCTIONS / "probe.py", Layers=[stage.layer(layer("first"))])
    path = [Path(entry) for entry in stage.call(function, path=None).payload["path"]]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert (path[0] / "handler.py").exists()
    assert path[1].parts[-4:] == ("python", "lib", version, "site-packages")
    assert path[2] == path[1].parents[2]
    assert (path[2] / "only_first.py").exists()


def test_byte_code_from_a_layer_is_used_and_none_is_written(stage: Stage, tmp_path: Path) -> None:
    source = tmp_path / "compiled.py"
    source.write_text("VALUE = 'byte code'")
    cached = unchecked_byte_code(source)
    files: dict[str, bytes | str] = {
        "python/compiled.py": "VALUE = 'source'",
        f"python/__pycache__/{cached.name}": cached.read_bytes(),
    }
    text = """
import os, pathlib, compiled, plain
def handler(event, context):
    return [compiled.VALUE, [p.name for p in pathlib.Path(os.environ["LAMBDA_TASK_ROOT"]).iterdir()]]
"""
    function = stage.deploy(text, {"plain.py": ""}, Layers=[stage.layer(files)])
    value, in_task_root = stage.call(function).payload
    assert value == "byte code"
    assert sorted(in_task_root) == ["handler.py", "plain.py"]


def unchecked_byte_code(source: Path) -> Path:
    """Compile as our layers are compiled: the import does not look at the source again."""
    cached = py_compile.compile(str(source), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    assert cached is not None
    return Path(cached)


def test_a_package_of_the_developer_cannot_be_imported(stage: Stage, probe: str) -> None:
    assert importlib.util.find_spec("rich") is not None
    answer = stage.call(probe, **{"import": "rich"})
    assert answer.error == "Unhandled"
    assert answer.payload["errorType"] == "ModuleNotFoundError"
    at_import = stage.call(stage.deploy("import rich\ndef handler(event, context): ..."))
    assert at_import.error == "Unhandled"
    assert at_import.payload["errorType"] == "Runtime.ImportModuleError"
    assert at_import.payload["errorMessage"] == "Unable to import module 'handler': No module named 'rich'"


def test_the_variables_are_lambdas_and_the_functions_own(stage: Stage) -> None:
    function = stage.deploy(
        FUNCTIONS / "probe.py", MemorySize=256, Environment={"Variables": {"OWN": "grüße", "TZ": "Europe/Zurich"}}
    )
    found = stage.call(function, environment=None).payload["environment"]
    assert SHELL_VARIABLE not in found
    assert found.keys() - BESIDES == LAMBDA_VARIABLES | {"OWN"}
    expected = {
        "AWS_ENDPOINT_URL": stage.url,
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_NAME": function,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function}",
        "AWS_REGION": "us-east-1",
        "OWN": "grüße",
        "TZ": "Europe/Zurich",
        "_HANDLER": "handler.handler",
    }
    assert {name: found[name] for name in expected} == expected


def test_each_environment_has_temporary_files_of_its_own(stage: Stage) -> None:
    text = """
import pathlib, tempfile
def handler(event, context):
    (pathlib.Path(tempfile.gettempdir()) / "left").write_text("")
    return tempfile.gettempdir()
"""
    first, second = (Path(stage.call(stage.deploy(text)).payload) for _ in range(2))
    assert first != second
    assert (first / "left").exists()
