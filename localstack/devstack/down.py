"""`make down`: stops what was started here, and nothing else. The data stay unless they are asked to go."""

import shutil

from rich.console import Console

from devstack import locks, services
from devstack.localstack_server import LOCALSTACK
from devstack.stack import Stack
from devstack.up import BUSY

WAIT_SECONDS = 5.0


def down(stack: Stack, console: Console, *, clean: bool) -> None:
    """Stop everything; `clean` deletes the databases and all that belongs to them as well.

    Raises:
        BusyError: a `make up` is under way.
    """
    with (
        locks.exclusive(stack.paths.run / "up.lock", wait_seconds=WAIT_SECONDS, message=BUSY),
        services.lock(stack),
    ):
        stopped = [name for name in _in_order(stack) if stack.processes.stop(name)]
        console.print(f"Stopped: {', '.join(stopped)}" if stopped else "Nothing was running.", highlight=False)
        if clean:
            _delete(stack)
            console.print(f"Deleted the data in {stack.paths.state}", highlight=False)


def _in_order(stack: Stack) -> list[str]:
    """Clients before what they use; what only an older version knew comes last."""
    known = [LOCALSTACK, *services.NAMES]
    return [*known, *(name for name in stack.processes.names() if name not in known)]


def _delete(stack: Stack) -> None:
    """Delete what depends on the data. Tools and the chosen ports stay; the directory of the locks is in use."""
    paths = stack.paths
    for place in (paths.data, paths.logs, paths.assembly, *(paths.state / name for name in _in_order(stack))):
        shutil.rmtree(place, ignore_errors=True)
    for file in (paths.pgpass, paths.outputs, *paths.run.glob("deployment.*")):
        file.unlink(missing_ok=True)
