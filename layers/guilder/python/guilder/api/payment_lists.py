"""GET /v1/payments."""

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from guilder import ids, payment_lists, payments
from guilder.api import lists, schemas
from guilder.api.dependencies import CallerDependency, runtime
from guilder.api.problems import ALWAYS, responses
from guilder.errors import CardNumberRefused, ValidationFailed
from guilder.states import Status

router = APIRouter(prefix="/v1", tags=["payments"])


class PaymentQuery(lists.ListQuery):
    """What the list of payments takes."""

    status: Annotated[Status | None, Field(description="In this status.")] = None
    customer: Annotated[
        Annotated[schemas.Text, Field(min_length=1, max_length=255)] | None, Field(description="Of this customer.")
    ] = None
    merchant_reference: Annotated[
        Annotated[schemas.Text, Field(min_length=1, max_length=255)] | None,
        Field(description="The one with this reference."),
    ] = None
    metadata: Annotated[
        schemas.Metadata | None, Field(description="`metadata[key]=value`: with these entries among its own.")
    ] = None

    def texts(self) -> Iterable[object]:
        """Give what could hold a card number."""
        return self.customer, self.merchant_reference, self.metadata


class PaymentList(lists.List):
    """Payments, newest first."""

    data: list[schemas.Payment]


@router.get(
    "/payments",
    operation_id="list_payments",
    summary="List payments",
    response_model=PaymentList,
    openapi_extra={"parameters": lists.documented(PaymentQuery)},
    responses={
        200: {"headers": lists.LINK_HEADER},
        **responses(*ALWAYS, ValidationFailed, CardNumberRefused),
    },
)
async def list_payments(request: Request, caller: CallerDependency) -> Response:
    """List payments, newest first. All filters that are given must hold."""
    caller.require("payments:read")
    query = lists.parameters(request, PaymentQuery)
    wanted = payment_lists.Filters(query.status, query.customer, query.merchant_reference, query.metadata)
    context = await runtime(request).context(caller.tenant)
    page = await payment_lists.page(context, query.cut(payments.PREFIX, caller.tenant), wanted)
    return lists.answer(request, page, lambda cursor: ids.encode(payments.PREFIX, caller.tenant.slot, cursor))
