"""`make verify`: the checks of `guilder.verify` against the stack that `.local/outputs.json` describes."""

import asyncio
import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from guilder.config import Settings
from guilder.runtime import Runtime
from guilder.verify import MEANINGS, Options, Report
from rich.console import Console
from rich.table import Table

from devstack.deploy import LAST_SLOT
from devstack.errors import StackError
from devstack.stack import Stack


def verify(stack: Stack, *, since: timedelta | None, seconds: float, reader: bool) -> Report:
    """Run every check as a function would, with the functions' own role.

    Raises:
        StackError: there is no stack to check.
    """
    options = Options(seconds=seconds, since=datetime.now(UTC) - since if since else None, reader=reader)
    return asyncio.run(_run(settings(stack), options))


def settings(stack: Stack) -> Settings:
    """Read where everything is. The addresses have their passwords in them.

    Raises:
        StackError: `make up` has not written it yet.
    """
    try:
        outputs = json.loads(stack.paths.outputs.read_text())
        cell = {
            "name": "c1",
            "first_slot": 0,
            "last_slot": LAST_SLOT,
            "writer": outputs["pooler_url"],
            "reader": outputs["pooler_reader_url"],
            "cache": outputs["redis_url"],
        }
        simulator_url = outputs["simulator_url"]
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise StackError(f"{stack.paths.outputs} cannot be read", hint="`make up` writes it.") from error
    return Settings.from_environment(
        {
            "GUILDER_ENV": "local",
            "GUILDER_CELLS": json.dumps([cell]),
            "GUILDER_DATABASE_AUTH": "passfile",
            "GUILDER_STATEMENT_CACHE_SIZE": "0",  # right behind any PgBouncer
            "GUILDER_SIMULATOR_URL": simulator_url,
            "GUILDER_LOG_LEVEL": "ERROR",
        }
    )


async def _run(local: Settings, options: Options) -> Report:
    runtime = Runtime(local)
    try:
        return await runtime.verify(options)
    finally:
        await runtime.close()


def as_json(report: Report) -> str:
    """The report for programs."""
    found = asdict(report) | {"clean": report.clean, "broken": sorted({each.check for each in report.findings})}
    return json.dumps(found, indent=2)


def show(console: Console, report: Report) -> None:
    """The report for people: every check, then what is broken."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name, justify in (("", "left"), ("check", "left"), ("seen", "right"), ("what holds", "left")):
        table.add_column(name, justify="right" if justify == "right" else "left")
    for name, meaning in MEANINGS.items():
        broken = report.count(name)
        mark = f"[bold red]{broken} BROKEN[/]" if broken else "[green]ok[/]"
        table.add_row(mark, name, str(report.rows.get(name, 0) or ""), meaning)
    console.print(table)
    if report.foreign_charges:
        console.print(
            f"[dim]{report.foreign_charges} charges of merchants that this stack does not have: not judged.[/]"
        )
    for finding in report.findings:
        console.print(
            f"[bold red]{finding.check}[/]  {finding.object}  {finding.detail}  {finding.merchant}", soft_wrap=True
        )
    for reason in report.incomplete:
        console.print(f"[bold red]not everything was seen:[/] {reason}", soft_wrap=True)
    if report.clean:
        console.print("[green]Nothing is broken.[/]")
