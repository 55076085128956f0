"""Processors: the one Protocol in Guilder, since there are several real implementations."""

from guilder.processors.protocol import (
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
