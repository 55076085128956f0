"""PgBouncer in transaction mode, as RDS Proxy's stand-in: one before the primary, one before the replica."""

import os
import re
import resource
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from devstack import commands, credentials, sql
from devstack.errors import StackError
from devstack.ports import LOOPBACK, is_listening
from devstack.postgres import PRIMARY
from devstack.processes import Server, base_environment
from devstack.replica import REPLICA
from devstack.stack import Stack
from devstack.system_user import hand_over

POOLER = "pgbouncer-primary"
POOLER_READER = "pgbouncer-replica"
UPSTREAM = {POOLER: PRIMARY, POOLER_READER: REPLICA}

POOL_SIZE = 20
"""Server connections per database and role."""

MAX_CLIENTS = 2500
OPEN_FILES = 8192
"""A client and its share of the server connections each take a descriptor."""

NAMED_STATEMENTS_SINCE = (1, 21)
"""Older versions lose a client's named statements between transactions."""

CONFIGURATION = """\
[databases]
* = host={host} port={upstream}

[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
admin_users = {superuser}
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = {clients}
# Sent by clients when they connect; nothing of it may outlive a transaction, so it is not passed on.
ignore_startup_parameters = extra_float_digits,application_name,search_path,jit
# A database of a test that has ended gives its connections back soon.
server_idle_timeout = 30
# After a restart of PostgreSQL: try again at once, and let nobody wait longer than a Lambda lives.
server_login_retry = 1
query_wait_timeout = 20
log_connections = 0
log_disconnections = 0
"""


@dataclass(frozen=True, slots=True)
class Program:
    """The installed PgBouncer."""

    path: str
    version: tuple[int, ...]

    @property
    def keeps_named_statements(self) -> bool:
        """Whether clients may name their prepared statements."""
        return self.version >= NAMED_STATEMENTS_SINCE


def find() -> Program | None:
    """The system's PgBouncer, if it is installed."""
    path = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")
    if path is None:
        return None
    version = re.search(r"PgBouncer (\d+)\.(\d+)", _output([path, "--version"]) or "")
    return Program(path, tuple(map(int, version.groups())) if version else (0, 0))


def install(stack: Stack) -> str:
    """Install it where it is missing and that is allowed; say what was done or must be done."""
    if find() is not None:
        return ""
    installing = _installers()
    if not installing:
        return "PgBouncer is missing and we may not install it: connecting directly"
    log = stack.paths.log("install-pgbouncer")
    try:
        for argv in installing:
            commands.run(argv, log=log, timeout=300, env=dict(os.environ) | {"DEBIAN_FRONTEND": "noninteractive"})
    except StackError as error:
        return f"PgBouncer could not be installed ({error}, see {log}): connecting directly"
    return "installed" if find() else "PgBouncer is still missing after its installation: connecting directly"


def start(stack: Stack, name: str) -> str:
    """Start one of the two poolers, unless it runs; say so if there is none."""
    program = find()
    if program is None:
        stack.processes.stop(name)
        return "no PgBouncer: connecting directly"
    configuration = _write_configuration(stack, name)
    _allow_open_files()
    server = Server(
        name=name,
        argv=(program.path, str(configuration)),
        env=base_environment(),
        cwd=configuration.parent,
        log=stack.paths.log(name),
        user=stack.database_user,
        stop_signal=signal.SIGTERM,
        version=configuration.read_text() + (configuration.parent / "users.txt").read_text(),
    )
    stack.processes.ensure(server, lambda: is_listening(stack.port(name)), seconds=20)
    return ""


def _installers() -> list[list[str]]:
    """The commands that install PgBouncer here; none where that is not allowed without asking for a password."""
    if brew := shutil.which("brew"):
        return [[brew, "install", "--quiet", "pgbouncer"]]
    if not (apt := shutil.which("apt-get")):
        return []
    rights: list[str] = []
    if os.geteuid() != 0:
        sudo = shutil.which("sudo")
        if sudo is None or _output([sudo, "-n", "true"]) is None:
            return []
        rights = [sudo, "-n"]
    wanted = [[*rights, apt, "install", "-y", "--no-install-recommends", "pgbouncer"]]
    if not _known_to_apt():
        wanted.insert(0, [*rights, apt, "update"])
    if Path("/run/systemd/system").is_dir():
        # The package starts a service of its own; we run ours and leave none behind that nobody asked for.
        wanted.append([*rights, "systemctl", "disable", "--now", "pgbouncer"])
    return wanted


def _known_to_apt() -> bool:
    shown = _output(["apt-cache", "policy", "pgbouncer"]) or ""
    return "Candidate: " in shown and "Candidate: (none)" not in shown


def _output(argv: list[str]) -> str | None:
    """What a command prints; None if it fails."""
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    return ended.stdout if ended.returncode == 0 else None


def _write_configuration(stack: Stack, name: str) -> Path:
    """Write the ini file and the list of users, for the account that PgBouncer runs as."""
    directory = stack.paths.state / name
    directory.mkdir(parents=True, exist_ok=True)
    hand_over(directory, stack.database_user, 0o700)
    configuration, users = directory / "pgbouncer.ini", directory / "users.txt"
    credentials.write_private(users, _users(stack))
    credentials.write_private(
        configuration,
        CONFIGURATION.format(
            host=LOOPBACK,
            upstream=stack.port(UPSTREAM[name]),
            port=stack.port(name),
            users=users,
            superuser=credentials.SUPERUSER,
            pool_size=POOL_SIZE,
            clients=MAX_CLIENTS,
        ),
    )
    for file in (configuration, users):
        hand_over(file, stack.database_user, 0o600)
    return configuration


def _users(stack: Stack) -> str:
    """PostgreSQL's own SCRAM secrets: with these PgBouncer passes a client's proof on and needs no password."""
    url = stack.url(credentials.SUPERUSER, PRIMARY, "postgres")
    roles = [credentials.SUPERUSER, *credentials.ROLES]
    statement = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname = ANY($1) ORDER BY rolname"
    return "".join(f'"{role}" "{secret}"\n' for role, secret in sql.fetch(url, statement, roles))


def _allow_open_files() -> None:
    """Raise our own soft limit, which the servers inherit, as far as we may and they need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
