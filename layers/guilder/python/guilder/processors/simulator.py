"""The simulator, spoken to over HTTP as any processor is (functions/simulator). Never in production."""

import asyncio
from typing import Any

import httpx

from guilder.processors.protocol import Approved, Authorization, Declined, NotFound, Outcome, RequiresAction, Unknown

_FAILURE_CODES = {
    "card_declined": "card_declined",
    "insufficient_funds": "insufficient_funds",
    "expired_card": "expired_card",
    "invalid_source": "payment_method_invalid",
}
"""The simulator's words and Guilder's. A word that is not listed becomes ``card_declined``; the processor's own is kept beside it."""

_CONNECT_S = 2.0


class Simulator:
    """Client of one simulator."""

    name = "simulator"

    def __init__(self, url: str, limit_s: float) -> None:
        self._limit_s = limit_s
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
        response = await self._send("POST", "/charges", json=body, headers={"Idempotency-Key": authorization.operation})
        return response if isinstance(response, Unknown) else _outcome(*response)

    async def lookup(self, operation: str) -> Outcome | NotFound:
        """GET /operations/{operation}."""
        response = await self._send("GET", f"/operations/{operation}")
        if isinstance(response, Unknown):
            return response
        status, body = response
        if status == httpx.codes.NOT_FOUND:
            return NotFound()
        if status != httpx.codes.OK:
            return Unknown(f"status {status}")
        return _outcome(body.get("status_code", 0), body)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _send(self, method: str, path: str, **request: Any) -> tuple[int, dict[str, Any]] | Unknown:
        try:
            async with asyncio.timeout(self._limit_s):  # over the whole call: httpx limits each read only
                response = await self._client.request(method, path, **request)
                body = response.json()
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            return Unknown(type(error).__name__)
        return (response.status_code, body) if isinstance(body, dict) else Unknown("not an object")


def _outcome(status: int, body: dict[str, Any]) -> Outcome:
    """Read an answer. Only what says so plainly counts as done or as declined; all else is unknown."""
    charge = body.get("charge") or body
    reference = charge.get("id")
    if status == httpx.codes.OK and reference:
        if charge.get("status") == "requires_action" and charge.get("next_action"):
            return RequiresAction(reference, charge["next_action"]["url"])
        if charge.get("status") in {"authorized", "captured"}:
            return Approved(reference)
    if status in {httpx.codes.PAYMENT_REQUIRED, httpx.codes.BAD_REQUEST}:
        error = body.get("error") or {}
        code = str(error.get("code") or charge.get("failure_code") or "declined")
        message = str(error.get("message") or charge.get("failure_message") or "The processor declined the charge.")
        return Declined(_FAILURE_CODES.get(code, "card_declined"), message, code, reference)
    return Unknown(f"status {status}")
