"""A simulator of a test's own: its settings, its database, and where its notifications go."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from devstack.services import Services

from tests.simulator.service import RunningSimulator, running
from tests.support.sql import Sql


@contextmanager
def own_simulator(
    services: Services, log: Path, notification_url: str, secret: str, **variables: str
) -> Iterator[RunningSimulator]:
    """A simulator that runs while the block does, with short waits (``tests.simulator.service.QUICK``) unless ``variables`` say else."""
    os.environ["PGPASSFILE"] = str(services.pgpass)
    server = urlsplit(services.superuser_url)
    name = f"simulator_test_{uuid4().hex}"
    notifications = {"SIMULATOR_NOTIFICATION_URL": notification_url, "SIMULATOR_NOTIFICATION_SECRET": secret}
    with Sql(services.superuser_url) as admin:
        admin.script(f"CREATE DATABASE {name} OWNER simulator")
        try:
            url = f"postgresql://simulator@{server.hostname}:{server.port}/{name}"
            with running(url, log, **notifications, **variables) as simulator:
                yield simulator
        finally:
            admin.script(f"DROP DATABASE {name} WITH (FORCE)")
