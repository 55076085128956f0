"""Operations: one row per call to a processor. The operation's id is the processor's idempotency key.

A payment's id would not do: two equal partial captures of one payment are two operations. Whoever works on an operation holds a lease; one
whose lease ran out is taken over by asking the processor what became of it, never by charging again.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from guilder import ids


class Kind(StrEnum):
    """What the processor is asked to do."""

    AUTHORIZE = "authorize"


class Result(StrEnum):
    """What came of it. No result yet means that nobody knows."""

    APPROVED = "approved"
    DECLINED = "declined"
    REQUIRES_ACTION = "requires_action"
    NOT_PROCESSED = "not_processed"


@dataclass(frozen=True, slots=True)
class Operation:
    """One call to a processor. ``created_at`` starts the time after which a processor that has not seen it never will."""

    id: UUID
    kind: Kind
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Address:
    """Where an operation's row is."""

    slot: int
    merchant: UUID
    livemode: bool
    operation: UUID


def write_key(address: Address) -> str:
    """Write the idempotency key that the processor gets. It names the merchant, so that what a processor tells of its own accord routes
    without a look-up: ``op_`` + slot + operation + ``_`` + merchant + ``_test`` or ``_live``.
    """
    mode = "live" if address.livemode else "test"
    return f"{ids.encode('op', address.slot, address.operation)}_{ids.encode_uuid(address.merchant)}_{mode}"


def read_key(key: str) -> Address:
    """Read a key that ``write_key`` wrote.

    Raises:
        ids.InvalidId: it did not.
    """
    prefix, _, rest = key.partition("_")
    operation, _, rest = rest.partition("_")
    merchant, _, mode = rest.partition("_")
    if mode not in {"live", "test"}:
        raise ids.InvalidId("operation key")
    place = ids.decode("op", f"{prefix}_{operation}")
    return Address(place.slot, ids.decode("op", f"op_00{merchant}").uuid, mode == "live", place.uuid)
