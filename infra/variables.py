"""The environment variables of the functions: what `guilder.config` reads, and nothing more."""

from collections.abc import Sequence
from dataclasses import dataclass

from constructs import Construct

from infra.cells import CellAddresses, as_variable
from infra.environments import Environment

NAMED_STATEMENTS = "256"  # RDS Proxy does not pin on them; PgBouncer before 1.21 cannot have any


@dataclass(frozen=True, slots=True)
class Variables:
    """What all functions of an environment know."""

    environment: Environment
    cells: Sequence[CellAddresses]
    simulator_url: str | None
    statement_cache_size: str = NAMED_STATEMENTS
    processor_secrets_file: str | None = None  # LocalStack: as the passwords
    pgpass_file: str | None = None  # LocalStack: where the passwords are; AWS has IAM tokens instead

    def of_functions(self) -> dict[str, str]:
        """For a function that serves requests."""
        return self._common() | {"GUILDER_CELLS": as_variable(self.cells)}

    def of_notifications(self, processor_secrets_arn: str | None) -> dict[str, str]:
        """For the function that processors report to: where their secrets are as well, a file or a secret in AWS."""
        places = {
            "GUILDER_PROCESSOR_SECRETS_FILE": self.processor_secrets_file,
            "GUILDER_PROCESSOR_SECRETS_ARN": processor_secrets_arn,
        }
        return self.of_functions() | {name: value for name, value in places.items() if value is not None}

    def of_migrate(self, admin_secret_arn: str | None) -> dict[str, str]:
        """For the migrate function: the clusters themselves as well, and the administrator's secret in AWS."""
        secret = {"GUILDER_ADMIN_SECRET_ARN": admin_secret_arn} if admin_secret_arn else {}
        return self._common() | {"GUILDER_CELLS": as_variable(self.cells, with_direct=True)} | secret

    def _common(self) -> dict[str, str]:
        values = {
            "GUILDER_ENV": self.environment.name,
            "GUILDER_DATABASE_AUTH": "iam" if self.environment.cloud else "passfile",
            "GUILDER_STATEMENT_CACHE_SIZE": self.statement_cache_size,
            "GUILDER_SIMULATOR_URL": self.simulator_url,
            "GUILDER_LOG_LEVEL": "INFO",
            "PGPASSFILE": self.pgpass_file,
        }
        return {name: value for name, value in values.items() if value is not None}


def from_context(scope: Construct, environment: Environment, cells: Sequence[CellAddresses]) -> Variables:
    """What the local stack passes with `-c`: it knows where it started the services.

    Raises:
        ValueError: a value is missing.
    """

    def value(name: str) -> str:
        found = scope.node.try_get_context(name)
        if found is None:
            raise ValueError(f"env=local needs -c {name}=...")
        return str(found)

    return Variables(
        environment,
        cells,
        simulator_url=value("simulator_url"),
        statement_cache_size=value("statement_cache_size"),
        processor_secrets_file=value("processor_secrets_file"),
        pgpass_file=value("pgpass_file"),
    )
