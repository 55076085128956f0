"""LocalStack's interface to an execution environment, over `Environment`.

Where things lie, and the interpreter, come from two variables of LocalStack's own process:

    LAMBDA_PROCESS_PYTHON      the interpreter that functions run on
    LAMBDA_PROCESS_DIRECTORY   for unpacked code and the environments' scratch directories; emptied at the start
"""

import os
import shutil
import subprocess
from base64 import b64decode
from functools import cache
from pathlib import Path
from typing import Any

from localstack.services.lambda_.invocation.executor_endpoint import (  # type: ignore[import-not-found]
    StatusErrorException,
)
from localstack.services.lambda_.invocation.lambda_models import InvocationResult  # type: ignore[import-not-found]
from localstack.services.lambda_.invocation.runtime_executor import (  # type: ignore[import-not-found]
    LambdaRuntimeException,
    RuntimeExecutor,
)

from lambda_executor.archives import Archives
from lambda_executor.environment import Environment, Event, Function
from lambda_executor.variables import function_variables

LOOPBACK = "127.0.0.1"

FunctionVersion = Any  # LocalStack's FunctionVersion; LocalStack comes without types and is not in the developer's venv


class ProcessExecutor(RuntimeExecutor):  # type: ignore[misc]
    """One execution environment of one function version. LocalStack makes, calls and stops it."""

    def __init__(self, id: str, function_version: FunctionVersion) -> None:  # noqa: A002  (LocalStack's name for it)
        super().__init__(id=id, function_version=function_version)
        self._environment: Environment | None = None

    def start(self, env_vars: dict[str, object]) -> None:
        """Make the environment and initialise it.

        A failed init is tried again by the first invocation, whose caller is told, as in Lambda. With provisioned
        concurrency there is no such caller, so it is an error here.
        """
        function = describe(self.function_version)
        self._environment = Environment(
            function,
            python=python(),
            scratch=directory() / "environments" / self.id,
            variables=function_variables(
                env_vars,
                python=python(),
                runtime=self.function_version.config.runtime,
                task_root=function.task_root,
                opt=function.opt,
                runtime_dir=runtime_directory(),
            ),
        )
        failure = self._environment.start()
        if failure and env_vars.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "provisioned-concurrency":
            raise StatusErrorException("init failed", payload=failure.payload(request_id=""))

    def stop(self) -> None:
        """End the environment's process."""
        if self._environment:
            self._environment.stop()

    def invoke(self, payload: dict[str, str]) -> Any:
        """Have the function handle one event; LocalStack's InvocationResult."""
        if self._environment is None:
            raise LambdaRuntimeException("the environment was not started")
        request_id = payload["invoke-id"]
        outcome = self._environment.invoke(
            Event(
                request_id=request_id,
                function_arn=payload["invoked-function-arn"],
                trace_id=payload["trace-id"],
                payload=payload["payload"].encode(),
            )
        )
        return InvocationResult(request_id, outcome.payload, is_error=outcome.is_error, logs=outcome.log)

    def get_address(self) -> str:
        """Where the environment is: here."""
        return LOOPBACK

    def get_endpoint_from_executor(self) -> str:
        """Where LocalStack is, seen from the environment: here."""
        return LOOPBACK

    def get_runtime_endpoint(self) -> str:
        """Nothing: the runtime's answers do not go through LocalStack's gateway."""
        return ""

    def get_logs(self) -> str:
        """Nothing beyond what each invocation's result carries."""
        return ""

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        """Unpack code and layers when the function is made, so that its first call need not."""
        describe(function_version)

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        """Nothing: versions and functions share what was unpacked. It goes at the next start."""


def describe(version: FunctionVersion) -> Function:
    """What an environment needs to know of a function version; its code and layers are on disk afterwards."""
    config = version.config
    if config.runtime != runtime_name():
        message = f"{config.runtime} is asked for; functions run on {runtime_name()} here"
        raise LambdaRuntimeException(message)
    return Function(
        name=version.id.function_name,
        version=version.id.qualifier,
        timeout=float(config.timeout),
        memory_size_mb=config.memory_size,
        task_root=unpack(config.code),
        opt=archives().opt([unpack(layer.code) for layer in config.layers]),
    )


def unpack(code: Any) -> Path:
    """The directory with the content of a function's or layer's archive (LocalStack's S3Code)."""
    download = code._download_archive_to_file  # noqa: SLF001  (its public way unpacks once per upload, not per hash)
    return archives().unpack(b64decode(code.code_sha256).hex(), download)


@cache
def archives() -> Archives:
    """This LocalStack's unpacked archives. It knows no functions at its start, so nothing in there is of use then."""
    shutil.rmtree(directory(), ignore_errors=True)
    return Archives(directory())


@cache
def directory() -> Path:
    """Where everything is put."""
    return Path(os.environ["LAMBDA_PROCESS_DIRECTORY"])


@cache
def python() -> Path:
    """The interpreter that functions run on."""
    return Path(os.environ["LAMBDA_PROCESS_PYTHON"])


@cache
def runtime_name() -> str:
    """The runtime that the interpreter is, as Lambda calls it."""
    return _ask_python("import sys; print('python%d.%d' % sys.version_info[:2])")


@cache
def runtime_directory() -> Path:
    """Where the runtime client is installed."""
    return Path(_ask_python("import sysconfig; print(sysconfig.get_path('purelib'))"))


def _ask_python(program: str) -> str:
    return subprocess.check_output([python(), "-I", "-c", program], text=True, timeout=30).strip()
