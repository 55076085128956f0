"""GET /v1/balance and GET /v1/ledger/transfers."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from guilder import ids, ledger, pages, payments, transfer_lists
from guilder.api import lists, schemas
from guilder.api.dependencies import JSON, CallerDependency, runtime
from guilder.api.problems import ALWAYS, responses
from guilder.errors import CardNumberRefused, ValidationFailed

router = APIRouter(prefix="/v1", tags=["ledger"])


class BalanceQuery(lists.Query):
    """What the balance takes."""

    as_of: Annotated[
        lists.Time | None, Field(description="A past time (RFC 3339): only transfers created up to then count.")
    ] = None


class CurrencyBalance(BaseModel):
    """What the merchant has in one currency, in minor units."""

    currency: str
    pending: Annotated[int, Field(description="Captured, and not yet the merchant's to have.")]
    available: Annotated[int, Field(description="The merchant's to have. Refunds may drive it below zero.")]


class Balance(BaseModel):
    """A merchant's balance."""

    object: Literal["balance"]
    livemode: bool
    as_of: Annotated[datetime | None, Field(description="The time asked for; null: everything booked by now.")]
    balances: list[CurrencyBalance]


class TransferQuery(lists.ListQuery):
    """What the list of transfers takes."""

    payment: Annotated[str | None, Field(description="Of this payment (`pay_...`).")] = None
    account: Annotated[
        Annotated[str, Field(pattern=r"^[a-z]+:[a-z0-9_]{1,50}$")] | None,
        Field(description="With this account on either side, as `merchant:pending`."),
    ] = None
    kind: Annotated[Literal["capture", "refund"] | None, Field(description="Of this kind.")] = None
    currency: Annotated[schemas.Currency | None, Field(description="In this currency.")] = None

    def texts(self) -> Iterable[object]:
        """Give what could hold a card number."""
        return (self.account,)


class Transfer(BaseModel):
    """An amount that moved from one account to another. It never changes."""

    id: str
    object: Literal["transfer"]
    kind: Literal["capture", "refund"]
    debit_account: str
    credit_account: str
    amount: int
    currency: str
    payment: str
    available_on: datetime
    livemode: bool
    created_at: datetime


class TransferList(lists.List):
    """Transfers, newest first."""

    data: list[Transfer]


@router.get(
    "/balance",
    operation_id="get_balance",
    summary="Read the balance",
    response_model=Balance,
    openapi_extra={"parameters": lists.documented(BalanceQuery)},
    responses=responses(*ALWAYS, ValidationFailed),
)
async def get_balance(request: Request, caller: CallerDependency) -> Response:
    """Read what is pending and what is available, per currency; now, or as of a time."""
    caller.require("balance:read")
    as_of = lists.parameters(request, BalanceQuery).as_of
    if as_of is not None and as_of > runtime(request).clock():
        raise ValidationFailed([{"pointer": "as_of", "message": "is in the future"}])
    context = await runtime(request).context(caller.tenant)
    balances = await ledger.balances(context.database.writer, caller.tenant, as_of)
    shown = {"object": "balance", "livemode": caller.tenant.livemode, "as_of": as_of, "balances": balances}
    return Response(orjson.dumps(shown, option=orjson.OPT_UTC_Z), media_type=JSON)


@router.get(
    "/ledger/transfers",
    operation_id="list_transfers",
    summary="List the ledger's transfers",
    response_model=TransferList,
    openapi_extra={"parameters": lists.documented(TransferQuery)},
    responses={200: {"headers": lists.LINK_HEADER}, **responses(*ALWAYS, ValidationFailed, CardNumberRefused)},
)
async def list_transfers(request: Request, caller: CallerDependency) -> Response:
    """List transfers, newest first. All filters that are given must hold."""
    caller.require("ledger:read")
    query = lists.parameters(request, TransferQuery)
    payment = lists.object_id("payment", query.payment, payments.PREFIX) if query.payment is not None else None
    cut = query.cut(transfer_lists.PREFIX, caller.tenant)
    wanted = transfer_lists.Filters(payment.uuid if payment else None, query.account, query.kind, query.currency)
    context = await runtime(request).context(caller.tenant)
    if payment is not None and payment.slot != caller.tenant.slot:
        page: pages.Page[transfer_lists.BookedTransfer] = pages.empty()  # an id of another merchant's
    else:
        page = await transfer_lists.page(context.database.writer, caller.tenant, cut, wanted)
    return lists.answer(request, page, lambda cursor: ids.encode(transfer_lists.PREFIX, caller.tenant.slot, cursor))
