"""What the terminal shows: the steps with a spinner and their time, or plain lines where there is no terminal."""

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from devstack.demo import Exchange, curl
from devstack.errors import StackError
from devstack.outputs import Outputs

TAIL_LINES = 25
REFRESH_PER_SECOND = 10
NAME_WIDTH = 26

ANYWAY = (
    "run it again: it goes on from here. If it fails again, `make down CLEAN=1` deletes the data, for a fresh start."
)


class Progress:
    """Shows the steps as they run. Use it as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._running: dict[str, tuple[float, Spinner]] = {}
        self._lock = threading.Lock()
        self._live = Live(
            get_renderable=self._rows,
            console=console,
            refresh_per_second=REFRESH_PER_SECOND,
            transient=True,
        )

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Leave the finished steps on the screen."""
        if self._console.is_terminal:
            self._live.stop()

    def started(self, name: str) -> None:
        """A step begins."""
        with self._lock:
            self._running[name] = (time.monotonic(), Spinner("dots", style="cyan"))

    def finished(self, name: str, seconds: float, remark: str) -> None:
        """A step succeeded."""
        self._end(name, "[green]ok[/]    ", seconds, remark)

    def failed(self, name: str, seconds: float) -> None:
        """A step failed."""
        self._end(name, "[bold red]FAILED[/]", seconds, "")

    def _end(self, name: str, mark: str, seconds: float, remark: str) -> None:
        with self._lock:
            self._running.pop(name, None)
        self._console.print(f"{mark} {name:{NAME_WIDTH}} {seconds:6.1f} s  [dim]{remark}[/]", highlight=False)

    def _rows(self) -> Group:
        """The steps under way."""
        with self._lock:
            running = list(self._running.items())
        rows = []
        for name, (began, spinner) in running:
            row = Table.grid(padding=(0, 1))
            row.add_row(spinner, Text(f"     {name:{NAME_WIDTH}} {time.monotonic() - began:6.1f} s"))
            rows.append(row)
        return Group(*rows)


def show_payment(console: Console, exchange: Exchange, outputs: Outputs, outputs_file: Path) -> None:
    """The request, the answer, the ledger, the charge, and where to go on from here."""
    console.rule("A payment through API Gateway, Lambda, PostgreSQL and Valkey")
    _heading(console, "Request")
    console.print(f"POST {exchange.url}", highlight=False, soft_wrap=True)
    for name, value in exchange.headers.items():
        console.print(f"{name}: {value}", highlight=False, soft_wrap=True)
    _show_json(console, exchange.body)
    _heading(console, f"Response {exchange.status}")
    _show_json(console, exchange.payment)
    _heading(console, "Ledger transfers")
    console.print(_table(exchange.transfers))
    _heading(console, "Charge at the processor's simulator")
    console.print(_table(exchange.charges, ("id", "amount", "currency", "status", "amount_captured")))
    console.rule("Guilder is running")
    for name, value in (
        ("API documentation", outputs.docs_url),
        ("Simulator's charges", f"{outputs.simulator_url}/charges"),
        ("API key", outputs.api_key),
        ("Everything else", str(outputs_file)),
        ("Logs", outputs.log_dir),
    ):
        console.print(f"{name:20} {value}", highlight=False, soft_wrap=True)
    _heading(console, "Another payment, to copy")
    # Written past rich: it must not break the line, or it cannot be copied.
    console.file.write(f"{curl(exchange)}\n")
    console.file.flush()


def show_failure(console: Console, what: str, error: StackError) -> None:
    """Which step, why, the end of its log, and what to do."""
    console.print(f"\n[bold red]{what}[/]: {error}", highlight=False)
    if error.log is not None and error.log.exists():
        console.print(f"[dim]the end of {error.log}:[/]", highlight=False)
        lines = error.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        console.print(Text("\n".join(f"  {line}" for line in lines)))
    console.print(f"[bold]What to do:[/] {error.hint or ANYWAY}", highlight=False)


def terminal() -> Console:
    """The console on standard output."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else 140)


def _heading(console: Console, text: str) -> None:
    console.print(f"\n[bold]{text}[/]")


def _show_json(console: Console, value: dict[str, Any]) -> None:
    console.print(Syntax(json.dumps(value, indent=2), "json", background_color="default", word_wrap=True))


def _table(rows: list[dict[str, Any]], columns: tuple[str, ...] = ()) -> Table:
    names = columns or tuple(rows[0])
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(str(row[name]) for name in names))
    return table
