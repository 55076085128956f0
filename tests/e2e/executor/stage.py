"""A LocalStack with our executor, and a hand for what tests do with it: deploy a function, call it, read its log."""

import base64
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import boto3
import psutil
from botocore.config import Config
from devstack import localstack_server
from devstack.paths import Paths
from devstack.ports import Ports
from devstack.processes import Processes

FUNCTIONS = Path(__file__).with_name("functions")
ROLE = "arn:aws:iam::000000000000:role/any"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller of Invoke gets."""

    payload: Any
    error: str | None
    log: str


class Stage:
    """One running LocalStack."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self.pid = pid
        self._lambda = self.client("lambda")

    def client(self, service: str) -> Any:
        """A client of one AWS service; it never tries twice."""
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(connect_timeout=5, read_timeout=60, retries={"max_attempts": 0}, max_pool_connections=20),
        )

    def deploy(self, source: str | Path, files: Mapping[str, bytes | str] | None = None, **settings: Any) -> str:
        """Make a function of one module and further files; give its name when it can be called."""
        text = source.read_text() if isinstance(source, Path) else source
        name = f"test-{uuid4().hex[:12]}"
        self._lambda.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=ROLE,
            Code={"ZipFile": archive({"handler.py": text, **(files or {})})},
            **({"Handler": "handler.handler", "Timeout": 25} | settings),
        )
        wait_for(lambda: self._lambda.get_function(FunctionName=name)["Configuration"]["State"] == "Active")
        return name

    def layer(self, files: Mapping[str, bytes | str]) -> str:
        """Publish a layer; give its version's ARN."""
        answer = self._lambda.publish_layer_version(LayerName=uuid4().hex, Content={"ZipFile": archive(files)})
        return cast("str", answer["LayerVersionArn"])

    def call(self, name: str, **event: Any) -> Answer:
        """Call a function and wait for its answer."""
        answer = self._lambda.invoke(FunctionName=name, Payload=json.dumps(event), LogType="Tail")
        return Answer(
            payload=json.loads(answer["Payload"].read()),
            error=answer.get("FunctionError"),
            log=base64.b64decode(answer["LogResult"]).decode(errors="replace"),
        )

    def send(self, name: str, **event: Any) -> int:
        """Call a function without waiting; give the HTTP status."""
        answer = self._lambda.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event))
        return cast("int", answer["StatusCode"])

    def log(self, name: str) -> list[str]:
        """What is in the function's log group, oldest first; nothing as long as there is no such group."""
        logs = self.client("logs")
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
        try:
            return [event["message"].rstrip("\n") for page in pages for event in page["events"]]
        except logs.exceptions.ResourceNotFoundException:
            return []


def archive(files: Mapping[str, bytes | str]) -> bytes:
    """A zip archive of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return buffer.getvalue()


def wait_for[T](probe: Callable[[], T], seconds: float = 20.0) -> T:
    """What the probe gives as soon as that is true."""
    deadline = time.monotonic() + seconds
    while not (found := probe()):
        assert time.monotonic() < deadline, f"not so within {seconds:.0f} s"
        time.sleep(0.05)
    return found


def wait_for_process(directory: Path) -> psutil.Process:
    """The process that announced itself in the directory."""
    return psutil.Process(int(wait_for(lambda: [file.name for file in directory.iterdir()])[0]))


def has_ended(process: psutil.Process) -> bool:
    """Whether it is gone; one that waits for its parent to take its exit code is."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def processes_of(function: str) -> list[psutil.Process]:
    """The function's processes, found as the executor's documentation says."""
    pattern = f"bootstrap.py {function}:"
    return [process for process in psutil.process_iter() if pattern in " ".join(_command_line(process))]


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@contextmanager
def running(state: Path) -> Iterator[Stage]:
    """A LocalStack with a state directory and a port of its own."""
    paths = Paths(state)
    paths.prepare()
    localstack_server.install(paths)
    processes = Processes(paths.run)
    port = Ports(paths.ports).of("localstack", is_ours=lambda _: False)
    try:
        server = localstack_server.start(paths, processes, port)
        record = processes.running(localstack_server.LOCALSTACK)
        assert record is not None
        yield Stage(server.url, record.pid)
    finally:
        localstack_server.stop(processes)
