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

    def reference(self, slot: int) -> str:
        """Write the id as the processor gets it."""
        return ids.encode("op", slot, self.id)
