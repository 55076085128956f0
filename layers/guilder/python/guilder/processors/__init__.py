"""Processors: the one Protocol in Guilder, since there are several real implementations."""

from guilder.processors.protocol import (
    FAILURE_CODES,
    Approved,
    Authorization,
    Change,
    Charge,
    Declined,
    InvalidSignature,
    NotFound,
    Notification,
    Outcome,
    Pending,
    Processor,
    RequiresAction,
    Unknown,
)

__all__ = [
    "FAILURE_CODES",
    "Approved",
    "Authorization",
    "Change",
    "Charge",
    "Declined",
    "InvalidSignature",
    "NotFound",
    "Notification",
    "Outcome",
    "Pending",
    "Processor",
    "RequiresAction",
    "Unknown",
]
