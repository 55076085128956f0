"""The processor simulator: a service of its own with a database of its own, run by uvicorn."""

import sys

import httpx

from devstack import api, credentials
from devstack.content import content_hash
from devstack.ports import LOOPBACK
from devstack.postgres import PRIMARY
from devstack.processes import Server, base_environment
from devstack.stack import Stack

SIMULATOR = "simulator"


def start(stack: Stack) -> bool:
    """Start the simulator, unless it runs with today's sources and settings; say whether it was started."""
    sources = stack.paths.repository / "functions" / "simulator"
    stack.write_password_file()
    server = Server(
        name=SIMULATOR,
        argv=(
            *(sys.executable, "-m", "uvicorn", "simulator.app:app"),
            *("--app-dir", str(sources)),
            *("--host", LOOPBACK, "--port", str(stack.port(SIMULATOR))),
            *("--no-access-log", "--log-level", "warning"),
        ),
        env=base_environment()
        | {
            "SIMULATOR_DATABASE_URL": stack.url(credentials.SIMULATOR, PRIMARY, "simulator", password=False),
            "SIMULATOR_PUBLIC_URL": url(stack),
            "SIMULATOR_NOTIFICATION_URL": api.notification_url(stack, SIMULATOR),
            "SIMULATOR_NOTIFICATION_SECRET": stack.processor_secrets[SIMULATOR]["notification_secret"],
            "PGPASSFILE": str(stack.paths.pgpass),
        },
        cwd=stack.paths.state,
        log=stack.paths.log(SIMULATOR),
        version=content_hash([sources]),
    )
    return stack.processes.ensure(server, lambda: _answers(url(stack)), seconds=30)


def url(stack: Stack) -> str:
    """The simulator's address."""
    return f"http://{LOOPBACK}:{stack.port(SIMULATOR)}"


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/healthz", timeout=3).is_success
    except httpx.HTTPError:
        return False
