"""Settings: complete, or a sentence that says what is missing."""

import json
from dataclasses import fields
from pathlib import Path

import pytest
from guilder.config import Budgets, ConfigurationError, Settings

CELL = {"name": "c1", "first_slot": 0, "last_slot": 1023, "writer": "w", "reader": "r", "cache": "c"}
COMPLETE = {
    "GUILDER_ENV": "local",
    "GUILDER_CELLS": json.dumps([CELL]),
    "GUILDER_DATABASE_AUTH": "passfile",
    "GUILDER_STATEMENT_CACHE_SIZE": "0",
}


def test_complete() -> None:
    settings = Settings.from_environment(COMPLETE)
    assert settings.cell_of(0) == settings.cell_of(1023)
    assert settings.simulator_url is None
    assert (settings.processor_secrets_file, settings.processor_secrets_arn) == (None, None)


@pytest.mark.parametrize("name", list(COMPLETE))
def test_each_one_is_required_and_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Settings.from_environment({key: value for key, value in COMPLETE.items() if key != name})


@pytest.mark.parametrize(
    "spans",
    [[(0, 500)], [(1, 1023)], [(0, 500), (502, 1023)], [(0, 600), (500, 1023)], [(0, 1024)], []],
)
def test_cells_cover_each_slot_once(spans: list[tuple[int, int]]) -> None:
    cells = [{**CELL, "name": f"c{n}", "first_slot": first, "last_slot": last} for n, (first, last) in enumerate(spans)]
    with pytest.raises(ConfigurationError, match="GUILDER_CELLS"):
        Settings.from_environment({**COMPLETE, "GUILDER_CELLS": json.dumps(cells)})


def test_each_slot_goes_to_its_cell() -> None:
    cells = [{**CELL, "name": "b", "first_slot": 512}, {**CELL, "name": "a", "last_slot": 511}]
    settings = Settings.from_environment({**COMPLETE, "GUILDER_CELLS": json.dumps(cells)})
    assert [settings.cell_of(slot).name for slot in (0, 511, 512, 1023)] == ["a", "a", "b", "b"]


@pytest.mark.parametrize("text", ["[", "{}x", '{"nonsense": 1}'])
def test_malformed_budgets_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="GUILDER_BUDGETS"):
        Settings.from_environment({**COMPLETE, "GUILDER_BUDGETS": text})


def test_the_budgets_fit_into_each_other() -> None:
    """A processor that stays silent leaves time to write so down within the Lambda's 25 s, and a lease outlives its owner."""
    budgets = Budgets()
    assert budgets.wait_for_first + budgets.processor + budgets.statement + 4 * budgets.cache < 25
    assert budgets.lease > 25
    assert budgets.not_found_final >= budgets.processor + 60


def test_only_config_reads_the_environment() -> None:
    package = Path(__file__).parents[2] / "layers/guilder/python/guilder"
    readers = [
        path.name for path in package.rglob("*.py") if "os.environ" in path.read_text() or "getenv" in path.read_text()
    ]
    assert readers == ["config.py"]
    assert {field.name for field in fields(Settings)} >= {"cells", "database_auth"}
