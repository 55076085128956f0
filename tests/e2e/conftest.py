"""The stack that `make up` leaves running, as its users see it: addresses from `.local/outputs.json`, everything over HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.sql import Sql

OUTPUTS = Path(__file__).parents[2] / ".local" / "outputs.json"


@pytest.fixture(scope="session")
def outputs() -> dict[str, Any]:
    """What `make up` wrote."""
    assert OUTPUTS.exists(), "run `make up` first (`make test` and `make test-e2e` do)"
    found: dict[str, Any] = json.loads(OUTPUTS.read_text())
    return found


@pytest.fixture(scope="session")
def api(outputs: dict[str, Any]) -> Iterator[httpx.Client]:
    """The API through API Gateway, with the demo merchant's key."""
    headers = {"Authorization": f"Bearer {outputs['api_key']}"}
    with httpx.Client(base_url=outputs["api_url"], headers=headers, timeout=40) as client:
        yield client


@pytest.fixture(scope="session")
def simulator(outputs: dict[str, Any]) -> Iterator[httpx.Client]:
    """The processor simulator."""
    with httpx.Client(base_url=outputs["simulator_url"], timeout=10) as client:
        yield client


@pytest.fixture(scope="session")
def books(outputs: dict[str, Any]) -> Iterator[Sql]:
    """The database behind it all."""
    with Sql(outputs["database_url"]) as sql:
        yield sql
