"""Synthesise an environment without the CDK command line, Node.js on the path or an AWS account.

`python -m infra.synth --env prod` writes cdk.out/prod. `--env local` also needs to be told, with `-c NAME=VALUE`, where the
local services are: cells, simulator_url, processor_secrets_file, pgpass_file and statement_cache_size.
"""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import cx_api

from infra.app import build
from infra.environments import NAMES

ROOT = Path(__file__).resolve().parents[1]


def synthesise(out: Path, context: Mapping[str, Any]) -> cx_api.CloudAssembly:
    """Write the templates and assets into a folder, with cdk.json's context and this one, as the command line would."""
    settings = json.loads((ROOT / "cdk.json").read_text())["context"]
    app = cdk.App(outdir=str(out), context={**settings, **context}, analytics_reporting=False)
    build(app)
    return app.synth()


def main() -> None:
    """Synthesise one environment and list its stacks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", choices=NAMES, default="prod")
    parser.add_argument("--out", type=Path, help="default: cdk.out/<env>")
    parser.add_argument("-c", "--context", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    started = time.monotonic()
    context = dict(item.split("=", 1) for item in arguments.context) | {"env": arguments.env}
    assembly = synthesise(arguments.out or ROOT / "cdk.out" / arguments.env, context)
    for stack in assembly.stacks:
        print(f"{stack.stack_name}: {len(stack.template['Resources'])} resources")
    print(f"{assembly.directory}, in {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
