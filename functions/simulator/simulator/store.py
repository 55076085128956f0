"""Charges, refunds and operations in PostgreSQL: each method is one statement of `store.sql`, or one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime

import asyncpg

from .charges import Change, Charge, Refund, RefundStatus, Status
from .database import Connection, Database, load_statements
from .errors import NotFoundError
from .notifications import Notification
from .tokens import Kind

SQL = load_statements(
    "store",
    charge=", ".join(field.name for field in fields(Charge)),
    refund=", ".join(field.name for field in fields(Refund)),
)

# How long a look-up waits for a transaction that is doing something under its key.
PROBE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Call:
    """One request as idempotency sees it: the same key must come with the same fingerprint."""

    key: str
    kind: Kind
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller gets, to the byte, now and at every repetition."""

    status_code: int
    body: str


@dataclass(frozen=True, slots=True)
class Effect:
    """A change and what is told of it: one transaction writes both."""

    change: Change
    notifications: tuple[Notification, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a call does and answers, all of it in one transaction. A refusal has no effect but is remembered."""

    answer: Answer
    effect: Effect | None


@dataclass(frozen=True, slots=True)
class Operation:
    """What is known of an idempotency key. `answer` is None while nothing is decided."""

    kind: Kind
    fingerprint: str
    charge_id: str | None
    refund_id: str | None
    answer: Answer | None
    in_progress: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Which charges to list, newest first: a time span with both ends, and the charge to continue after."""

    limit: int
    reference: str | None = None
    created_gte: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    created_lte: datetime = datetime(9000, 1, 1, tzinfo=UTC)
    starting_after: str | None = None


class Store:
    """The simulator's books."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, call: Call, owner: str, lease_seconds: float) -> int | None:
        """Take the key for a while. The number of this try, or None if somebody else has it or it is decided."""

        async def work(connection: Connection) -> int | None:
            tries: int | None = await connection.fetchval(
                SQL["claim"], call.key, call.kind, call.fingerprint, owner, lease_seconds
            )
            return tries

        return await self._database.run(work)

    async def release(self, call: Call, owner: str) -> None:
        """Give the key back, nothing done."""
        await self._database.run(lambda connection: connection.execute(SQL["release"], call.key, owner))

    async def open_charge(self, call: Call, owner: str | None, answer: Answer, effect: Effect) -> bool:
        """Charge and store the answer. False, and nothing is done, if the key is not this attempt's to use."""
        charge = effect.change.charge

        async def work(connection: Connection) -> bool:
            opened = await connection.fetchval(
                SQL["open_charge"],
                *(call.key, call.fingerprint, charge.id, answer.status_code, answer.body, owner),
                *(charge.reference, charge.amount, charge.currency, charge.source, charge.capture, charge.created_at),
                *(
                    charge.status,
                    charge.amount_captured,
                    charge.failure_code,
                    charge.failure_message,
                    charge.settles_at,
                ),
                *_outbox_columns(effect.notifications),
            )
            return opened is not None

        return await self._database.run(work)

    async def change_charge(self, call: Call, charge_id: str, decide: Callable[[Charge], Decision]) -> Decision | None:
        """Lock the charge, let `decide` say what happens to it, and do that. None if the key is taken."""

        async def work(connection: Connection) -> Decision | None:
            async with connection.transaction():
                begun = await connection.fetchval(SQL["begin_change"], call.key, call.kind, call.fingerprint, charge_id)
                charge = await _lock(connection, charge_id)
                if begun is None:
                    return None
                decision = decide(charge)
                refund = decision.effect.change.refund if decision.effect else None
                if decision.effect is not None:
                    await _save(connection, charge, decision.effect)
                await connection.execute(
                    SQL["finish_change"],
                    *(call.key, decision.answer.status_code, decision.answer.body, refund.id if refund else None),
                )
                return decision

        return await self._database.run(work)

    async def change_unasked(
        self, charge_id: str, decide: Callable[[Charge, Refund | None], Effect], refund_id: str | None = None
    ) -> None:
        """Lock the charge and do what `decide` says: for what the shopper or time changes, which has no key."""

        async def work(connection: Connection) -> None:
            async with connection.transaction():
                charge = await _lock(connection, charge_id)
                refund = await _refund(connection, refund_id) if refund_id else None
                await _save(connection, charge, decide(charge, refund))

        await self._database.run(work)

    async def operation(self, key: str) -> Operation | None:
        """What is known of the key now; None if nothing is."""
        row = await self._database.run(lambda connection: connection.fetchrow(SQL["operation"], key))
        return _operation_of(row) if row is not None else None

    async def nothing_will_come(self, key: str) -> bool:
        """Make sure that nothing was done under the key and that nothing begun before can still be done.

        Raises:
            TimeoutError: a transaction that uses the key does not end.
        """

        async def work(connection: Connection) -> bool:
            if await connection.fetchval(SQL["abandon"], key, timeout=PROBE_SECONDS):
                return True
            transaction = connection.transaction()
            await transaction.start()
            try:
                return await connection.fetchval(SQL["probe"], key, timeout=PROBE_SECONDS) is not None
            finally:
                await transaction.rollback()

        return await self._database.run(work)

    async def charge(self, charge_id: str) -> Charge:
        """One charge; 404 if there is none."""
        row = await self._database.run(lambda connection: connection.fetchrow(SQL["charge"], charge_id))
        if row is None:
            raise NotFoundError(f"No such charge: {charge_id}")
        return _charge_of(row)

    async def charges(self, page: Page) -> list[Charge]:
        """One page of charges, newest first."""
        last = await self.charge(page.starting_after) if page.starting_after else None
        before = (last.created_at, last.id) if last else (page.created_lte, "~")
        span = (page.created_gte, page.created_lte, *before, page.limit)
        name, arguments = ("charges_of_reference", (*span, page.reference)) if page.reference else ("charges", span)
        rows = await self._database.run(lambda connection: connection.fetch(SQL[name], *arguments))
        return [_charge_of(row) for row in rows]

    async def refund(self, refund_id: str) -> Refund | None:
        """One refund."""
        return await self._database.run(lambda connection: _refund(connection, refund_id))

    async def refunds(self, charge_id: str) -> list[Refund]:
        """All refunds of a charge, oldest first."""
        rows = await self._database.run(lambda connection: connection.fetch(SQL["refunds"], charge_id))
        return [_refund_of(row) for row in rows]

    async def to_settle(self, limit: int) -> list[tuple[str, str | None]]:
        """The charges, and the refunds with their charges, whose time has come: (charge id, refund id or None)."""
        charges = await self._database.run(lambda connection: connection.fetch(SQL["charges_to_settle"], limit))
        refunds = await self._database.run(lambda connection: connection.fetch(SQL["refunds_to_settle"], limit))
        return [(row["id"], None) for row in charges] + [(row["charge_id"], row["id"]) for row in refunds]


async def _lock(connection: Connection, charge_id: str) -> Charge:
    row = await connection.fetchrow(SQL["charge"] + "FOR NO KEY UPDATE", charge_id)
    if row is None:
        raise NotFoundError(f"No such charge: {charge_id}")
    return _charge_of(row)


async def _save(connection: Connection, before: Charge, effect: Effect) -> None:
    """Write an effect, in the caller's transaction."""
    charge, refund = effect.change.charge, effect.change.refund
    saved = await connection.fetchval(
        SQL["save_charge"],
        *(charge.id, before.version, charge.status, charge.amount_captured, charge.amount_voided),
        *(charge.amount_refunded, charge.amount_refund_pending),
        *(charge.failure_code, charge.failure_message, charge.settles_at),
    )
    if saved is None:  # never, as long as the row is locked
        raise RuntimeError(f"charge {charge.id} changed while it was locked")
    if refund is not None:
        await connection.execute(
            SQL["save_refund"],
            *(refund.id, refund.charge_id, refund.amount, refund.status, refund.idempotency_key, refund.created_at),
            *(refund.settles_at, refund.settles_as),
        )
    if effect.notifications:
        columns = _outbox_columns(effect.notifications)
        await connection.execute(SQL["save_notifications"], charge.reference, charge.id, *columns)


def _outbox_columns(notifications: tuple[Notification, ...]) -> tuple[list[object], ...]:
    """The notifications as one array for each column: id, type, body, created_at, copies, delay."""
    names = ("id", "type", "body", "created_at", "copies", "delay")
    return tuple([getattr(notification, name) for notification in notifications] for name in names)


async def _refund(connection: Connection, refund_id: str) -> Refund | None:
    row = await connection.fetchrow(SQL["refund"], refund_id)
    return _refund_of(row) if row is not None else None


def _charge_of(row: asyncpg.Record) -> Charge:
    return Charge(**{**row, "status": Status(row["status"])})


def _refund_of(row: asyncpg.Record) -> Refund:
    settles_as = RefundStatus(row["settles_as"]) if row["settles_as"] else None
    return Refund(**{**row, "status": RefundStatus(row["status"]), "settles_as": settles_as})


def _operation_of(row: asyncpg.Record) -> Operation:
    answer = Answer(row["status_code"], row["answer"]) if row["status_code"] is not None else None
    return Operation(
        Kind(row["kind"]), row["fingerprint"], row["charge_id"], row["refund_id"], answer, row["in_progress"]
    )
