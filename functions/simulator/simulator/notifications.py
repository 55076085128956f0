"""Telling the client what happened to a charge: building, signing and sending notifications.

A notification is stored in the transaction of the change it tells of, and sent afterwards, at least once. It is a POST of

    {"id": "ntf_...", "type": "refund.succeeded", "created_at": "...", "data": {"charge": {...}, "refund": {...}}}

(without `refund` when it tells of the charge alone)

with the header `Simulator-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`. Any 2xx answer ends it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import httpx
import orjson

from .charges import Change, Event
from .database import Database, load_statements
from .errors import NotConfiguredError, NotFoundError
from .representations import Json, dump, show_charge, show_refund
from .settings import Settings
from .tokens import Behaviour

SEND_SECONDS = 5.0
# How long a claimed notification stays with the process that claimed it: more than a batch takes, unless the receiver
# is very slow. Then some are sent twice, which receivers have to bear anyway.
LEASE_SECONDS = 10.0
BATCH = 32
ATTEMPTS = 10
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 60.0
# An out-of-order `charge.authorized` goes out by itself after this time, if nothing ever follows it.
HELD_BACK_SECONDS = 60.0

log = logging.getLogger("simulator")


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification to be stored. `delay` in seconds; None: it is not to be sent."""

    id: str
    type: Event
    body: str
    created_at: datetime
    copies: int
    delay: float | None


@dataclass(frozen=True, slots=True)
class Stored:
    """A notification as the outbox has it."""

    id: str
    type: str
    reference: str
    charge_id: str
    body: str
    copies: int
    created_at: datetime
    attempts: int
    next_attempt_at: datetime | None
    sent_at: datetime | None
    last_error: str | None


SQL = load_statements("outbox", notification=", ".join(field.name for field in fields(Stored)))


def tell(change: Change, behaviour: Behaviour, settings: Settings, now: datetime) -> tuple[Notification, ...]:
    """One notification for each event of a change, in the order in which they happened."""
    return tuple(_notification(event, change, behaviour, settings, now) for event in change.events)


def _notification(
    event: Event, change: Change, behaviour: Behaviour, settings: Settings, now: datetime
) -> Notification:
    notification_id = f"ntf_{uuid.uuid4().hex}"
    data: dict[str, object] = {"charge": show_charge(change.charge)}
    if change.refund is not None:
        data["refund"] = show_refund(change.refund)
    body = dump({"id": notification_id, "type": event, "created_at": now, "data": data})
    held_back = behaviour.sends_out_of_order and event is Event.AUTHORIZED
    delay = (HELD_BACK_SECONDS if held_back else 0.0) if settings.notification_url else None
    return Notification(notification_id, event, body, now, 2 if behaviour.sends_twice else 1, delay)


def sign(secret: str, timestamp: int, body: str) -> str:
    """The value of the Simulator-Signature header."""
    digest = hmac.new(secret.encode(), f"{timestamp}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def show_stored(stored: Stored) -> Json:
    """A stored notification in JSON, with the payload that is sent."""
    return {
        "id": stored.id,
        "object": "notification",
        "type": stored.type,
        "reference": stored.reference,
        "charge": stored.charge_id,
        "created_at": stored.created_at,
        "attempts": stored.attempts,
        "next_attempt_at": stored.next_attempt_at,
        "sent_at": stored.sent_at,
        "last_error": stored.last_error,
        "payload": orjson.loads(stored.body),
    }


class Outbox:
    """The stored notifications, and their way out. Several processes may send from the same one."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def send_due(self) -> int:
        """Send what is due, up to one batch; those of one charge in order, those of different charges side by side.

        Returns:
            How many were claimed; whether they arrived is in the outbox.
        """
        if not self._settings.notification_url:
            return 0
        rows: list[Any] = await self._database.run(
            lambda connection: connection.fetch(SQL["claim_due"], BATCH, LEASE_SECONDS)
        )
        if rows:
            rows.sort(key=lambda row: (row["charge_id"], row["position"]))
            async with httpx.AsyncClient(timeout=SEND_SECONDS) as client:
                by_charge = itertools.groupby(rows, key=lambda row: row["charge_id"])
                await asyncio.gather(*(self._send_in_order(client, list(group)) for _, group in by_charge))
        return len(rows)

    async def _send_in_order(self, client: httpx.AsyncClient, rows: Sequence[Any]) -> None:
        for nth, row in enumerate(rows):
            error = await self._post(client, row["body"], row["copies"])
            if error is not None:
                # what comes after it waits with it, to stay in order
                for waiting in rows[nth:]:
                    await self._failed(waiting, error)
                return
            await self._sent(row)

    async def _post(self, client: httpx.AsyncClient, body: str, copies: int) -> str | None:
        """Send the copies of one notification; what went wrong, or None."""
        try:
            for _ in range(copies):
                signature = sign(self._settings.notification_secret, int(time.time()), body)
                headers = {"Content-Type": "application/json", "Simulator-Signature": signature}
                answer = await client.post(self._settings.notification_url, content=body, headers=headers)
                if not answer.is_success:
                    return f"HTTP {answer.status_code}"
        except httpx.HTTPError as error:
            return f"{type(error).__name__}: {error}"
        return None

    async def _sent(self, row: Any) -> None:
        async def work(connection: Any) -> None:
            await connection.execute(SQL["sent"], row["id"])
            await connection.execute(SQL["let_go_held_back"], row["charge_id"], row["position"])

        await self._database.run(work)

    async def _failed(self, row: Any, error: str) -> None:
        delay = min(FIRST_DELAY_SECONDS * 2 ** (row["attempts"] - 1), LONGEST_DELAY_SECONDS)
        next_delay = delay if row["attempts"] < ATTEMPTS else None
        log.warning("notification %s, attempt %d: %s", row["id"], row["attempts"], error)
        await self._database.run(lambda connection: connection.execute(SQL["failed"], row["id"], error, next_delay))

    async def resend(self, notification_id: str) -> Stored:
        """Send a notification again, whether or not it arrived before."""
        if not self._settings.notification_url:
            raise NotConfiguredError("There is nowhere to send to: SIMULATOR_NOTIFICATION_URL is not set.")
        row = await self._database.run(lambda connection: connection.fetchrow(SQL["resend"], notification_id))
        if row is None:
            raise NotFoundError(f"No such notification: {notification_id}")
        return Stored(**row)

    async def list(self, reference: str, limit: int) -> list[Stored]:
        """The notifications about a reference, oldest first."""
        rows = await self._database.run(
            lambda connection: connection.fetch(SQL["notifications_of_reference"], reference, limit)
        )
        return [Stored(**row) for row in rows]
