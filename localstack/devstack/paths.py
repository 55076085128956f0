"""Where everything lies. One directory, `.local/`, holds all that the local stack makes."""

import os
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

STATE_VARIABLE = "GUILDER_LOCAL_DIR"
"""Names another state directory, for a second stack beside the first (tests that kill servers use one)."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The places below one state directory.

    What depends on the machine and the sources alone (virtual environments, the CDK's command line, built layers) is
    shared by all state directories of a clone and lies below `tools`.
    """

    state: Path
    repository: Path = REPOSITORY

    @classmethod
    def default(cls) -> "Paths":
        """The directory that GUILDER_LOCAL_DIR names, or `.local/` in the repository."""
        return cls(Path(os.environ.get(STATE_VARIABLE) or REPOSITORY / ".local").absolute())

    @property
    def tools(self) -> Path:
        """Shared by every stack of this clone."""
        return self.repository / ".local"

    @property
    def data(self) -> Path:
        """What `make down` keeps and `make down CLEAN=1` deletes: the databases and their passwords."""
        return self.state / "data"

    @property
    def logs(self) -> Path:
        """One file a service and one a command."""
        return self.state / "logs"

    @property
    def run(self) -> Path:
        """One record a running process, and the locks."""
        return self.state / "run"

    @property
    def ports(self) -> Path:
        """The ports chosen at the first start."""
        return self.state / "ports.json"

    @property
    def pgpass(self) -> Path:
        """PostgreSQL's password file: libpq and asyncpg read it through PGPASSFILE."""
        return self.state / "pgpass"

    @property
    def processor_secrets(self) -> Path:
        """What the functions share with the card processors; kept with the data, since processors outlive a deployment."""
        return self.data / "processor-secrets.json"

    @property
    def outputs(self) -> Path:
        """Addresses, the demo key and the database passwords, for people and for tests."""
        return self.state / "outputs.json"

    @property
    def assembly(self) -> Path:
        """What `cdk synth` wrote for the local environment."""
        return self.state / "cdk.out"

    @property
    def venvs(self) -> Path:
        """Virtual environments beside the developer's own."""
        return self.tools / "venvs"

    @property
    def npm(self) -> Path:
        """The CDK's command line."""
        return self.tools / "npm"

    def log(self, name: str) -> Path:
        """The log file of a service or a command; its directory exists afterwards."""
        self.logs.mkdir(parents=True, exist_ok=True)
        return self.logs / f"{name}.log"

    def prepare(self) -> None:
        """Make the directories that everything else takes for granted."""
        for directory in (self.state, self.data, self.logs, self.run):
            directory.mkdir(parents=True, exist_ok=True)
