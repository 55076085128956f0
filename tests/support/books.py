"""Do payments, ledger, events and processor tell the same story, and is anything left hanging? Asked of the tables and the processor.

Written against the tables and the simulator's interface, not against the package: it must not share a mistake with what it checks.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from guilder import ids

from tests.support.sql import Sql

PAGE = 1000
MAX_PAGES = 100

type Row = dict[str, Any]

_PAYMENTS = """
SELECT p.slot, p.id, p.status, p.version, p.amount, p.amount_captured, p.amount_refunded, p.capture_pending, p.refund_pending, p.review,
    coalesce((SELECT sum(t.amount) FROM transfers AS t WHERE t.slot = p.slot AND t.merchant_id = p.merchant_id
        AND t.payment_id = p.id AND t.kind = 'capture'), 0)::bigint AS booked_captures,
    coalesce((SELECT sum(t.amount) FROM transfers AS t WHERE t.slot = p.slot AND t.merchant_id = p.merchant_id
        AND t.payment_id = p.id AND t.kind = 'refund'), 0)::bigint AS booked_refunds,
    coalesce((SELECT sum(r.amount) FROM refunds AS r WHERE r.slot = p.slot AND r.merchant_id = p.merchant_id
        AND r.payment_id = p.id AND r.status = 'succeeded'), 0)::bigint AS refunds
FROM payments AS p WHERE p.merchant_id = $1
"""

_OPEN = """
SELECT 'operation ' || o.kind || ' ' || o.id || ' has no outcome' AS fault
FROM operations AS o JOIN payments AS p ON (p.slot, p.merchant_id, p.id) = (o.slot, o.merchant_id, o.payment_id)
WHERE o.merchant_id = $1 AND o.outcome IS NULL AND p.status <> 'requires_action'
UNION ALL SELECT 'refund ' || id || ' is pending' FROM refunds WHERE merchant_id = $1 AND status = 'pending'
UNION ALL SELECT 'key ' || key || ' has no answer' FROM idempotency WHERE merchant_id = $1 AND response_body IS NULL
UNION ALL SELECT 'notification ' || processor_id || ' was not acted on' FROM notifications WHERE merchant_id = $1 AND processed_at IS NULL
"""

_EVENTS = """
SELECT 'events of ' || o.id || ' are ' || coalesce(e.versions::text, 'missing') || ' at version ' || o.version AS fault
FROM (SELECT id, version FROM payments WHERE merchant_id = $1 UNION ALL SELECT id, version FROM refunds WHERE merchant_id = $1) AS o
LEFT JOIN (SELECT object_id, array_agg(version ORDER BY version) AS versions FROM events WHERE merchant_id = $1 GROUP BY object_id) AS e
    ON e.object_id = o.id
WHERE e.versions IS DISTINCT FROM (SELECT array_agg(n) FROM generate_series(1, o.version) AS n)
UNION ALL
SELECT 'the last event of ' || p.id || ' says ' || (e.data ->> 'status') || ', the payment ' || p.status
FROM payments AS p JOIN events AS e ON (e.merchant_id, e.object_id, e.version) = (p.merchant_id, p.id, p.version)
WHERE p.merchant_id = $1 AND ((e.data ->> 'status') <> p.status OR (e.data ->> 'amount_captured')::bigint <> p.amount_captured
    OR (e.data ->> 'amount_refunded')::bigint <> p.amount_refunded)
"""

_AT_THE_PROCESSOR = {
    "requires_confirmation": set[str](),
    "requires_action": {"requires_action"},
    "requires_capture": {"authorized", "captured"},
    "succeeded": {"captured"},
    "canceled": {"voided"},
    "failed": {"failed"},
}
"""What the charge of a payment can be, by the payment's status. A payment that failed or was canceled may have none at all."""


@dataclass(frozen=True, slots=True)
class Books:
    """What one merchant's payments are checked against."""

    sql: Sql
    simulator_url: str
    merchant_id: str

    def faults(self) -> list[str]:
        """Everything that does not agree, in words; empty when the books are right and nothing is under way."""
        merchant = ids.decode("mer", self.merchant_id).uuid
        payments = self.sql.rows(_PAYMENTS, merchant)
        charges = self._charges()
        found = [row["fault"] for query in (_OPEN, _EVENTS) for row in self.sql.rows(query, merchant)]
        for payment in payments:
            public_id = ids.encode("pay", payment["slot"], payment["id"])
            name = f"{public_id} ({payment['status']})"
            found += [f"{name}: {fault}" for fault in _of_payment(payment)]
            found += [f"{name}: {fault}" for fault in _of_charges(payment, charges.get(public_id, []))]
        return found + list(self._strays(charges))

    def payments(self) -> int:
        """How many payments the merchant has."""
        merchant = ids.decode("mer", self.merchant_id).uuid
        return int(self.sql.value("SELECT count(*) FROM payments WHERE merchant_id = $1", merchant))

    def _charges(self) -> dict[str, list[Row]]:
        """Read every charge that the processor has, by payment."""
        charges: dict[str, list[Row]] = defaultdict(list)
        query: dict[str, Any] = {"limit": PAGE}
        for _ in range(MAX_PAGES):
            page = httpx.get(f"{self.simulator_url}/charges", params=query, timeout=30).raise_for_status().json()
            for charge in page["data"]:
                charges[charge["reference"]].append(charge)
            if not page["has_more"]:
                return charges
            query["starting_after"] = page["data"][-1]["id"]
        raise AssertionError("the processor's list of charges does not end")

    def _strays(self, charges: dict[str, list[Row]]) -> Iterator[str]:
        """Charges whose payment nobody knows, whichever merchant's it would be."""
        known = {ids.encode("pay", row["slot"], row["id"]) for row in self.sql.rows("SELECT slot, id FROM payments")}
        return (f"charge for {reference}, which does not exist" for reference in charges.keys() - known)


def _of_payment(payment: Row) -> Iterator[str]:
    """The payment against the ledger and its refunds."""
    if payment["status"] == "processing":
        yield "is stuck"
    for pending in ("capture_pending", "refund_pending"):
        if payment[pending]:
            yield f"{payment[pending]} is still reserved as {pending}"
    if payment["amount_captured"] != payment["booked_captures"]:
        yield f"captured {payment['amount_captured']}, the ledger has {payment['booked_captures']}"
    if not payment["amount_refunded"] == payment["booked_refunds"] == payment["refunds"]:
        yield (
            f"refunded {payment['amount_refunded']}, the ledger has {payment['booked_refunds']}, refunds come to {payment['refunds']}"
        )


def _of_charges(payment: Row, charges: list[Row]) -> Iterator[str]:
    """The payment against the processor."""
    if len(charges) > 1:
        yield f"{len(charges)} charges: {[charge['id'] for charge in charges]}"
    if not charges:
        if payment["status"] not in {"requires_confirmation", "failed", "canceled"}:
            yield "the processor knows of no charge"
        return
    charge = charges[0]
    captured, refunded = charge["amount_captured"], charge["amount_refunded"]
    if payment["review"] == "late_success_reversed":
        if captured != refunded:
            yield f"a late success was not given back: captured {captured}, refunded {refunded}"
        return
    if charge["status"] not in _AT_THE_PROCESSOR.get(payment["status"], set()):
        yield f"the charge is {charge['status']}"
    if (payment["amount_captured"], payment["amount_refunded"]) != (captured, refunded):
        ours = (payment["amount_captured"], payment["amount_refunded"])
        yield f"captured and refunded {ours}, the processor has {(captured, refunded)}"
