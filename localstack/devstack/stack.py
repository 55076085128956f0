"""What the services of one state directory share: places, ports, passwords and the processes that run."""

import threading
from functools import cached_property

from devstack import credentials
from devstack.paths import Paths
from devstack.ports import LOOPBACK, Ports
from devstack.processes import Processes
from devstack.system_user import unprivileged_user


class Stack:
    """One local stack. Cheap to make; nothing is started by it."""

    def __init__(self, paths: Paths | None = None) -> None:
        self.paths = paths or Paths.default()
        self.paths.prepare()
        self.processes = Processes(self.paths.run)
        self._ports = Ports(self.paths.ports)
        self._chosen: dict[str, int] = {}
        self._choosing = threading.Lock()

    def port(self, service: str) -> int:
        """The service's port; it stays the same for as long as this object lives."""
        with self._choosing:
            if service not in self._chosen:
                self._chosen[service] = self._ports.of(
                    service, is_ours=lambda port: self.processes.holds(service, port)
                )
            return self._chosen[service]

    @cached_property
    def passwords(self) -> dict[str, str]:
        """The password of each database role."""
        return credentials.load(self.paths.data / "passwords.json")

    @cached_property
    def processor_secrets(self) -> dict[str, dict[str, str]]:
        """What each card processor signs its notifications with."""
        return credentials.load_processor_secrets(self.paths.processor_secrets)

    @cached_property
    def database_user(self) -> str | None:
        """The account that PostgreSQL and PgBouncer run as, where it is not our own."""
        return unprivileged_user()

    def url(self, role: str, service: str, database: str, *, password: bool = True) -> str:
        """The address of a database on one of the services that speak PostgreSQL's protocol."""
        secret = f":{self.passwords[role]}" if password else ""
        return f"postgresql://{role}{secret}@{LOOPBACK}:{self.port(service)}/{database}"

    def write_password_file(self) -> None:
        """Write `.local/pgpass`."""
        credentials.write_private(self.paths.pgpass, credentials.password_file(self.passwords))
