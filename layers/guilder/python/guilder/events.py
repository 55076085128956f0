"""Events: one row per change of an object, written by the statement that makes the change, with the object as the API then shows it.

The object's ``version`` is its sequence without gaps: a consumer that has seen version 3 knows whether version 2 is missing.
"""

from guilder.states import Status

CREATED = "payment.created"
PROCESSING = "payment.processing"
CAPTURED = "payment.captured"
CAPTURE_CANCELED = "payment.capture_canceled"
REFUNDED = "payment.refunded"
LATE_SUCCESS = "payment.late_success_reversed"
REFUND_CREATED = "refund.created"
REFUND_SUCCEEDED = "refund.succeeded"
REFUND_FAILED = "refund.failed"

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


def of_capture(status: Status) -> str:
    """Name the event of a capture: the last one makes the payment succeed."""
    return _BY_STATUS[Status.SUCCEEDED] if status is Status.SUCCEEDED else CAPTURED


def of_cancel(status: Status) -> str:
    """Name the event of a cancellation: of the whole payment, or of what was not captured."""
    return _BY_STATUS[Status.CANCELED] if status is Status.CANCELED else CAPTURE_CANCELED
