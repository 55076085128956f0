"""What a caller can ask of the processor, each under an idempotency key: this is the story of one call.

The same key and the same request give the same answer, however often and from however many processes it is asked;
PostgreSQL decides who is first. A call that decides at once does all of it in one transaction. One that takes its time
claims the key first, thinks without holding a connection, and then charges only if the key is still its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson

from . import charges
from .charges import Change, Charge, Refund, RefundStatus, Status
from .errors import InProgressError, KeyInUseError, KeyReusedError, NotFoundError, ProcessorError, RejectedError
from .notifications import tell
from .representations import Json, dump, show_charge, show_refund
from .settings import Settings
from .store import Answer, Call, Decision, Effect, Operation, Store
from .tokens import Behaviour, Kind, Wait, behaviour_of

# How long a caller waits for the first one with the same key before it is told that the key is in use.
SAME_KEY_SECONDS = 2.0
SAME_KEY_PAUSE_SECONDS = 0.05
# Beyond the time it thinks, how long an attempt may take before another one may take its key over.
LEASE_MARGIN_SECONDS = 10.0
# How often a look-up starts over because the operation moved while it was looked at.
LOOK_UPS = 5
SETTLE_BATCH = 50

log = logging.getLogger("simulator")

type Pause = Callable[[float], Awaitable[None]]
"""Wait for some seconds, or less if the caller goes away."""


@dataclass(frozen=True, slots=True)
class Order:
    """A charge to be made."""

    reference: str
    amount: int
    currency: str
    source: str
    capture: bool


class Processor:
    """Charges, captures, voids and refunds, by the book and by the token."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    async def charge(self, key: str, order: Order, public_url: str, pause: Pause) -> Answer:
        """Make a charge, or say what was made of it before."""
        behaviour = behaviour_of(order.source)
        call = _call(key, Kind.CHARGE, "", {name: getattr(order, name) for name in Order.__slots__})

        async def attempt() -> Answer | None:
            return await self._open_charge(call, order, behaviour, public_url, pause)

        return await self._once(call, attempt)

    async def _open_charge(
        self, call: Call, order: Order, behaviour: Behaviour, public_url: str, pause: Pause
    ) -> Answer | None:
        owner = None
        if behaviour.thinks is not Wait.NONE or behaviour.fails_first_try:
            owner = await self._think(call, behaviour, pause)
            if owner is None:
                return None
        effect = self._new_charge(call, order, behaviour)
        answer = _charged(effect.change.charge, public_url)
        if not await self._store.open_charge(call, owner, answer, effect):
            return None
        await self._hold(behaviour, Kind.CHARGE, pause)
        return answer

    async def _think(self, call: Call, behaviour: Behaviour, pause: Pause) -> str | None:
        """Claim the key and take as long as the token takes. The claim's owner, or None if the key is taken."""
        owner = uuid.uuid4().hex
        seconds = {Wait.NONE: 0.0, Wait.SLOW: self._settings.slow_seconds, Wait.HANG: self._settings.hang_seconds}
        thinking = seconds[behaviour.thinks]
        tries = await self._store.claim(call, owner, thinking + LEASE_MARGIN_SECONDS)
        if tries is None:
            return None
        await pause(thinking)
        if behaviour.never_decides:
            await self._store.release(call, owner)
            raise ProcessorError("The processor did not decide in time.", code="timeout", status=504)
        if behaviour.fails_first_try and tries == 1:
            await self._store.release(call, owner)
            raise ProcessorError("The processor failed before it did anything.")
        return owner

    def _new_charge(self, call: Call, order: Order, behaviour: Behaviour) -> Effect:
        now = datetime.now(UTC)
        new = Charge(
            id=f"ch_{uuid.uuid4().hex}",
            reference=order.reference,
            amount=order.amount,
            currency=order.currency,
            source=order.source,
            capture=order.capture,
            idempotency_key=call.key,
            created_at=now,
            status=Status.REQUIRES_ACTION,
        )
        if behaviour.requires_action:
            change = charges.require_action(new)
        elif behaviour.declines:
            succeeds_at = self._settles_at(now) if behaviour.succeeds_late else None
            change = charges.decline(new, behaviour.declines, succeeds_at=succeeds_at)
        else:
            change = charges.approve(new)
        return self._effect(change, now)

    async def capture(self, key: str, charge_id: str, amount: int | None, pause: Pause) -> Answer:
        """Capture `amount`, or all that is left."""
        return await self._change(
            _call(key, Kind.CAPTURE, charge_id, {"amount": amount}),
            charge_id,
            lambda charge, _now: charges.capture(charge, amount),
            pause,
        )

    async def void(self, key: str, charge_id: str, pause: Pause) -> Answer:
        """Void what was not captured."""
        return await self._change(
            _call(key, Kind.VOID, charge_id, {}), charge_id, lambda charge, _now: charges.void(charge), pause
        )

    async def refund(self, key: str, charge_id: str, amount: int | None, pause: Pause) -> Answer:
        """Refund `amount`, or all that is left."""

        def refund(charge: Charge, now: datetime) -> Change:
            settles_as = behaviour_of(charge.source).refund_settles_as
            new = Refund(
                id=f"re_{uuid.uuid4().hex}",
                charge_id=charge_id,
                amount=amount or 0,
                status=RefundStatus.PENDING if settles_as else RefundStatus.SUCCEEDED,
                idempotency_key=key,
                created_at=now,
                settles_at=self._settles_at(now) if settles_as else None,
                settles_as=settles_as,
            )
            return charges.refund(charge, new, amount)

        return await self._change(_call(key, Kind.REFUND, charge_id, {"amount": amount}), charge_id, refund, pause)

    async def _change(
        self, call: Call, charge_id: str, rule: Callable[[Charge, datetime], Change], pause: Pause
    ) -> Answer:
        def decide(charge: Charge) -> Decision:
            now = datetime.now(UTC)
            try:
                change = rule(charge, now)
            except RejectedError as refusal:
                return Decision(Answer(refusal.status, dump(refusal.body())), None)
            return Decision(_changed(change), self._effect(change, now))

        async def attempt() -> Answer | None:
            decision = await self._store.change_charge(call, charge_id, decide)
            if decision is None:
                return None
            if decision.effect is not None:
                await self._hold(behaviour_of(decision.effect.change.charge.source), call.kind, pause)
            return decision.answer

        return await self._once(call, attempt)

    async def _once(self, call: Call, attempt: Callable[[], Awaitable[Answer | None]]) -> Answer:
        """Attempt the call. If another attempt has the key, wait for its answer and repeat that.

        A call never attempts again later: when a look-up has said that nothing was done, what came before it stays undone.
        """
        answer = await attempt()
        deadline = time.monotonic() + SAME_KEY_SECONDS
        while answer is None:
            other = await self._store.operation(call.key)
            if other is not None and other.fingerprint != call.fingerprint:
                raise KeyReusedError("This idempotency key came before with another request.")
            if other is None or (other.answer is None and not other.in_progress) or time.monotonic() > deadline:
                raise KeyInUseError("Another request with this idempotency key came first and is not decided.")
            answer = other.answer
            if answer is None:
                await asyncio.sleep(SAME_KEY_PAUSE_SECONDS)
        return answer

    async def _hold(self, behaviour: Behaviour, kind: Kind, pause: Pause) -> None:
        """The work is done and committed; some tokens keep the answer back."""
        if behaviour.holds_answer_to is kind:
            await pause(self._settings.hang_seconds)

    def _settles_at(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self._settings.settle_seconds)

    async def look_up(self, key: str, public_url: str) -> Json:
        """What was done under a key, with its charge and refund as they are now.

        Raises:
            NotFoundError: nothing was done, and nothing that arrived before this look-up will be.
            InProgressError: it is not decided yet.
        """
        for _ in range(LOOK_UPS):
            operation = await self._store.operation(key)
            if operation is not None and operation.answer is not None:
                return await self._show(key, operation, operation.answer.status_code, public_url)
            if operation is not None and operation.in_progress:
                break
            try:
                if await self._store.nothing_will_come(key):
                    raise NotFoundError(f"Nothing was done under the idempotency key {key!r}.")
            except TimeoutError:
                break
        raise InProgressError("The operation is not decided yet: look it up again later.")

    async def _show(self, key: str, operation: Operation, status_code: int, public_url: str) -> Json:
        charge = await self._store.charge(operation.charge_id) if operation.charge_id else None
        refund = await self._store.refund(operation.refund_id) if operation.refund_id else None
        return {
            "idempotency_key": key,
            "kind": operation.kind,
            "status_code": status_code,
            "charge": show_charge(charge, public_url) if charge else None,
            "refund": show_refund(refund) if refund else None,
        }

    async def complete_action(self, charge_id: str, *, approved: bool) -> None:
        """The shopper confirmed or refused a charge that required it."""

        def decide(charge: Charge, _: Refund | None) -> Effect:
            return self._effect(charges.complete_action(charge, approved=approved), datetime.now(UTC))

        await self._store.change_unasked(charge_id, decide)

    async def settle_due(self) -> int:
        """Decide the late successes and the pending refunds whose time has come; how many there were."""
        due = await self._store.to_settle(SETTLE_BATCH)
        for charge_id, refund_id in due:
            try:
                await self._store.change_unasked(charge_id, self._settle, refund_id)
            except RejectedError as refusal:
                log.info("another process settled %s first: %s", refund_id or charge_id, refusal.message)
        return len(due)

    def _settle(self, charge: Charge, refund: Refund | None) -> Effect:
        change = charges.settle_refund(charge, refund) if refund else charges.succeed_late(charge)
        return self._effect(change, datetime.now(UTC))

    def _effect(self, change: Change, now: datetime) -> Effect:
        return Effect(change, tell(change, behaviour_of(change.charge.source), self._settings, now))


def _call(key: str, kind: Kind, charge_id: str, body: Json) -> Call:
    canonical = orjson.dumps([kind, charge_id, body], option=orjson.OPT_SORT_KEYS)
    return Call(key, kind, hashlib.sha256(canonical).hexdigest())


def _charged(charge: Charge, public_url: str) -> Answer:
    """The answer to a new charge: the charge, and for a declined one the reason as an error beside it."""
    shown = show_charge(charge, public_url)
    if charge.status is not Status.FAILED:
        return Answer(200, dump(shown))
    error = {"type": "card_error", "code": charge.failure_code, "message": charge.failure_message}
    return Answer(402, dump({**shown, "error": error}))


def _changed(change: Change) -> Answer:
    shown = show_charge(change.charge)
    if change.refund is not None:
        shown["refund"] = show_refund(change.refund)
    return Answer(200, dump(shown))
