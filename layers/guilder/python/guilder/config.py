"""Settings, read once from the environment. The only reader of ``os.environ`` in the package.

There is no default for an address or a secret: a function that lacks one stops at start, and says which.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from guilder.ids import SLOTS


class ConfigurationError(RuntimeError):
    """The environment is incomplete or contradicts itself. The message names the variable and what it should hold."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One Aurora cluster with its proxy and its cache, and the slots it serves (both ends included)."""

    name: str
    first_slot: int
    last_slot: int
    writer: str
    reader: str
    cache: str
    direct: str | None = None
    """The cluster itself, past the proxy, as its administrator: only the migrate function has it."""


@dataclass(frozen=True, slots=True)
class Budgets:
    """Time limits in seconds. API Gateway gives up at 29 s and the Lambda ends at 25 s, so everything a request waits for fits below.

    ``processor`` < Lambda's time-out, so that a silent processor still leaves time to write down that the outcome is unknown.
    ``lease`` > Lambda's time-out, so that a lease never ends while its owner can still be running.
    ``not_found_final`` is counted from the start of the operation: a processor that has not seen it by then never will.
    """

    processor: float = 15.0
    lease: float = 30.0
    wait_for_first: float = 2.0
    statement: float = 5.0
    connect: float = 3.0
    cache: float = 0.25
    not_found_final: float = 75.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What one Lambda environment knows about the world."""

    environment: str
    cells: tuple[Cell, ...]
    database_auth: str
    statement_cache_size: int
    simulator_url: str | None
    admin_secret_arn: str | None
    processor_secrets_file: str | None
    processor_secrets_arn: str | None
    region: str
    log_level: str
    connections_per_endpoint: int = 1
    budgets: Budgets = Budgets()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Build the settings.

        Raises:
            ConfigurationError: a variable is missing or malformed.
        """
        env = os.environ if environ is None else environ
        return cls(
            environment=_choice(env, "GUILDER_ENV", ("local", "dev", "prod")),
            cells=_cells(_required(env, "GUILDER_CELLS")),
            database_auth=_choice(env, "GUILDER_DATABASE_AUTH", ("passfile", "iam")),
            statement_cache_size=_whole_number(env, "GUILDER_STATEMENT_CACHE_SIZE"),
            simulator_url=env.get("GUILDER_SIMULATOR_URL") or None,
            admin_secret_arn=env.get("GUILDER_ADMIN_SECRET_ARN") or None,
            processor_secrets_file=env.get("GUILDER_PROCESSOR_SECRETS_FILE") or None,
            processor_secrets_arn=env.get("GUILDER_PROCESSOR_SECRETS_ARN") or None,
            region=env.get("AWS_REGION", ""),
            log_level=env.get("GUILDER_LOG_LEVEL", "INFO"),
            budgets=_budgets(env),
        )

    def cell_of(self, slot: int) -> Cell:
        """Find the cell that serves a slot (0 to 1023)."""
        for cell in self.cells:
            if cell.first_slot <= slot <= cell.last_slot:
                return cell
        raise ConfigurationError(f"GUILDER_CELLS leaves slot {slot} without a cell")


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise ConfigurationError(f"set {name}: it has no default")
    return value


def _choice(env: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = _required(env, name)
    if value not in choices:
        raise ConfigurationError(f"{name} is one of {', '.join(choices)}")
    return value


def _whole_number(env: Mapping[str, str], name: str) -> int:
    value = _required(env, name)
    if not value.isdecimal():
        raise ConfigurationError(f"{name} is a whole number")
    return int(value)


def _budgets(env: Mapping[str, str]) -> Budgets:
    """Take the defaults; ``GUILDER_BUDGETS`` (a JSON object of seconds by name) replaces single ones, as tests do."""
    try:
        changes: dict[str, float] = json.loads(env.get("GUILDER_BUDGETS") or "{}")
        return Budgets(**changes)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            "GUILDER_BUDGETS is a JSON object of the names in config.Budgets and seconds"
        ) from error


def _cells(text: str) -> tuple[Cell, ...]:
    try:
        rows: list[dict[str, Any]] = json.loads(text)
        cells = tuple(sorted((Cell(**row) for row in rows), key=lambda cell: cell.first_slot))
    except (TypeError, ValueError) as error:
        raise ConfigurationError("GUILDER_CELLS is a JSON list of the members of config.Cell") from error
    expected = 0
    for cell in cells:
        if cell.first_slot != expected or cell.last_slot < cell.first_slot:
            raise ConfigurationError(
                f"GUILDER_CELLS must cover slots 0 to {SLOTS - 1} once each; look at cell {cell.name}"
            )
        expected = cell.last_slot + 1
    if expected != SLOTS:
        raise ConfigurationError(
            f"GUILDER_CELLS must cover slots 0 to {SLOTS - 1}; the last one covered is {expected - 1}"
        )
    return cells
