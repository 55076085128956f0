"""The simulator is evidence only as long as it shares nothing with Guilder."""

from __future__ import annotations

import subprocess
import sys

IMPORT = """
import sys
sys.path.append(sys.argv[1])
import simulator.app, handler
print([name for name in sys.modules if name.split(".")[0] == "guilder"])
"""


def test_it_imports_nothing_of_guilder() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", IMPORT, "functions/simulator"], capture_output=True, text=True, timeout=30, check=True
    )
    assert loaded.stdout.strip() == "[]"
