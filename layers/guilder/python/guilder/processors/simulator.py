"""The simulator, spoken to over HTTP as any processor is (functions/simulator). Never in production."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

import guilder.processors.signatures as signatures
from guilder.errors import Unavailable
from guilder.processors.protocol import (
    Approved,
    Authorization,
    Change,
    Charge,
    Declined,
    NotFound,
    Notification,
    Outcome,
    Pending,
    RequiresAction,
    Unknown,
)

type _Json = Mapping[str, Any]

_FAILURE_CODES = {
    "card_declined": "card_declined",
    "insufficient_funds": "insufficient_funds",
    "expired_card": "expired_card",
    "authentication_failed": "authentication_failed",
    "invalid_source": "payment_method_invalid",
    "charge_not_capturable": "charge_not_capturable",
    "charge_not_voidable": "charge_not_cancelable",
    "charge_not_refundable": "charge_not_refundable",
    "amount_too_large": "amount_too_large",
    "refund_failed": "refund_failed",
}
"""The simulator's words and Guilder's. For a word that is not listed, ``_UNLISTED``; the processor's own is kept beside it."""

_UNLISTED = {
    "charge": "card_declined",
    "capture": "capture_refused",
    "void": "cancel_refused",
    "refund": "refund_refused",
}

_REFUSALS = frozenset({"card_error", "invalid_request", "rejected"})
"""The types of error that are a decision: it was not done and will not be. Any other, such as a key that is in use, decides nothing."""

_RECORDED_REFUSALS = {
    ("capture", 409): "charge_not_capturable",
    ("void", 409): "charge_not_voidable",
    ("refund", 409): "charge_not_refundable",
    ("capture", 422): "amount_too_large",
    ("refund", 422): "amount_too_large",
}
"""What a refusal was, when all that a look-up tells of it is its kind and its status."""

_APPROVED = frozenset({"authorized", "captured", "voided"})
"""Statuses of a charge that was approved once, whatever became of it afterwards."""

_CONNECT_S = 2.0
_PAGE = 100
_MAX_PAGES = 10_000


class Simulator:
    """Client of one simulator. ``notification_secret`` is needed for ``parse_notification`` only."""

    name = "simulator"

    def __init__(
        self, url: str, limit_s: float, notification_secret: str = "", now: Callable[[], float] = time.time
    ) -> None:
        self._limit_s = limit_s
        self._secret = notification_secret
        self._now = now
        self._client = httpx.AsyncClient(base_url=url, timeout=httpx.Timeout(limit_s, connect=min(_CONNECT_S, limit_s)))

    async def authorize(self, authorization: Authorization) -> Outcome:
        """POST /charges with the operation as the idempotency key."""
        body = {
            "reference": authorization.reference,
            "amount": authorization.money.amount,
            "currency": authorization.money.currency,
            "source": authorization.payment_method,
            "capture": authorization.capture,
        }
        return await self._order("charge", "/charges", authorization.operation, body)

    async def capture(self, change: Change) -> Outcome:
        """POST /charges/{id}/capture."""
        return await self._change("capture", "capture", change, {"amount": change.amount})

    async def cancel(self, change: Change) -> Outcome:
        """POST /charges/{id}/void: always the whole rest."""
        return await self._change("void", "void", change, {})

    async def refund(self, change: Change) -> Outcome:
        """POST /charges/{id}/refunds."""
        return await self._change("refund", "refunds", change, {"amount": change.amount})

    async def lookup(self, operation: str) -> Outcome | NotFound:
        """GET /operations/{operation}, which shows the charge and the refund as they are now."""
        answer = await self._send("GET", f"/operations/{quote(operation, safe='')}")
        if isinstance(answer, Unknown):
            return answer
        status, body = answer
        if status == httpx.codes.NOT_FOUND and _object(body, "error").get("type") == "not_found":
            return NotFound()
        if status != httpx.codes.OK:
            return Unknown(f"status {status}")
        return _looked_up(body)

    async def list_charges(self, since: datetime, until: datetime) -> AsyncIterator[Charge]:
        """GET /charges, page by page, newest first.

        Raises:
            Unavailable: a page did not come, or cannot be read.
        """
        span = {"created_gte": since.isoformat(), "created_lte": until.isoformat(), "limit": _PAGE}
        after: dict[str, str] = {}
        for _ in range(_MAX_PAGES):
            page, has_more = await self._page(span | after)
            for charge in page:
                if charge.created_at < until:  # the simulator includes the end
                    yield charge
            if not has_more:
                return
            after = {"starting_after": page[-1].reference}
        raise Unavailable("The processor's list of charges does not end.")

    def parse_notification(self, headers: Mapping[str, str], body: bytes) -> Notification:
        """Check the header Simulator-Signature and read ``{"id", "type", "data": {"charge", "refund"?}}``.

        Raises:
            InvalidSignature: not signed with our secret, or not recently.
            ValueError: signed, and not understood.
        """
        signatures.check(headers.get("simulator-signature", ""), body, self._secret, self._now())
        try:
            told = json.loads(body)
            subject = told["data"].get("refund") or told["data"]["charge"]
            members = (told["id"], told["type"], subject["idempotency_key"])
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            raise ValueError("the notification cannot be read") from None
        if not all(isinstance(member, str) and member for member in members):
            raise ValueError("the notification lacks its id, its type or its operation")
        return Notification(*members)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _change(self, kind: str, verb: str, change: Change, body: _Json) -> Outcome:
        return await self._order(kind, f"/charges/{quote(change.charge, safe='')}/{verb}", change.operation, body)

    async def _order(self, kind: str, path: str, operation: str, body: _Json) -> Outcome:
        answer = await self._send("POST", path, json=body, headers={"Idempotency-Key": operation})
        return answer if isinstance(answer, Unknown) else _answered(kind, *answer)

    async def _page(self, query: _Json) -> tuple[list[Charge], bool]:
        answer = await self._send("GET", "/charges", params=query)
        if isinstance(answer, Unknown) or answer[0] != httpx.codes.OK:
            raise Unavailable("The processor does not list its charges.")
        try:
            page = [_charge(row) for row in answer[1]["data"]]
            has_more = bool(answer[1]["has_more"])
        except (KeyError, TypeError, ValueError):
            raise Unavailable("The processor's list of charges cannot be read.") from None
        if has_more and not page:
            raise Unavailable("The processor's list of charges is incomplete.")
        return page, has_more

    async def _send(self, method: str, path: str, **request: Any) -> tuple[int, _Json] | Unknown:
        """Send a request once. Whatever goes wrong is unknown, a refused connection too: an earlier attempt may have arrived."""
        try:
            async with asyncio.timeout(self._limit_s):  # over the whole call: httpx limits each read only
                response = await self._client.request(method, path, **request)
                body = response.json()
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RecursionError) as error:
            return Unknown(type(error).__name__)
        return (response.status_code, body) if isinstance(body, dict) else Unknown("not an object")


def _answered(kind: str, status: int, body: _Json) -> Outcome:
    """Read the answer to an order. Only what says so plainly counts as done or as declined; all else is unknown."""
    if status == httpx.codes.OK:
        return _charged(body) if kind == "charge" else _changed(kind, body, _object(body, "refund"))
    error = _object(body, "error")
    if httpx.codes.is_client_error(status) and error.get("type") in _REFUSALS:
        return _declined(kind, _text(error, "code"), _text(error, "message"), _text(body, "id"))
    return Unknown(f"status {status}")


def _looked_up(body: _Json) -> Outcome:
    """Read what became of an operation. A charge or a refund is judged by what it is now: a decline may have become a success."""
    kind, status = _text(body, "kind"), body.get("status_code")
    charge, refund = _object(body, "charge"), _object(body, "refund")
    if kind == "charge":
        return _charged(charge)
    if status == httpx.codes.OK:
        return _changed(kind, charge, refund)
    if isinstance(status, int) and (code := _RECORDED_REFUSALS.get((kind, status))) is not None:
        return _declined(kind, code, "", "")
    return Unknown(f"{kind or 'an unknown kind'} with status {status}")


def _charged(charge: _Json) -> Outcome:
    """Judge a charge by its status."""
    reference, status = _text(charge, "id"), _text(charge, "status")
    if not reference:
        return Unknown("no charge")
    if status in _APPROVED:
        return Approved(reference)
    if status == "requires_action" and (url := _text(_object(charge, "next_action"), "url")):
        return RequiresAction(reference, url)
    if status == "failed":
        return _declined("charge", _text(charge, "failure_code"), _text(charge, "failure_message"), reference)
    return Unknown(f"charge {status}")


def _changed(kind: str, charge: _Json, refund: _Json) -> Outcome:
    """Judge a capture, a void or a refund that was accepted. A refund is judged by its own status."""
    reference, status = _text(refund, "id"), _text(refund, "status")
    if kind in {"capture", "void"} and _text(charge, "id"):
        return Approved(_text(charge, "id"))
    if kind != "refund" or not reference:
        return Unknown(f"no {kind}")
    if status == "pending":
        return Pending(reference)
    if status == "succeeded":
        return Approved(reference)
    if status == "failed":
        return _declined(kind, "refund_failed", "The refund failed.", reference)
    return Unknown(f"refund {status}")


def _declined(kind: str, code: str, message: str, reference: str) -> Declined:
    return Declined(
        code=_FAILURE_CODES.get(code, _UNLISTED[kind]),
        message=message or f"The processor refused the {kind}.",
        processor_code=code or "none",
        reference=reference or None,
    )


def _charge(row: _Json) -> Charge:
    created_at = datetime.fromisoformat(row["created_at"])
    if created_at.tzinfo is None:
        raise ValueError("a time without its zone")
    return Charge(
        reference=row["id"],
        payment=row["reference"],
        operation=row["idempotency_key"],
        status=row["status"],
        amount=int(row["amount"]),
        currency=row["currency"],
        amount_captured=int(row["amount_captured"]),
        amount_refunded=int(row["amount_refunded"]),
        created_at=created_at,
    )


def _object(body: _Json, member: str) -> _Json:
    value = body.get(member)
    return value if isinstance(value, dict) else {}


def _text(body: _Json, member: str) -> str:
    value = body.get(member)
    return value if isinstance(value, str) else ""
