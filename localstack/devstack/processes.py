"""Starts servers that outlive us, knows them again, and stops exactly those.

Each server leads a session of its own, so that a Ctrl-C at the terminal does not reach it, writes to a log file, and
has a record in `.local/run/` with its number and identity (see `identity`).
"""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from devstack.errors import StackError
from devstack.identity import MARK, at_home, identify, marked, session_members, wait_gone

LOG_LIMIT_BYTES = 20 * 1024 * 1024
"""A longer log is put aside (one generation) when its server starts."""

KILL_SECONDS = 5.0
"""How long a killed process may take to be gone."""

ANSWER_SECONDS = 15.0
"""How long a server that runs already may take to answer before it is held for stuck."""

INHERITED = ("PATH", "HOME", "TMPDIR", "USER")
"""What servers get from our own environment."""


@dataclass(frozen=True, slots=True)
class Server:
    """One server and how to run it.

    Attributes:
        user: the system account to run as; None means our own.
        stop_signal: what asks it to end in good order.
        stop_seconds: how long it may take to; then it is killed.
        home: a directory in which only this server and its children work; what still works there is one of them.
        before_start: called when nothing of the server is left and it is about to be started.
        version: whatever else must lead to a restart when it changes, for example the hash of its configuration.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    home: Path | None = None
    before_start: Callable[[], None] = lambda: None
    version: str = ""

    @property
    def fingerprint(self) -> str:
        """Differs where a running server would have to be started anew to be the one described.

        What it has from the shell of whoever starts it does not count: a second terminal is no reason for a restart.
        """
        own = {key: value for key, value in self.env.items() if key not in INHERITED}
        parts = [*self.argv, *(f"{key}={value}" for key, value in sorted(own.items())), self.version]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Record:
    """What `.local/run/<name>.json` says of a server that we started."""

    name: str
    pid: int
    identity: str
    fingerprint: str
    stop_signal: int
    stop_seconds: float
    program: str
    home: str | None


class Processes:
    """The servers of one state directory."""

    def __init__(self, run: Path) -> None:
        self._run = run
        # Our own children must be waited for, or their dead remain as zombies for as long as we run.
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def names(self) -> list[str]:
        """Every server that has a record, running or not."""
        return sorted(file.stem for file in self._run.glob("*.json"))

    def running(self, name: str) -> Record | None:
        """The record of the server, if it is alive."""
        record = self._record(name)
        if record is None:
            return None
        if (child := self._children.get(record.pid)) is not None:
            child.poll()
        return record if identify(record.pid) == record.identity else None

    def ensure(self, server: Server, ready: Callable[[], bool], seconds: float) -> bool:
        """Have the server running as described, and ready; say whether it was started.

        One that runs but does not answer, or dies while we look, is started anew.

        Raises:
            StackError: it ended at once, or was not ready in time.
        """
        if self._runs_as(server):
            with contextlib.suppress(StackError):
                self._wait_ready(server, ready, min(seconds, ANSWER_SECONDS))
                return False
        self.stop(server.name)  # an older shape of it, or what a killed one left behind
        server.before_start()
        self._start(server)
        self._wait_ready(server, ready, seconds)
        return True

    def holds(self, name: str, port: int) -> bool:
        """Whether the running server, or a process that it started, listens on the port."""
        record = self.running(name)
        if record is None:
            return False
        return any(_listens(member, port) for member in session_members(record.pid))

    def stop(self, name: str) -> bool:
        """End the server and all that is left of its session; say whether there was anything to end."""
        members = marked(self._mark(name))
        record = self._record(name)
        if record is not None:
            members += self._ask_to_end(record)
            members += at_home(record.program, record.home) if record.home else []
        _kill(members)
        if record is not None and (child := self._children.pop(record.pid, None)) is not None:
            child.wait(timeout=KILL_SECONDS)
        self._file(name).unlink(missing_ok=True)
        return bool(members)

    def _runs_as(self, server: Server) -> bool:
        record = self.running(server.name)
        return record is not None and record.fingerprint == server.fingerprint

    def _wait_ready(self, server: Server, ready: Callable[[], bool], seconds: float) -> None:
        """Return when the server is ready."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.running(server.name) is None:
                raise StackError(f"{server.name} ended right after its start", log=server.log)
            if time.monotonic() > deadline:
                raise StackError(f"{server.name} was not ready within {seconds:.0f} s", log=server.log)
            time.sleep(0.05)

    def _ask_to_end(self, record: Record) -> list[psutil.Process]:
        """Let the server end in good order; return its processes, of which some may be left."""
        if self.running(record.name) is None:
            # Somebody killed it. Unless its number means another process by now, its session is what it left behind.
            return session_members(record.pid) if identify(record.pid) is None else []
        leader = psutil.Process(record.pid)
        members = session_members(record.pid) + leader.children(recursive=True)
        _ask(leader, signal.Signals(record.stop_signal), record.stop_seconds)
        return members

    def _start(self, server: Server) -> None:
        _put_aside(server.log)
        with server.log.open("ab") as log:
            child = subprocess.Popen(
                server.argv,
                env={**server.env, MARK: self._mark(server.name)},
                cwd=server.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=server.user,
                group=server.user,
                extra_groups=[] if server.user else None,
            )
        self._children[child.pid] = child
        record = Record(
            name=server.name,
            pid=child.pid,
            identity=identify(child.pid) or "ended at once",
            fingerprint=server.fingerprint,
            stop_signal=int(server.stop_signal),
            stop_seconds=server.stop_seconds,
            program=str(Path(server.argv[0]).resolve()),
            home=str(server.home) if server.home else None,
        )
        draft = self._file(server.name).with_suffix(".new")
        draft.write_text(json.dumps(asdict(record), indent=2) + "\n")
        draft.replace(self._file(server.name))

    def _mark(self, name: str) -> str:
        return str(self._run / name)

    def _file(self, name: str) -> Path:
        return self._run / f"{name}.json"

    def _record(self, name: str) -> Record | None:
        try:
            return Record(**json.loads(self._file(name).read_text()))
        except (FileNotFoundError, json.JSONDecodeError, TypeError):
            return None


def _listens(process: psutil.Process, port: int) -> bool:
    with contextlib.suppress(psutil.Error):
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            for connection in process.net_connections(kind="tcp")
        )
    return False


def _ask(leader: psutil.Process, signum: signal.Signals, seconds: float) -> None:
    """Ask for an orderly end and wait for it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        leader.send_signal(signum)
    wait_gone([leader], seconds)


def _kill(members: list[psutil.Process]) -> None:
    """Kill what has not ended by itself. psutil checks each process's time of creation before it sends a signal."""
    for member in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    wait_gone(members, KILL_SECONDS)


def _put_aside(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".log.1"))


def base_environment() -> dict[str, str]:
    """What every server gets from ours: enough to run, none of the credentials that a developer's shell holds."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ} | {"LC_ALL": "C", "TZ": "UTC"}
