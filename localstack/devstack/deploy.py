"""Brings the CDK app into LocalStack: layers, synthesis, deployment. What has not changed is not done again.

LocalStack forgets everything when it stops, and updating a deployed stack in it can fail. So a deployment goes into a
fresh LocalStack or not at all: a change of the sources or the addresses restarts it, which takes seconds.
"""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx

from devstack import api, aws, commands, credentials, localstack_server, node, services, simulator, valkey
from devstack.api import ENVIRONMENT
from devstack.content import Stamp, content_hash
from devstack.localstack_server import LOCALSTACK
from devstack.postgres import PRIMARY
from devstack.stack import Stack

ASSETS_BUCKET = "guilder-local-assets"
"""All the bootstrapping that the app needs here: it deploys with the caller's credentials (infra/stack.py)."""

NOT_DEPLOYED = frozenset({"simulator"})
"""Functions that are a process of this machine instead."""

LAST_SLOT = 1023

ANSWER_SECONDS = 15.0
"""A function that has not run yet takes a second or two to start."""


def context(stack: Stack) -> dict[str, str]:
    """What the CDK app is told with `-c`: where the services are. No password is in it."""
    described = services.describe(stack)
    direct = stack.url(credentials.SUPERUSER, PRIMARY, "guilder", password=False)
    writer, reader = services.app_endpoints(stack, "guilder")
    cell = {
        "name": "c1",
        "first_slot": 0,
        "last_slot": LAST_SLOT,
        "writer": writer,
        "reader": reader,
        "cache": valkey.url(stack),
        "direct": direct,
    }
    return {
        "env": ENVIRONMENT,
        "cells": json.dumps([cell]),
        "simulator_url": simulator.url(stack),
        "pgpass_file": str(stack.paths.pgpass),
        "processor_secrets_file": str(stack.paths.processor_secrets),
        "statement_cache_size": str(described.statement_cache_size),
        "dependencies_layer": str(_dependencies_layer(stack)),
    }


def build_layer(stack: Stack) -> None:
    """Build the dependencies' layer; the builder itself knows whether it has done so before."""
    script = stack.paths.repository / "layers" / "dependencies" / "build.py"
    requirements = stack.paths.repository / "layers" / "dependencies" / "requirements.txt"
    wanted = content_hash([script, requirements], sys.version)
    stamp = Stamp(_dependencies_layer(stack).with_suffix(".made-from"))
    if stamp.is_current(wanted) and _dependencies_layer(stack).is_dir():
        return
    stamp.clear()
    commands.run(
        [sys.executable, script, "--layer", "dependencies", "--platform", "host", "--out", _dependencies_layer(stack)],
        log=stack.paths.log("layer"),
        timeout=600,
        hint="Is the package index within reach?",
    )
    stamp.set(wanted)


@dataclass(frozen=True, slots=True)
class Deployment:
    """The deployment of today's sources and addresses into one LocalStack."""

    stack: Stack
    fingerprint: str

    @classmethod
    def of(cls, stack: Stack) -> "Deployment":
        """What would be deployed now."""
        root = stack.paths.repository
        functions = [folder for folder in sorted((root / "functions").iterdir()) if folder.name not in NOT_DEPLOYED]
        sources = [root / "infra", *functions, root / "layers", root / "cdk.json", root / "requirements" / "dev.txt"]
        return cls(stack, content_hash(sources, json.dumps(context(stack))))

    def start_localstack(self) -> str:
        """Start LocalStack, anew if something else, or half of it, is deployed in the one that runs."""
        if self._begun.is_current(self._instance) and not (self.is_done() and self._answers()):
            localstack_server.stop(self.stack.processes)
        running = localstack_server.start(self.stack.paths, self.stack.processes, self.stack.port(LOCALSTACK))
        return "started" if running.fresh else "runs"

    def synthesise(self) -> str:
        """Write the CloudFormation templates, unless those that are there are of the same sources."""
        assembly = self.stack.paths.assembly
        stamp = Stamp(assembly / "made-from")
        if stamp.is_current(self.fingerprint):
            return "unchanged"
        shutil.rmtree(assembly, ignore_errors=True)
        words = [word for item in context(self.stack).items() for word in ("-c", "=".join(item))]
        commands.run(
            [sys.executable, "-m", "infra.synth", "--env", ENVIRONMENT, "--out", assembly, *words],
            log=self.stack.paths.log("synth"),
            timeout=180,
        )
        stamp.set(self.fingerprint)
        return ""

    def deploy(self) -> str:
        """Deploy, unless exactly this is deployed in the LocalStack that runs."""
        if self.is_done():
            return "unchanged"
        self._begun.set(self._instance)
        aws.s3_client(self.stack).create_bucket(Bucket=ASSETS_BUCKET)
        commands.run(
            [*node.cdk(self.stack), *self._arguments()],
            log=self.stack.paths.log("deploy"),
            timeout=300,
            env=aws.environment(self.stack) | {"CDK_HOME": str(self.stack.paths.state / "cdk-home")},
            hint=f"LocalStack's log may say more: {self.stack.paths.log(LOCALSTACK)}",
        )
        self._done.set(self._instance + self.fingerprint)
        return ""

    def is_done(self) -> bool:
        """Whether the running LocalStack has exactly this in it."""
        return bool(self._instance) and self._done.is_current(self._instance + self.fingerprint)

    def _answers(self) -> bool:
        """Whether the API that was deployed is still there: it gives its description without asking any other service."""
        try:
            return httpx.get(f"{api.url(self.stack)}/openapi.json", timeout=ANSWER_SECONDS).is_success
        except httpx.HTTPError:
            return False

    def _arguments(self) -> list[str | Path]:
        return [
            *("deploy", "--all", "--app", self.stack.paths.assembly),
            *("--require-approval", "never", "--method", "direct", "--concurrency", "4"),
            *("--progress", "events", "--no-notices", "--no-version-reporting", "--no-path-metadata", "--ci"),
        ]

    @property
    def _instance(self) -> str:
        """Names the LocalStack process that runs now; empty if none does."""
        record = self.stack.processes.running(LOCALSTACK)
        return record.identity if record else ""

    @property
    def _begun(self) -> Stamp:
        return Stamp(self.stack.paths.run / "deployment.begun")

    @property
    def _done(self) -> Stamp:
        return Stamp(self.stack.paths.run / "deployment.done")


def _dependencies_layer(stack: Stack) -> Path:
    return stack.paths.tools / "build" / "dependencies"
