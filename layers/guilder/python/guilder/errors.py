"""Every error a caller can see: one tree, one renderer (RFC 9457, problem+json).

GuilderError
├── RequestRefused                 the request is at fault: change it, then send it again
│   ├── ValidationFailed           422  validation-failed
│   ├── MalformedRequest           400  malformed-request
│   ├── CardNumberRefused          422  card-number-refused
│   ├── IdempotencyKeyMissing      400  idempotency-key-missing
│   ├── IdempotencyKeyInvalid      400  idempotency-key-invalid
│   ├── IdempotencyKeyReused       422  idempotency-key-reused
│   ├── Unauthenticated            401  unauthenticated
│   ├── NotificationSignatureInvalid 401  invalid-signature
│   ├── Forbidden                  403  forbidden
│   ├── NotFound                   404  not-found
│   ├── MethodNotAllowed           405  method-not-allowed
│   ├── MerchantReferenceTaken     409  merchant-reference-taken
│   ├── StateConflict              409  state-conflict
│   ├── AmountTooLarge             422  amount-too-large
│   ├── ProcessorDeclined          409  processor-declined
│   └── RequestTooLarge            413  request-too-large
├── IdempotencyKeyInFlight         409  idempotency-key-in-flight   send the same request again, after Retry-After
├── Unavailable                    503  unavailable                 send the same request again, after Retry-After
└── InternalError                  500  internal-error              send the same request again: the idempotency key makes that safe

``status`` and ``title`` never change for a ``type``; ``detail`` is for people and is never to be parsed. No error carries
a value of the request that could be a secret.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

PROBLEM_TYPES = "https://guilder.dev/problems/"
"""Where the problem types live; docs/errors.md explains each under the same name."""

type Problem = dict[str, Any]


class GuilderError(Exception):
    """The root. Sub-classes set what is constant for their type."""

    status: ClassVar[int] = HTTPStatus.INTERNAL_SERVER_ERROR
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers: Mapping[str, str] = headers or {}
        self.members = members


class RequestRefused(GuilderError):
    """The request is at fault. Sending it again unchanged gives the same answer."""

    status = HTTPStatus.BAD_REQUEST
    slug = "malformed-request"
    title = "The request cannot be read"


class MalformedRequest(RequestRefused):
    """The body is not JSON, or not an object."""


class ValidationFailed(RequestRefused):
    """A field is missing, of the wrong type or out of range; ``errors`` lists each with its JSON pointer."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    slug = "validation-failed"
    title = "The request has invalid fields"

    def __init__(self, errors: Sequence[Mapping[str, str]]) -> None:
        super().__init__("Correct the fields listed in `errors` and send the request again.", errors=list(errors))


class CardNumberRefused(RequestRefused):
    """A card number came in. Guilder takes a processor's tokens only, so that card data stays out of its scope."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    slug = "card-number-refused"
    title = "The request contains a card number"

    def __init__(self) -> None:
        super().__init__(
            "Guilder accepts payment method tokens, never card numbers. Nothing was stored. Tokenize the card with your processor."
        )


class IdempotencyKeyMissing(RequestRefused):
    """A request that moves money needs an Idempotency-Key."""

    slug = "idempotency-key-missing"
    title = "The Idempotency-Key header is missing"

    def __init__(self) -> None:
        super().__init__(
            "Send an Idempotency-Key header: a new random value per intended operation, the same value for every retry of it."
        )


class IdempotencyKeyInvalid(RequestRefused):
    """Not 1 to 255 visible ASCII characters, bare or as a quoted string."""

    slug = "idempotency-key-invalid"
    title = "The Idempotency-Key header is invalid"

    def __init__(self) -> None:
        super().__init__("An Idempotency-Key is 1 to 255 visible ASCII characters, bare or in double quotes.")


class IdempotencyKeyReused(RequestRefused):
    """The key was used before, with another request."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    slug = "idempotency-key-reused"
    title = "The Idempotency-Key was used with another request"

    def __init__(self) -> None:
        super().__init__(
            "This key belongs to a request with another method, route, body or API version. Use a new key for a new operation."
        )


class Unauthenticated(RequestRefused):
    """No API key, or one that is unknown, expired or revoked."""

    status = HTTPStatus.UNAUTHORIZED
    slug = "unauthenticated"
    title = "A valid API key is required"

    def __init__(
        self, detail: str = "Send `Authorization: Bearer <API key>` with a key that exists and was not revoked."
    ) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="guilder"'})


class NotificationSignatureInvalid(RequestRefused):
    """A notification that its processor did not sign, or not recently."""

    status = HTTPStatus.UNAUTHORIZED
    slug = "invalid-signature"
    title = "The notification's signature is not valid"

    def __init__(self) -> None:
        super().__init__(
            "Nothing was stored. Check the processor's notification secret on both sides, and the sender's clock.",
            headers={"WWW-Authenticate": 'Signature realm="notifications"'},
        )


class Forbidden(RequestRefused):
    """The API key is valid and lacks the scope that this route needs."""

    status = HTTPStatus.FORBIDDEN
    slug = "forbidden"
    title = "The API key lacks a scope"


class NotFound(RequestRefused):
    """No such object for this merchant in this mode; also what another merchant's object looks like."""

    status = HTTPStatus.NOT_FOUND
    slug = "not-found"
    title = "Not found"


class MethodNotAllowed(RequestRefused):
    """The path exists, the method does not."""

    status = HTTPStatus.METHOD_NOT_ALLOWED
    slug = "method-not-allowed"
    title = "The method is not allowed here"


class MerchantReferenceTaken(RequestRefused):
    """``merchant_reference`` is unique per merchant and mode, for ever."""

    status = HTTPStatus.CONFLICT
    slug = "merchant-reference-taken"
    title = "The merchant reference belongs to another payment"

    def __init__(self) -> None:
        super().__init__(
            "Another payment has this `merchant_reference`. Nothing was charged. Look that payment up, or use a new reference."
        )


class StateConflict(RequestRefused):
    """The object is not in a state in which this can be done."""

    status = HTTPStatus.CONFLICT
    slug = "state-conflict"
    title = "The object's state does not allow this"


class AmountTooLarge(RequestRefused):
    """More than is left to capture or to refund, with what is under way taken into account. ``available`` says how much is left."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    slug = "amount-too-large"
    title = "The amount is more than what is left"


class ProcessorDeclined(RequestRefused):
    """The processor refused a capture or a cancellation, definitely. ``failure`` says why."""

    status = HTTPStatus.CONFLICT
    slug = "processor-declined"
    title = "The processor refused"


class RequestTooLarge(RequestRefused):
    """The body is over the limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    slug = "request-too-large"
    title = "The request body is too large"


class IdempotencyKeyInFlight(GuilderError):
    """The first request with this key is still being worked on."""

    status = HTTPStatus.CONFLICT
    slug = "idempotency-key-in-flight"
    title = "A request with this Idempotency-Key is in flight"
    retryable = True

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(
            "The first request with this key has no answer yet. Send the same request again after Retry-After seconds.",
            headers={"Retry-After": str(retry_after_s)},
        )


class Unavailable(GuilderError):
    """A part that the answer needs did not respond in time. A retry with the same Idempotency-Key is always safe."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    slug = "unavailable"
    title = "Temporarily unavailable"
    retryable = True

    def __init__(self, detail: str, retry_after_s: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})


class InternalError(GuilderError):
    """A fault of ours. It is in the logs under the request's id."""

    retryable = True

    def __init__(self) -> None:
        super().__init__(
            "The fault is logged under `request_id`. Sending the same request again with the same Idempotency-Key is safe."
        )


def problem(error: GuilderError, request_id: str) -> Problem:
    """Render an error as the members of an RFC 9457 problem."""
    return {
        "type": PROBLEM_TYPES + error.slug,
        "title": error.title,
        "status": int(error.status),
        "detail": error.detail,
        "retryable": error.retryable,
        "request_id": request_id,
        **error.members,
    }


def kinds() -> list[type[GuilderError]]:
    """List every concrete error that a caller can see, in the order of the tree; the docs and the OpenAPI file are held against it."""
    found: list[type[GuilderError]] = []
    queue: list[type[GuilderError]] = list(GuilderError.__subclasses__())
    while queue:
        kind = queue.pop(0)
        queue[:0] = kind.__subclasses__()
        if not kind.__subclasses__():
            found.append(kind)
    return found
