"""What can go wrong with the local stack, said so that a person knows what to do."""

from pathlib import Path


class StackError(Exception):
    """A step failed.

    Attributes:
        log: the file whose end explains it, where there is one.
        hint: what the person at the terminal can do about it.
    """

    def __init__(self, message: str, *, log: Path | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.log = log
        self.hint = hint


class BusyError(StackError):
    """Another `make up` or `make down` works on the same state directory."""
