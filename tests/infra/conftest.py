"""Each environment synthesised once, in one process: loading the CDK takes longer than using it."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from infra.synth import synthesise
from tests.infra.templates import Assembly

LOCAL_CELL = {
    "name": "c1",
    "first_slot": 0,
    "last_slot": 1023,
    "writer": "postgresql://guilder_app@127.0.0.1:6432/guilder",
    "reader": "postgresql://guilder_app@127.0.0.1:6433/guilder",
    "cache": "redis://127.0.0.1:6379/0",
    "direct": "postgresql://postgres@127.0.0.1:5432/guilder",
}
CONTEXT = {
    "local": {
        "cells": json.dumps([LOCAL_CELL]),
        "simulator_url": "http://127.0.0.1:9000",
        "processor_secrets_file": "/home/somebody/processor-secrets.json",
        "pgpass_file": "/home/somebody/.pgpass",
        "statement_cache_size": "0",
    },
    "dev": {},
    "prod": {},
}


@pytest.fixture(scope="session")
def assemblies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Assembly]:
    """The templates of local, dev and prod; their layers are a test of their own, so they are not built for these."""
    folder = tmp_path_factory.mktemp("assemblies")
    return {
        name: assembly(folder / name, {**context, "env": name, "aws:cdk:bundling-stacks": []})
        for name, context in CONTEXT.items()
    }


def assembly(out: Path, context: Mapping[str, object]) -> Assembly:
    return Assembly.read(Path(synthesise(out, context).directory))


@pytest.fixture(scope="session")
def local(assemblies: dict[str, Assembly]) -> Assembly:
    return assemblies["local"]


@pytest.fixture(scope="session")
def dev(assemblies: dict[str, Assembly]) -> Assembly:
    return assemblies["dev"]


@pytest.fixture(scope="session")
def prod(assemblies: dict[str, Assembly]) -> Assembly:
    return assemblies["prod"]


@pytest.fixture(scope="session", params=["dev", "prod"])
def cloud(request: pytest.FixtureRequest, assemblies: dict[str, Assembly]) -> Assembly:
    """Each environment in AWS."""
    return assemblies[request.param]


@pytest.fixture(scope="session", params=["local", "dev", "prod"])
def any_environment(request: pytest.FixtureRequest, assemblies: dict[str, Assembly]) -> Assembly:
    return assemblies[request.param]
