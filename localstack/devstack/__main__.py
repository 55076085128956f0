"""`python -m devstack up`, `down` and `verify`: what the Makefile calls."""

import os
import signal
from datetime import timedelta
from typing import Annotated

import typer

from devstack import console as screen
from devstack.down import down
from devstack.errors import StackError
from devstack.stack import Stack
from devstack.steps import StepError
from devstack.up import up
from devstack.verify import as_json, show, verify

BROKEN = 1
INTERRUPTED = 130

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)


@app.command("up")
def up_command() -> None:
    """Start everything, deploy Guilder to it and make a payment."""
    console = screen.terminal()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # being ended is like Ctrl-C: take the commands along
    try:
        up(Stack(), console)
    except StackError as error:
        screen.show_failure(console, f"{error.step} failed" if isinstance(error, StepError) else "make up", error)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("\nInterrupted. What runs stays as it is: `make up` goes on from here, `make down` stops it.")
        console.file.flush()
        os._exit(INTERRUPTED)  # without waiting for steps that are waiting for a server


@app.command("down")
def down_command(*, clean: Annotated[bool, typer.Option("--clean", help="Delete the data as well.")] = False) -> None:
    """Stop what `up` started."""
    console = screen.terminal()
    try:
        down(Stack(), console, clean=clean)
    except StackError as error:
        screen.show_failure(console, "make down", error)
        raise typer.Exit(1) from None


@app.command("verify")
def verify_command(
    *,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    since: Annotated[float | None, typer.Option(help="Only what was made in the last so many hours.")] = None,
    seconds: Annotated[
        float, typer.Option(help="Stop after so many seconds; what was not seen counts as broken.")
    ] = 600,
    reader: Annotated[bool, typer.Option("--reader", help="Read from the replica; findings are confirmed.")] = False,
) -> None:
    """Check that payments, ledger and processor agree. The exit code is 0 only if everything was seen and nothing is broken."""
    console = screen.terminal()
    try:
        hours = timedelta(hours=since) if since is not None else None
        report = verify(Stack(), since=hours, seconds=seconds, reader=reader)
    except StackError as error:
        screen.show_failure(console, "make verify", error)
        raise typer.Exit(BROKEN) from None
    if json:
        print(as_json(report))
    else:
        show(console, report)
    raise typer.Exit(0 if report.clean else BROKEN)


if __name__ == "__main__":
    app()
