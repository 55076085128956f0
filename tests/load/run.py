"""`make bench`: every benchmark, one after the other, each a process of its own; the figures end in `.local/bench.json`."""

import json
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / ".local" / "bench.json"
BENCHMARKS = {
    "gateway": (
        "tests/load/gateway_latency.py",
        "a warm call through API Gateway, and what the process executor adds to it",
    ),
    "hot merchant": (
        "tests/load/hot_merchant.py",
        "creates per second on one merchant against 64",
    ),
}
LIMIT_S = 900


def main() -> int:
    """Run them; a benchmark that fails fails the whole."""
    console = Console()
    failed = []
    for name, (script, what) in BENCHMARKS.items():
        console.rule(f"{name}: {what}")
        if subprocess.run([sys.executable, script], cwd=ROOT, timeout=LIMIT_S, check=False).returncode:
            failed.append(name)
    table = Table("name", "value", "unit", "conditions", title=str(RESULTS.relative_to(ROOT)))
    for row in json.loads(RESULTS.read_text()) if RESULTS.exists() else []:
        table.add_row(row["name"], f"{row['value']:g}", row["unit"], row["conditions"])
    console.print(table)
    if failed:
        console.print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
