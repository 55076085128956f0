"""The checks that one cell's database can answer by itself: names, meanings, and the SQL block (``checks.sql``) that finds faults.

Every block is one statement and so looks at one snapshot. Guilder changes rows that belong together in one statement or one transaction:
what a block finds is broken however many writers are at work, and on a replica too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import orjson

from guilder import db, ids, payments, refunds
from guilder.ids import Tenant

SQL = db.load_queries(__file__)


class Over(StrEnum):
    """What a check goes through, in the order of its key. The value names the block that cuts the next page."""

    PAYMENTS = "payments"
    REFUNDS = "refunds"
    OPERATIONS = "operations"
    TRANSFERS = "transfers"
    KEYS = "keys"


PREFIXES = {
    Over.PAYMENTS: payments.PREFIX,
    Over.REFUNDS: refunds.PREFIX,
    Over.OPERATIONS: "op",
    Over.TRANSFERS: "tr",
}
"""Of the ids as they are shown; a key is shown as it is."""

type Compare = Callable[[Tenant, db.Row], str | None]


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant. Several blocks may look after the same one, from different sides."""

    name: str
    over: Over
    block: str
    timed: bool = False
    """Whether the block takes the time before which something is overdue."""
    compare: Compare | None = None
    """Where the block cannot tell by itself: it gives every row of the page, and this the fault of one, if any."""


def _differs(shown: bytes, told: str | None) -> str | None:
    """Compare what the API shows now with the last event. Members that one side lacks are of another release, and no fault."""
    if told is None:
        return "no event at the object's version"
    now, last = orjson.loads(shown), orjson.loads(told)
    names = sorted(name for name in now.keys() & last.keys() if now[name] != last[name])
    return f"the last event differs in {', '.join(names)}" if names else None


def _payment_as_told(tenant: Tenant, row: db.Row) -> str | None:
    return _differs(payments.read(row, tenant).snapshot(), row["event"])


def _refund_as_told(tenant: Tenant, row: db.Row) -> str | None:
    return _differs(refunds.read(row, tenant).snapshot(), row["event"])


def _answer_of_its_object(tenant: Tenant, row: db.Row) -> str | None:
    answered = orjson.loads(row["response_body"]).get("id")
    wanted = {ids.encode(prefix, tenant.slot, row["object_id"]) for prefix in (payments.PREFIX, refunds.PREFIX)}
    return None if answered in wanted else f"its stored answer shows {answered}"


MEANINGS = {
    "payment_transfers": "What a payment has captured and refunded is what its transfers add up to.",
    "payment_bounds": "Captured, capturable, refunded and reserved amounts stay within the payment's amount.",
    "payment_reservations": "A payment's reservations are the amounts of its open operations.",
    "payment_authorizations": "A payment is authorized by one operation; approved exactly when it holds or took money.",
    "payment_overdue": "No payment is `processing` for longer than the limit.",
    "payment_events": "A payment has one event for each version, and the last shows it as it is.",
    "refund_events": "A refund has one event for each version, and the last shows it as it is.",
    "refund_operation": "A refund stands where its operation stands, with the same amount.",
    "operation_transfer": "An approved capture or refund has one transfer of its amount, any other operation none.",
    "transfer_operation": "A transfer belongs to an approved operation and its payment.",
    "operation_overdue": "No operation is open beyond the limit, unless payer or processor have yet to decide.",
    "notification_overdue": "No notification of a processor waits beyond the limit.",
    "one_key_one_object": "A key has one operation and one object, and an operation has one key.",
    "key_answered": "A key whose operation is over has its answer.",
}
"""Every check of this table by name, in the words of the report."""

CHECKS = (
    Check("payment_transfers", Over.PAYMENTS, "payment_transfers"),
    Check("payment_bounds", Over.PAYMENTS, "payment_bounds"),
    Check("payment_reservations", Over.PAYMENTS, "payment_reservations"),
    Check("payment_authorizations", Over.PAYMENTS, "payment_authorizations"),
    Check("payment_overdue", Over.PAYMENTS, "payment_overdue", timed=True),
    Check("payment_events", Over.PAYMENTS, "payment_events"),
    Check("payment_events", Over.PAYMENTS, "payment_as_told", compare=_payment_as_told),
    Check("refund_events", Over.REFUNDS, "refund_events"),
    Check("refund_events", Over.REFUNDS, "refund_as_told", compare=_refund_as_told),
    Check("refund_operation", Over.REFUNDS, "refund_operation"),
    Check("operation_transfer", Over.OPERATIONS, "operation_transfer"),
    Check("one_key_one_object", Over.OPERATIONS, "key_of_operation"),
    Check("transfer_operation", Over.TRANSFERS, "transfer_operation"),
    Check("one_key_one_object", Over.KEYS, "operation_of_key"),
    Check("one_key_one_object", Over.KEYS, "answer_of_key", compare=_answer_of_its_object),
    Check("key_answered", Over.KEYS, "key_answered"),
)

OVERDUE = {"operation_overdue": "op", "notification_overdue": ""}
"""Checks of a whole cell at once, since an index holds just what they look for; with the prefix of the ids that they name."""
