"""POST /v1/payments and GET /v1/payments/{id}."""

from email.utils import format_datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import ValidationError

from guilder import payments
from guilder.api import schemas
from guilder.api.dependencies import BodyDependency, CallerDependency, claimed, runtime
from guilder.api.problems import responses, validation_failed
from guilder.errors import (
    CardNumberRefused,
    Forbidden,
    IdempotencyKeyInFlight,
    IdempotencyKeyInvalid,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    InternalError,
    MalformedRequest,
    MerchantReferenceTaken,
    NotFound,
    RequestTooLarge,
    Unauthenticated,
    Unavailable,
    ValidationFailed,
)
from guilder.money import Money

write = APIRouter(prefix="/v1", tags=["payments"])
read = APIRouter(prefix="/v1", tags=["payments"])

JSON = "application/json"
_ALWAYS = (Unauthenticated, Forbidden, InternalError, Unavailable)
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "A new random value per intended payment, the same for every retry of it.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "example": "3f1c2b9e-order-1001",
}
_IDEMPOTENCY_HEADERS = {
    "Idempotency-Replayed": {
        "description": "`true`: this is the first request's answer.",
        "schema": {"type": "string"},
    },
    "Idempotency-Expires": {"description": "Until then the key replays this answer.", "schema": {"type": "string"}},
}


@write.post(
    "/payments",
    operation_id="create_payment",
    summary="Create a payment",
    status_code=payments.CREATED,
    response_model=schemas.Payment,
    openapi_extra={
        "parameters": [_IDEMPOTENCY_KEY],
        "requestBody": {"required": True, "content": {JSON: {"schema": {"$ref": "#/components/schemas/CreatePayment"}}}},
    },
    responses={
        201: {"description": "Decided: `succeeded`, `requires_capture`, `requires_action` or `failed`.", "headers": _IDEMPOTENCY_HEADERS},
        202: {
            "model": schemas.Payment,
            "description": "The processor has not answered: the payment is `processing`. Send the same request again, or read it later.",
        },
        **responses(
            *_ALWAYS, MalformedRequest, IdempotencyKeyMissing, IdempotencyKeyInvalid, IdempotencyKeyInFlight, IdempotencyKeyReused,
            MerchantReferenceTaken, CardNumberRefused, ValidationFailed, RequestTooLarge,
        ),
    },
)  # fmt: skip
async def create_payment(
    request: Request,
    caller: CallerDependency,
    body: BodyDependency,
) -> Response:
    """Create a payment and charge it. Repeating the request with the same `Idempotency-Key` never charges twice."""
    caller.require("payments:write")
    claim = claimed(request, caller, body, "/v1/payments")
    try:
        wanted = schemas.CreatePayment.model_validate(body)
    except ValidationError as error:
        raise validation_failed(
            [{**row, "loc": ("body", *row["loc"])} for row in error.errors(include_input=False)]
        ) from None
    context = await runtime(request).context(caller)
    reply = await payments.create(context, _new_payment(wanted), claim)
    headers = {"Idempotency-Expires": format_datetime(reply.answer.expires_at, usegmt=True)}
    if reply.replayed:
        headers["Idempotency-Replayed"] = "true"
    if reply.answer.status == payments.STILL_PROCESSING:
        headers = {"Retry-After": "2"}
    return Response(reply.answer.body, status_code=reply.answer.status, headers=headers, media_type=JSON)


@read.get(
    "/payments/{payment_id}",
    operation_id="get_payment",
    summary="Read a payment",
    response_model=schemas.Payment,
    responses=responses(*_ALWAYS, NotFound),
)
async def get_payment(
    request: Request, caller: CallerDependency, payment_id: Annotated[str, Path(description="`pay_...`")]
) -> Response:
    """Read a payment as it stands."""
    caller.require("payments:read")
    payment = await payments.get(await runtime(request).context(caller), payment_id)
    return Response(payment.snapshot(), media_type=JSON)


def _new_payment(wanted: schemas.CreatePayment) -> payments.NewPayment:
    return payments.NewPayment(
        money=Money(wanted.amount, wanted.currency),
        payment_method=wanted.payment_method,
        capture_method=wanted.capture_method,
        customer=wanted.customer,
        merchant_reference=wanted.merchant_reference,
        description=wanted.description,
        metadata=wanted.metadata,
    )
