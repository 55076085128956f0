"""LocalStack, which is AWS here: a process of this machine, with Lambda functions as processes beside it.

It keeps nothing over a restart: what must last is in PostgreSQL. Functions run on an interpreter of their own that has
nothing installed but AWS's runtime client; `lambda_executor` says how they are run and how to find one's process.
"""

import hashlib
import http.client
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from devstack import commands
from devstack.errors import StackError
from devstack.paths import Paths
from devstack.ports import LOOPBACK
from devstack.processes import Processes, Server, base_environment

LOCALSTACK = "localstack"
READY_SECONDS = 90.0  # about 5 on a quiet machine; its first start compiles some thousand modules
INSTALL_SECONDS = 600.0

type Step = list[str | Path]
"""Arguments of one call of uv."""


@dataclass(frozen=True, slots=True)
class LocalStack:
    """A running LocalStack.

    Attributes:
        fresh: it was started now, so nothing is deployed in it.
    """

    url: str
    fresh: bool


PLUGINS = ("lambda_executor", "gateway_answers")
"""What LocalStack loads of ours; one that changed needs a restart."""


def install(paths: Paths, uv: Path | None = None) -> None:
    """Make LocalStack's virtual environment and the functions', unless they are as their requirements say.

    Raises:
        StackError: uv was not found, or failed.
    """
    source = paths.repository / "localstack"
    executor = source / "lambda_executor"
    localstack: list[Step] = [
        ["pip", "sync", "--require-hashes", source / "requirements.txt"],
        ["pip", "install", "--no-deps", "--no-build-isolation", "--editable", executor],
    ]
    # Functions' processes write no byte code, so what they all import has it from the start.
    functions: list[Step] = [["pip", "sync", "--require-hashes", "--compile-bytecode", source / "lambda-runtime.txt"]]
    _make(paths, uv, "localstack", localstack, (source / "requirements.txt", executor / "pyproject.toml"))
    _make(paths, uv, "lambda-runtime", functions, (source / "lambda-runtime.txt",))


def find_uv(paths: Paths) -> Path:
    """The project's own uv, or else the one on PATH."""
    own = paths.tools / "bootstrap" / "bin" / "uv"
    found = str(own) if own.exists() else shutil.which("uv")
    if found is None:
        message = f"uv is neither at {own} nor on PATH"
        raise StackError(message, hint="`make up` installs it.")
    return Path(found)


def start(paths: Paths, processes: Processes, port: int) -> LocalStack:
    """Start LocalStack on the port, unless it runs there as described, and wait until it answers.

    Raises:
        StackError: it ended, or did not answer in time.
    """
    if not is_running(processes):  # one that was killed has left its S3 objects behind
        shutil.rmtree(_temporary(paths), ignore_errors=True)
    server = describe(paths, port)
    fresh = processes.ensure(server, lambda: is_healthy(port), seconds=READY_SECONDS)
    return LocalStack(url(port), fresh)


def stop(processes: Processes) -> bool:
    """Stop LocalStack; say whether it ran. Functions' processes end with it, even when it has to be killed."""
    return processes.stop(LOCALSTACK)


def is_running(processes: Processes) -> bool:
    """Whether the LocalStack that we started is alive."""
    return processes.running(LOCALSTACK) is not None


def is_healthy(port: int) -> bool:
    """Whether LocalStack answers on the port."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/_localstack/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def url(port: int) -> str:
    """The address that AWS_ENDPOINT_URL takes."""
    return f"http://{LOOPBACK}:{port}"


def describe(paths: Paths, port: int) -> Server:
    """How to run LocalStack. All that it writes lies below the state directory."""
    home, temporary = paths.state / LOCALSTACK, _temporary(paths)
    temporary.mkdir(parents=True, exist_ok=True)
    python = paths.venvs / "localstack" / "bin" / "python"
    variables = {
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "CONFIG_DIR": str(home),  # else it reads the developer's ~/.localstack
        "FILESYSTEM_ROOT": str(home / "filesystem"),
        "GATEWAY_LISTEN": f"{LOOPBACK}:{port}",
        "LOCALSTACK_HOST": f"{LOOPBACK}:{port}",  # else queue URLs have a name that takes public DNS to resolve
        "SQS_ENDPOINT_STRATEGY": "path",
        # No DNS server, no downloads, no usage statistics.
        "DNS_ADDRESS": "0",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DISABLE_EVENTS": "1",
        # Its services call one another directly instead of through its own HTTP server: a third of a call's time.
        "IN_MEMORY_CLIENT": "1",
        "LAMBDA_RUNTIME_EXECUTOR": "process",
        "LAMBDA_PROCESS_PYTHON": str(paths.venvs / "lambda-runtime" / "bin" / "python"),
        "LAMBDA_PROCESS_DIRECTORY": str(home / "lambda"),
    }
    return Server(
        name=LOCALSTACK,
        argv=(str(python), "-m", "localstack.runtime.main"),
        env=base_environment() | variables,
        cwd=home,
        log=paths.log(LOCALSTACK),
        stop_seconds=5.0,  # its functions go first; the rest is tidying up a memory that nobody will read
        version=_digest(
            sorted(file for plugin in PLUGINS for file in (paths.repository / "localstack" / plugin).rglob("*.py"))
        ),
    )


def _temporary(paths: Paths) -> Path:
    return paths.state / LOCALSTACK / "tmp"


def _make(paths: Paths, uv: Path | None, name: str, steps: list[Step], inputs: tuple[Path, ...]) -> None:
    """Make one virtual environment; a stamp in it says what it was made from."""
    target = paths.venvs / name
    stamp = target / "made-from"
    wanted = _digest(inputs) + sys.version
    if stamp.exists() and stamp.read_text() == wanted:
        return
    uv = uv or find_uv(paths)
    environment = dict(os.environ) | {"VIRTUAL_ENV": str(target)}
    venv: Step = ["venv", "--clear", "--python", sys.executable, target]
    for step in (venv, *steps):
        log = paths.log(f"install-{name}")
        commands.run([uv, *step], log=log, timeout=INSTALL_SECONDS, env=environment)
    stamp.write_text(wanted)


def _digest(files: tuple[Path, ...] | list[Path]) -> str:
    """Differs where one of the files does."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()
