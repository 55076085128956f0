"""Processors: the one Protocol in Guilder, since there are several real implementations."""

from guilder.processors.protocol import (
    Approved,
    Authorization,
    Declined,
    NotFound,
    Outcome,
    Processor,
    RequiresAction,
    Unknown,
)

__all__ = ["Approved", "Authorization", "Declined", "NotFound", "Outcome", "Processor", "RequiresAction", "Unknown"]
