"""POST /v1/payments, its confirm, capture and cancel, and GET /v1/payments/{id}."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from guilder import captures, payments
from guilder.api import schemas
from guilder.api.dependencies import JSON, BodyDependency, CallerDependency, answered, claimed, runtime, validated
from guilder.api.problems import ALWAYS, responses, write_document, writing
from guilder.errors import AmountTooLarge, MerchantReferenceTaken, NotFound, ProcessorDeclined, StateConflict
from guilder.money import Money
from guilder.phases import CREATED, OK

write = APIRouter(prefix="/v1", tags=["payments"])
read = APIRouter(prefix="/v1", tags=["payments"])

PaymentId = Annotated[str, Path(description="`pay_...`")]
_CHANGES = (NotFound, StateConflict)


@write.post(
    "/payments",
    operation_id="create_payment",
    summary="Create a payment",
    status_code=CREATED,
    response_model=schemas.Payment,
    openapi_extra=write_document("CreatePayment"),
    responses=writing(schemas.Payment, MerchantReferenceTaken),
)
async def create_payment(request: Request, caller: CallerDependency, body: BodyDependency) -> Response:
    """Create a payment and charge it. Repeating the request with the same `Idempotency-Key` never charges twice.

    201: decided, or (`confirm: false`) waiting for a confirmation. A decline is a payment with `status: failed`.
    """
    caller.require("payments:write")
    claim = claimed(request, caller, body, "/v1/payments")
    wanted = validated(schemas.CreatePayment, body)
    new = payments.NewPayment(
        money=Money(wanted.amount, wanted.currency),
        payment_method=wanted.payment_method,
        capture_method=wanted.capture_method,
        customer=wanted.customer,
        merchant_reference=wanted.merchant_reference,
        description=wanted.description,
        metadata=wanted.metadata,
        confirm=wanted.confirm,
    )
    context = await runtime(request).context(caller.tenant)
    return answered(await payments.create(context, new, caller.processor, claim))


@write.post(
    "/payments/{payment_id}/confirm",
    operation_id="confirm_payment",
    summary="Confirm a payment",
    status_code=OK,
    response_model=schemas.Payment,
    openapi_extra=write_document("Nothing", required=False),
    responses=writing(schemas.Payment, *_CHANGES),
)
async def confirm_payment(
    request: Request, caller: CallerDependency, body: BodyDependency, payment_id: PaymentId
) -> Response:
    """Charge a payment that was created with `confirm: false`."""
    caller.require("payments:write")
    claim = claimed(request, caller, body, f"/v1/payments/{payment_id}/confirm")
    validated(schemas.Nothing, body)
    context = await runtime(request).context(caller.tenant)
    return answered(await payments.confirm(context, payment_id, claim))


@write.post(
    "/payments/{payment_id}/capture",
    operation_id="capture_payment",
    summary="Capture a payment",
    status_code=OK,
    response_model=schemas.Payment,
    openapi_extra=write_document("CapturePayment", required=False),
    responses=writing(schemas.Payment, *_CHANGES, AmountTooLarge, ProcessorDeclined),
)
async def capture_payment(
    request: Request, caller: CallerDependency, body: BodyDependency, payment_id: PaymentId
) -> Response:
    """Take what is authorized, in full or in part. Several captures are possible, up to the authorized amount."""
    caller.require("payments:write")
    claim = claimed(request, caller, body, f"/v1/payments/{payment_id}/capture")
    wanted = validated(schemas.CapturePayment, body)
    context = await runtime(request).context(caller.tenant)
    return answered(await captures.capture(context, payment_id, wanted.amount, claim))


@write.post(
    "/payments/{payment_id}/cancel",
    operation_id="cancel_payment",
    summary="Cancel a payment",
    status_code=OK,
    response_model=schemas.Payment,
    openapi_extra=write_document("Nothing", required=False),
    responses=writing(schemas.Payment, *_CHANGES, ProcessorDeclined),
)
async def cancel_payment(
    request: Request, caller: CallerDependency, body: BodyDependency, payment_id: PaymentId
) -> Response:
    """Cancel a payment that is not captured, or what is left of a partly captured one."""
    caller.require("payments:write")
    claim = claimed(request, caller, body, f"/v1/payments/{payment_id}/cancel")
    validated(schemas.Nothing, body)
    context = await runtime(request).context(caller.tenant)
    return answered(await captures.cancel(context, payment_id, claim))


@read.get(
    "/payments/{payment_id}",
    operation_id="get_payment",
    summary="Read a payment",
    response_model=schemas.Payment,
    responses=responses(*ALWAYS, NotFound),
)
async def get_payment(request: Request, caller: CallerDependency, payment_id: PaymentId) -> Response:
    """Read a payment as it stands."""
    caller.require("payments:read")
    payment = await payments.get(await runtime(request).context(caller.tenant), payment_id)
    return Response(payment.snapshot(), media_type=JSON)
