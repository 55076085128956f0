"""Which stacks there are, what is in them and what is not, and that synthesis needs neither an account nor Node.js."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from infra import environments
from infra.environments import SLOTS, Cell
from infra.stack import LOCAL_ASSET_BUCKET
from tests.infra.conftest import assembly
from tests.infra.templates import Assembly

ROOT = Path(__file__).resolve().parents[2]
KINDS = ["network", "data-c1", "api", "workers", "observability"]

# LocalStack's open version has none of these, or nothing behind them: they "deploy" and do nothing.
NOT_IN_LOCALSTACK = (
    "AWS::RDS::",
    "AWS::ElastiCache::",
    "AWS::WAFv2::",
    "AWS::CodeDeploy::",
    "AWS::ApiGatewayV2::",
    "AWS::EC2::",
)


def test_prod_and_dev_are_the_five_stacks(cloud: Assembly) -> None:
    assert sorted(cloud.templates) == sorted(KINDS)


def test_local_is_only_what_localstack_can_run(local: Assembly) -> None:
    assert sorted(local.templates) == ["api", "workers"]
    assert [kind for kind in local.types() if kind.startswith(NOT_IN_LOCALSTACK)] == []


def test_local_stacks_share_nothing_so_that_they_deploy_side_by_side(local: Assembly) -> None:
    assert "Fn::ImportValue" not in json.dumps(local.templates)


def test_local_needs_one_bucket_and_no_bootstrapped_roles(local: Assembly) -> None:
    manifest = json.loads((local.folder / "manifest.json").read_text())
    stacks = [a["properties"] for a in manifest["artifacts"].values() if a["type"] == "aws:cloudformation:stack"]
    assert not any("assumeRoleArn" in stack or "requiresBootstrapStackVersion" in stack for stack in stacks)
    for path in local.folder.glob("*.assets.json"):
        for asset in json.loads(path.read_text())["files"].values():
            for destination in asset["destinations"].values():
                assert destination["bucketName"] == LOCAL_ASSET_BUCKET
                assert "assumeRoleArn" not in destination


def test_no_custom_resources_anywhere(any_environment: Assembly) -> None:
    custom = [
        kind for kind in any_environment.types() if kind.startswith(("Custom::", "AWS::CloudFormation::CustomResource"))
    ]
    assert custom == []


def test_the_simulator_is_in_dev_and_never_in_prod(dev: Assembly, prod: Assembly) -> None:
    assert "simulator" in dev.functions()
    assert "simulator" not in json.dumps(prod.templates).lower()


def test_prod_cannot_be_deleted_by_mistake(prod: Assembly, dev: Assembly) -> None:
    def protected(assembly: Assembly) -> set[bool]:
        manifest = json.loads((assembly.folder / "manifest.json").read_text())
        artifacts = [a["properties"] for a in manifest["artifacts"].values() if a["type"] == "aws:cloudformation:stack"]
        return {properties.get("terminationProtection", False) for properties in artifacts}

    assert protected(prod) == {True}
    assert protected(dev) == {False}


@pytest.mark.timeout(330)
def test_prod_synthesises_without_account_or_node(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    # What says how the network is reached stays (certificates, proxies); accounts, and where programs are, do not.
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_", "JSII_", "NODE_"))
    }
    clean |= {"PATH": str(empty), "UV": _uv()}
    done = subprocess.run(
        [sys.executable, "-m", "infra.synth", "--env", "prod", "--out", str(tmp_path / "out")],
        cwd=ROOT, env=clean, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert all(f"guilder-prod-{kind}:" in done.stdout for kind in KINDS)


def _uv() -> str:
    from layers.dependencies.build import uv

    return str(uv())


NEEDED = ["simulator_url", "processor_secrets_file", "pgpass_file", "statement_cache_size"]


@pytest.mark.parametrize("missing", ["cells", *NEEDED])
def test_local_says_which_address_is_missing(tmp_path: Path, missing: str) -> None:
    context = {"env": "local", "cells": "[]"} | dict.fromkeys(NEEDED, "0")
    del context[missing]
    with pytest.raises(ValueError, match=f"-c {missing}="):
        assembly(tmp_path, context)


def test_an_unknown_environment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one of local, dev, prod"):
        assembly(tmp_path, {"env": "staging"})


@pytest.mark.parametrize(
    "cells",
    [
        (),
        (Cell("c1", 0, 1022),),
        (Cell("c1", 1, 1023),),
        (Cell("c1", 0, 511), Cell("c2", 511, 1023)),
        (Cell("c1", 0, 510), Cell("c2", 512, 1023)),
        (Cell("c2", 512, 1023), Cell("c1", 0, 511)),
    ],
)
def test_every_slot_has_one_cell(cells: tuple[Cell, ...]) -> None:
    size = environments.prod(None, None).cloud
    assert size is not None
    with pytest.raises(ValueError, match=f"slots 0 to {SLOTS - 1}"):
        replace(size, cells=cells)
