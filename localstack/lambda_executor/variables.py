"""The environment variables of a function's process: what Lambda sets, and nothing of LocalStack's own environment.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
"""

import os
from collections.abc import Mapping
from pathlib import Path

_LOCALSTACKS_OWN = ("LOCALSTACK_", "EDGE_PORT")
"""LocalStack's names for its container's init process; Lambda has none of them."""


def function_variables(
    given: Mapping[str, object], *, python: Path, runtime: str, task_root: Path, opt: Path, runtime_dir: Path
) -> dict[str, str]:
    """The variables, apart from those that only the environment itself knows.

    Args:
        given: LocalStack's set: the reserved variables and the function's own over them.
        python: the interpreter that functions run on.
        runtime: the function's runtime, for example python3.13.
        task_root: what /var/task is in Lambda.
        opt: what /opt is in Lambda.
        runtime_dir: what /var/runtime is in Lambda: where the runtime client is installed.
    """
    unreserved = {
        "LANG": "en_US.UTF-8",
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, (task_root, task_root / "lib", opt / "lib"))),
        "PATH": os.pathsep.join((str(python.parent), "/usr/local/bin", "/usr/bin", "/bin", str(opt / "bin"))),
    }
    reserved = {
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{runtime}",
        "LAMBDA_RUNTIME_DIR": str(runtime_dir),
        "LAMBDA_TASK_ROOT": str(task_root),
    }
    passed_on = {name: str(value) for name, value in given.items() if not name.startswith(_LOCALSTACKS_OWN)}
    if level := passed_on.get("AWS_LAMBDA_LOG_LEVEL"):
        passed_on["AWS_LAMBDA_LOG_LEVEL"] = level.upper()  # LocalStack writes "Info", Lambda and its runtime INFO
    passed_on.pop("AWS_LAMBDA_FUNCTION_TIMEOUT", None)  # for LocalStack's init; Lambda's own does not say
    return unreserved | passed_on | reserved
