"""The life of a payment: one table, one pure function.

                         confirm                 approved, captured
requires_confirmation ───────────▶ processing ──────────────────────▶ succeeded
        │                           │  │  │  approved, not captured          ▲
        │                           │  │  └────────────────▶ requires_capture┤ capture
        │                           │  └──▶ requires_action ──────┬──────────┘
        ▼                           ▼             │               ▼
     canceled ◀──────────────────failed ◀─────────┘     canceled (before capture)

The database holds the same table as CHECKs (migrations/0002_payments.sql); a test compares the two.
"""

from enum import StrEnum


class Status(StrEnum):
    """Where a payment stands."""

    REQUIRES_CONFIRMATION = "requires_confirmation"
    PROCESSING = "processing"
    REQUIRES_ACTION = "requires_action"
    REQUIRES_CAPTURE = "requires_capture"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.REQUIRES_CONFIRMATION: frozenset({Status.PROCESSING, Status.CANCELED}),
    Status.PROCESSING: frozenset({Status.REQUIRES_ACTION, Status.REQUIRES_CAPTURE, Status.SUCCEEDED, Status.FAILED}),
    Status.REQUIRES_ACTION: frozenset({Status.REQUIRES_CAPTURE, Status.SUCCEEDED, Status.FAILED, Status.CANCELED}),
    Status.REQUIRES_CAPTURE: frozenset({Status.SUCCEEDED, Status.CANCELED}),
    Status.SUCCEEDED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELED: frozenset(),
}

FINAL = frozenset(status for status, following in TRANSITIONS.items() if not following)
"""Statuses that never change again (refunds do not change a payment's status)."""


class IllegalTransition(ValueError):
    """The payment cannot go from the one status to the other."""


def advance(current: Status, following: Status) -> Status:
    """Take one step.

    Raises:
        IllegalTransition: the table has no such step.
    """
    if following not in TRANSITIONS[current]:
        raise IllegalTransition(f"a payment cannot go from {current} to {following}")
    return following
