"""POST /v1/refunds and GET /v1/refunds/{id}."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from guilder import refunds
from guilder.api import schemas
from guilder.api.dependencies import JSON, BodyDependency, CallerDependency, answered, claimed, runtime, validated
from guilder.api.problems import ALWAYS, responses, write_document, writing
from guilder.errors import AmountTooLarge, NotFound, StateConflict
from guilder.phases import CREATED

write = APIRouter(prefix="/v1", tags=["refunds"])
read = APIRouter(prefix="/v1", tags=["refunds"])


@write.post(
    "/refunds",
    operation_id="create_refund",
    summary="Create a refund",
    status_code=CREATED,
    response_model=schemas.Refund,
    openapi_extra=write_document("CreateRefund"),
    responses=writing(schemas.Refund, NotFound, StateConflict, AmountTooLarge),
)
async def create_refund(request: Request, caller: CallerDependency, body: BodyDependency) -> Response:
    """Pay back what was captured, in full or in part, never more. `pending`: the processor decides later."""
    caller.require("refunds:write")
    claim = claimed(request, caller, body, "/v1/refunds")
    wanted = validated(schemas.CreateRefund, body)
    context = await runtime(request).context(caller.tenant)
    new = refunds.NewRefund(wanted.payment, wanted.amount, wanted.reason, wanted.metadata)
    return answered(await refunds.create(context, new, claim))


@read.get(
    "/refunds/{refund_id}",
    operation_id="get_refund",
    summary="Read a refund",
    response_model=schemas.Refund,
    responses=responses(*ALWAYS, NotFound),
)
async def get_refund(
    request: Request, caller: CallerDependency, refund_id: Annotated[str, Path(description="`ref_...`")]
) -> Response:
    """Read a refund as it stands."""
    caller.require("refunds:read")
    refund = await refunds.get(await runtime(request).context(caller.tenant), refund_id)
    return Response(refund.snapshot(), media_type=JSON)
