"""Every way the simulator says no, each with its HTTP status, as `{"error": {"type", "code", "message"}}`.

    SimulatorError
    |-- InvalidRequestError      400  invalid_request
    |-- NotFoundError            404  not_found
    |-- RejectedError        409/422  rejected
    |-- KeyReusedError           422  idempotency_error
    |-- KeyInUseError            409  idempotency_error
    |-- InProgressError          409  in_progress
    |-- NotConfiguredError       409  not_configured
    `-- ProcessorError       500-504  api_error

A declined charge is no error of this tree: it is a charge that failed, answered with 402 (see `charges.py`).
"""

from __future__ import annotations

from typing import ClassVar


class SimulatorError(Exception):
    """Root of the tree."""

    type: ClassVar[str] = "api_error"
    status: int = 500
    code: str = "internal_error"

    def __init__(self, message: str, *, code: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.status = status or self.status

    def body(self) -> dict[str, object]:
        """The JSON body of the answer."""
        return {"error": {"type": self.type, "code": self.code, "message": self.message}}


class InvalidRequestError(SimulatorError):
    """The request itself is wrong. Nothing was done."""

    type = "invalid_request"
    status = 400
    code = "invalid_request"


class NotFoundError(SimulatorError):
    """There is no such thing."""

    type = "not_found"
    status = 404
    code = "not_found"


class RejectedError(SimulatorError):
    """The charge does not allow it. The refusal is the answer to its idempotency key from then on."""

    type = "rejected"
    status = 409
    code = "rejected"


class KeyReusedError(SimulatorError):
    """The idempotency key came before with another request."""

    type = "idempotency_error"
    status = 422
    code = "idempotency_key_reused"


class KeyInUseError(SimulatorError):
    """The first request with the idempotency key is not decided yet."""

    type = "idempotency_error"
    status = 409
    code = "idempotency_key_in_use"


class InProgressError(SimulatorError):
    """The operation that is looked up is not decided yet."""

    type = "in_progress"
    status = 409
    code = "in_progress"


class NotConfiguredError(SimulatorError):
    """Notifications have nowhere to go."""

    type = "not_configured"
    status = 409
    code = "not_configured"


class ProcessorError(SimulatorError):
    """The processor failed. Look the operation up before trying again."""

    type = "api_error"
    status = 500
    code = "processor_error"
