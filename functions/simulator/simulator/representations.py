"""How charges, refunds and operations look in JSON."""

from __future__ import annotations

import orjson

from .charges import Charge, Refund, Status

type Json = dict[str, object]


def dump(value: object) -> str:
    """Render JSON; times as RFC 3339 in UTC."""
    return orjson.dumps(value, option=orjson.OPT_UTC_Z | orjson.OPT_PASSTHROUGH_DATACLASS).decode()


def show_charge(charge: Charge, public_url: str = "") -> Json:
    """A charge. `public_url` is where the shopper's browser finds the page of a required action."""
    action = None
    if charge.status is Status.REQUIRES_ACTION:
        action = {"type": "redirect", "url": f"{public_url}/actions/{charge.id}"}
    return {
        "id": charge.id,
        "object": "charge",
        "reference": charge.reference,
        "amount": charge.amount,
        "currency": charge.currency,
        "status": charge.status,
        "amount_captured": charge.amount_captured,
        "amount_voided": charge.amount_voided,
        "amount_refunded": charge.amount_refunded,
        "amount_refund_pending": charge.amount_refund_pending,
        "idempotency_key": charge.idempotency_key,
        "failure_code": charge.failure_code,
        "failure_message": charge.failure_message,
        "next_action": action,
        "created_at": charge.created_at,
    }


def show_refund(refund: Refund) -> Json:
    """A refund."""
    return {
        "id": refund.id,
        "object": "refund",
        "charge": refund.charge_id,
        "amount": refund.amount,
        "status": refund.status,
        "idempotency_key": refund.idempotency_key,
        "created_at": refund.created_at,
    }
