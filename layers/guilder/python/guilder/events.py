"""Events: one row per change of an object, written by the statement that makes the change, with the object as the API then shows it.

The object's ``version`` is its sequence without gaps: a consumer that has seen version 3 knows whether version 2 is missing.
"""

from guilder.states import Status

CREATED = "payment.created"

_BY_STATUS = {
    Status.REQUIRES_ACTION: "payment.requires_action",
    Status.REQUIRES_CAPTURE: "payment.authorized",
    Status.SUCCEEDED: "payment.succeeded",
    Status.FAILED: "payment.failed",
    Status.CANCELED: "payment.canceled",
}


def of_status(status: Status) -> str:
    """Name the event of a payment that has come to ``status``."""
    return _BY_STATUS[status]
