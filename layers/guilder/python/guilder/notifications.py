"""What processors tell of their own accord: stored before it is answered, acted on by the reconciler.

A notification is a hint to ask the processor, never a fact, so neither its order nor how often it comes matters.
"""

from collections.abc import Mapping
from datetime import datetime

from guilder import operations
from guilder.db import CellDatabase, load_queries
from guilder.ids import InvalidId
from guilder.log import logger
from guilder.processors import InvalidSignature, Notification, Processor

_SQL = load_queries(__file__)

_LONGEST = 255
"""Characters of a processor's id or type that are kept."""


def read(
    processor: Processor, headers: Mapping[str, str], body: bytes
) -> tuple[Notification, operations.Address] | None:
    """Check who sent it and read it; ``None`` where it is genuine and concerns no operation of ours. ``headers`` have lower-case names.

    Raises:
        processors.InvalidSignature: the processor did not sign it, or long ago.
    """
    try:
        notification = processor.parse_notification(headers, body)
        if not all(text.isprintable() and len(text) <= _LONGEST for text in (notification.id, notification.type)):
            raise ValueError("no id or type that could be stored")  # noqa: TRY301 (answered as all that is not understood)
        return notification, operations.read_key(notification.operation)
    except InvalidSignature:
        raise
    except InvalidId:
        _ignored(processor, "not an operation of Guilder's")
    except ValueError:
        _ignored(processor, "not understood")
    return None


async def store(
    database: CellDatabase,
    processor: Processor,
    received: tuple[Notification, operations.Address],
    body: bytes,
    now: datetime,
) -> bool:
    """Store it for the reconciler, once however often it comes; tell whether it concerns an operation of ours.

    Raises:
        errors.Unavailable: the database did not answer, so the processor has to send it again.
    """
    notification, address = received
    tenant = address.tenant
    row = await database.writer.fetchrow(
        _SQL["store"],
        *(tenant.slot, tenant.merchant, tenant.livemode, address.operation),
        *(processor.name, notification.id, notification.type, body.decode(), now),
    )
    known = row is not None and bool(row["known"])
    if not known:
        _ignored(processor, "no such operation")
    return known


def _ignored(processor: Processor, reason: str) -> None:
    """Say so, without anything that came in."""
    logger.warning("notification ignored", extra={"processor": processor.name, "reason": reason})
