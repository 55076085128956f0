"""A cell as the functions see it: its addresses and slots, from the data stacks in AWS, from context on LocalStack."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class CellAddresses:
    """One entry of `GUILDER_CELLS`. URLs carry a role and never a password."""

    name: str
    first_slot: int
    last_slot: int
    writer: str
    reader: str
    cache: str
    direct: str  # the cluster itself, past proxy or pooler, as its administrator: for migrations alone

    def entry(self, *, with_direct: bool) -> dict[str, Any]:
        """The members that a function is given."""
        members = asdict(self)
        if not with_direct:
            del members["direct"]
        return members


def from_context(value: str | None) -> list[CellAddresses]:
    """The cells that `-c cells=<JSON>` describes; LocalStack has no databases, so somebody has to say where they are.

    Raises:
        ValueError: it is missing, is not JSON, or lacks a member.
    """
    if not value:
        raise ValueError('env=local needs -c cells=<JSON>, a list of {"name", "first_slot", "last_slot", ...}')
    try:
        return [CellAddresses(**entry) for entry in json.loads(value)]
    except TypeError as error:
        raise ValueError(f"-c cells: {error}") from error


def as_variable(cells: Sequence[CellAddresses], *, with_direct: bool = False) -> str:
    """The value of `GUILDER_CELLS`."""
    return json.dumps([cell.entry(with_direct=with_direct) for cell in cells], separators=(",", ":"))
