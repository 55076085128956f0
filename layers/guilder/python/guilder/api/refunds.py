"""POST /v1/refunds, GET /v1/refunds/{id} and GET /v1/refunds."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from guilder import ids, pages, payments, refund_lists, refunds
from guilder.api import lists, schemas
from guilder.api.dependencies import JSON, BodyDependency, CallerDependency, answered, claimed, runtime, validated
from guilder.api.problems import ALWAYS, responses, write_document, writing
from guilder.errors import AmountTooLarge, NotFound, StateConflict, ValidationFailed
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


class RefundQuery(lists.ListQuery):
    """What the list of refunds takes."""

    payment: Annotated[str | None, Field(description="Of this payment (`pay_...`).")] = None
    status: Annotated[refunds.Status | None, Field(description="In this status.")] = None


class RefundList(lists.List):
    """Refunds, newest first."""

    data: list[schemas.Refund]


@read.get(
    "/refunds",
    operation_id="list_refunds",
    summary="List refunds",
    response_model=RefundList,
    openapi_extra={"parameters": lists.documented(RefundQuery)},
    responses={200: {"headers": lists.LINK_HEADER}, **responses(*ALWAYS, ValidationFailed)},
)
async def list_refunds(request: Request, caller: CallerDependency) -> Response:
    """List refunds, newest first. All filters that are given must hold."""
    caller.require("refunds:read")
    query = lists.parameters(request, RefundQuery)
    payment = lists.object_id("payment", query.payment, payments.PREFIX) if query.payment is not None else None
    cut = query.cut(refunds.PREFIX, caller.tenant)
    if payment is not None and payment.slot != caller.tenant.slot:
        page: pages.Page[refunds.Refund] = pages.empty()  # an id of another merchant's
    else:
        context = await runtime(request).context(caller.tenant)
        page = await refund_lists.page(context, cut, payment.uuid if payment else None, query.status)
    return lists.answer(request, page, lambda cursor: ids.encode(refunds.PREFIX, caller.tenant.slot, cursor))
