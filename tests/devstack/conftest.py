"""A set of local services of the tests' own, in a state directory of its own: these tests kill servers and delete data."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from devstack import services
from devstack.paths import Paths
from devstack.processes import Processes, Server, base_environment
from devstack.stack import Stack


@pytest.fixture(scope="session")
def paths() -> Iterator[Paths]:
    # Not pytest's own directory: its next run closes that to other accounts, and as root PostgreSQL runs as one.
    with tempfile.TemporaryDirectory(prefix="guilder-") as directory:
        yield Paths(Path(directory))


@pytest.fixture(scope="session")
def stack(paths: Paths) -> Iterator[Stack]:
    """The services, running; a test may leave them broken, since `ensure` repairs them for the next."""
    stack = Stack(paths)
    try:
        services.ensure(paths)
        yield stack
    finally:
        for name in services.NAMES:
            stack.processes.stop(name)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Servers of one test."""
    made = Processes(tmp_path)
    yield made
    for name in made.names():
        made.stop(name)


def server(directory: Path, *argv: str, name: str = "server", version: str = "", stop_seconds: float = 5.0) -> Server:
    """A server that does what the words say."""
    return Server(
        name=name,
        argv=argv,
        env=base_environment(),
        cwd=directory,
        log=directory / f"{name}.log",
        stop_seconds=stop_seconds,
        version=version,
    )


def alive(pid: int) -> bool:
    """Whether a process runs; a dead one that nobody has reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
