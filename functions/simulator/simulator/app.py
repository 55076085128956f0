"""The HTTP interface: what comes in is checked here, what goes out is JSON. `uvicorn simulator.app:app` serves it.

Every POST that moves money needs an Idempotency-Key; errors look as `errors.py` says.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import actions
from .database import UNAVAILABLE
from .errors import InvalidRequestError, NotFoundError, ProcessorError, SimulatorError
from .notifications import show_stored
from .operations import Order
from .representations import dump, show_charge, show_refund
from .service import Service, lifespan, service
from .store import Answer, Page
from .tokens import TOKENS

log = logging.getLogger("simulator")

Key = Annotated[str, Header(alias="Idempotency-Key", pattern=r"^[\x21-\x7e]{1,255}$")]
Reference = Annotated[str, Field(min_length=1, max_length=255)]
# bigint in the database; far from its end, so that sums cannot overflow
Amount = Annotated[int, Field(strict=True, gt=0, le=10**15)]
Limit = Annotated[int, Query(ge=1, le=1000)]


async def running_service() -> Service:
    """The service as a dependency: a coroutine, since FastAPI runs plain functions in threads."""
    return service()


Running = Annotated[Service, Depends(running_service)]


class Body(BaseModel):
    """A request's body: nothing in it may be unknown."""

    model_config = ConfigDict(extra="forbid")


class ChargeBody(Body):
    """`POST /charges`."""

    reference: Reference
    amount: Amount
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    source: Annotated[str, Field(min_length=1, max_length=255)]
    capture: Annotated[bool, Field(strict=True)] = True


class AmountBody(Body):
    """A capture or a refund: of an amount, or of all that is left."""

    amount: Amount | None = None


class EmptyBody(Body):
    """A void."""


class Latency:
    """Delay each answer of the processor's interface, once its work is done and its connection given back."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, the start of the answer later."""
        if scope["type"] != "http" or scope["path"] == "/healthz":
            await self._app(scope, receive, send)
            return

        async def send_later(message: Message) -> None:
            if message["type"] == "http.response.start":
                await asyncio.sleep(service().settings.latency_seconds)
            await send(message)

        await self._app(scope, receive, send_later)


app = FastAPI(title="Card processor simulator", lifespan=lifespan, docs_url=None, redoc_url=None)
app.add_middleware(Latency)


class Caller:
    """The one who asks: where it reaches us, and how long it listens."""

    def __init__(self, request: Request, public_url: str) -> None:
        self._request = request
        self.public_url = public_url or str(request.base_url).rstrip("/")

    async def pause(self, seconds: float) -> None:
        """Wait, but not for a caller that has hung up."""
        try:
            async with asyncio.timeout(seconds):
                while (await self._request.receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            return


async def the_caller(request: Request, running: Running) -> Caller:
    """The caller as a dependency."""
    return Caller(request, running.settings.public_url)


From = Annotated[Caller, Depends(the_caller)]


def answered(answer: Answer) -> Response:
    """The stored answer, byte for byte."""
    return Response(answer.body, answer.status_code, media_type="application/json")


def as_json(value: object, status_code: int = 200) -> Response:
    """Any other answer."""
    return Response(dump(value), status_code, media_type="application/json")


@app.post("/charges")
async def post_charge(key: Key, body: ChargeBody, running: Running, caller: From) -> Response:
    """Authorise, and with `capture` take, an amount: 200, 402 declined."""
    order = Order(body.reference, body.amount, body.currency, body.source, body.capture)
    return answered(await running.processor.charge(key, order, caller.public_url, caller.pause))


@app.post("/charges/{charge_id}/capture")
async def post_capture(charge_id: str, key: Key, body: AmountBody, running: Running, caller: From) -> Response:
    """Take some or all of what was authorised, as often as something is left."""
    return answered(await running.processor.capture(key, charge_id, body.amount, caller.pause))


@app.post("/charges/{charge_id}/void")
async def post_void(charge_id: str, key: Key, running: Running, caller: From, _: EmptyBody | None = None) -> Response:
    """Give back what was authorised and not captured."""
    return answered(await running.processor.void(key, charge_id, caller.pause))


@app.post("/charges/{charge_id}/refunds")
async def post_refund(charge_id: str, key: Key, body: AmountBody, running: Running, caller: From) -> Response:
    """Give back some or all of what was captured, as often as something is left."""
    return answered(await running.processor.refund(key, charge_id, body.amount, caller.pause))


@app.get("/charges")
async def get_charges(
    running: Running,
    caller: From,
    reference: Annotated[str | None, Query(min_length=1, max_length=255)] = None,
    created_gte: AwareDatetime | None = None,
    created_lte: AwareDatetime | None = None,
    limit: Limit = 100,
    starting_after: str | None = None,
) -> Response:
    """Charges, newest first; `starting_after` is the id of the last one of the page before."""
    span = {"created_gte": created_gte, "created_lte": created_lte}
    given = {name: time for name, time in span.items() if time is not None}
    page = Page(limit + 1, reference, starting_after=starting_after, **given)
    found = await running.store.charges(page)
    shown = [show_charge(charge, caller.public_url) for charge in found[:limit]]
    return as_json({"data": shown, "has_more": len(found) > limit})


@app.get("/charges/{charge_id}")
async def get_charge(charge_id: str, running: Running, caller: From) -> Response:
    """One charge as it is now."""
    return as_json(show_charge(await running.store.charge(charge_id), caller.public_url))


@app.get("/charges/{charge_id}/refunds")
async def get_refunds(charge_id: str, running: Running) -> Response:
    """All refunds of a charge, oldest first."""
    await running.store.charge(charge_id)
    refunds = await running.store.refunds(charge_id)
    return as_json({"data": [show_refund(refund) for refund in refunds], "has_more": False})


@app.get("/operations/{key:path}")
async def get_operation(key: str, running: Running, caller: From) -> Response:
    """What was done under an idempotency key: 404 nothing, 409 not decided yet."""
    return as_json(await running.processor.look_up(key, caller.public_url))


@app.get("/actions/{charge_id}")
async def get_action(charge_id: str, running: Running) -> HTMLResponse:
    """The page on which the shopper approves or declines."""
    return HTMLResponse(actions.render(await running.store.charge(charge_id)))


@app.post("/actions/{charge_id}")
async def post_action(charge_id: str, request: Request, running: Running) -> HTMLResponse:
    """The shopper's decision, as the form sends it: `outcome=approve` or `outcome=decline`."""
    approved = actions.approved(await request.body())
    await running.processor.complete_action(charge_id, approved=approved)
    return HTMLResponse(actions.render(await running.store.charge(charge_id)))


@app.get("/notifications")
async def get_notifications(
    running: Running, reference: Annotated[str, Query(min_length=1, max_length=255)], limit: Limit = 100
) -> Response:
    """The notifications about a reference, oldest first, and what became of them."""
    found = await running.outbox.list(reference, limit + 1)
    return as_json({"data": [show_stored(stored) for stored in found[:limit]], "has_more": len(found) > limit})


@app.post("/notifications/{notification_id}/resend")
async def post_resend(notification_id: str, running: Running) -> Response:
    """Send a notification again: 202, it goes out in a moment."""
    return as_json(show_stored(await running.outbox.resend(notification_id)), 202)


@app.get("/tokens")
async def get_tokens() -> Response:
    """The test tokens and what they do."""
    return as_json({"data": [{"token": name, "description": TOKENS[name].description} for name in TOKENS]})


@app.get("/healthz")
async def get_health(running: Running) -> Response:
    """Whether the database answers."""
    await running.database.run(lambda connection: connection.fetchval("SELECT 1"))
    return as_json({"status": "ok"})


@app.exception_handler(SimulatorError)
async def refuse(_: Request, error: SimulatorError) -> Response:
    """Every no, in the same shape."""
    return as_json(error.body(), error.status)


@app.exception_handler(RequestValidationError)
async def refuse_malformed(_: Request, error: RequestValidationError) -> Response:
    """A request that is not what it should be."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return as_json(InvalidRequestError(f"{where}: {first['msg']}").body(), 400)


@app.exception_handler(HTTPException)
async def refuse_unrouted(_: Request, error: HTTPException) -> Response:
    """No such path, no such method, a body that is no JSON."""
    refusal = NotFoundError(error.detail) if error.status_code == 404 else InvalidRequestError(error.detail)
    return as_json(refusal.body(), error.status_code)


async def refuse_unavailable(_: Request, error: Exception) -> Response:
    """The database cannot be used: whether anything was done, a look-up will tell."""
    log.error("the database is unavailable: %s: %s", type(error).__name__, error)
    refusal = ProcessorError("The processor is unavailable.", code="unavailable", status=503)
    return as_json(refusal.body(), refusal.status)


for unavailable in UNAVAILABLE:
    app.add_exception_handler(unavailable, refuse_unavailable)
