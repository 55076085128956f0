"""What a route asks for: the caller, the idempotency key, the checked body."""

from email.utils import format_datetime
from typing import Annotated

import orjson
from fastapi import Depends, Request, Response
from pydantic import BaseModel, ValidationError

from guilder import idempotency
from guilder.api.card_numbers import contains_card_number, looks_like_digits
from guilder.api.problems import MEDIA_TYPE as PROBLEM_JSON
from guilder.api.problems import validation_failed
from guilder.errors import CardNumberRefused, MalformedRequest, RequestTooLarge, Unauthenticated
from guilder.ids import encode
from guilder.keys import Caller
from guilder.phases import STILL_PROCESSING, Reply
from guilder.runtime import Runtime

API_VERSION = "2026-11-01"
MAX_BODY_BYTES = 64 * 1024

JSON = "application/json"


def runtime(request: Request) -> Runtime:
    """Give the environment's runtime."""
    return request.app.state.runtime  # type: ignore[no-any-return]  # Starlette's state has no types


async def caller(request: Request) -> Caller:
    """Find the caller.

    Raises:
        Unauthenticated: no key, or no valid one.
    """
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthenticated
    return await runtime(request).identify(key.strip())


async def parsed_body(request: Request) -> object:
    """Read the body as JSON, within the size limit and without card numbers; no body reads as ``{}``. Nothing of it is logged, ever.

    Raises:
        RequestTooLarge, MalformedRequest, CardNumberRefused: as they say.
    """
    raw = await request.body()
    if len(raw) > MAX_BODY_BYTES:
        raise RequestTooLarge(f"A request body is at most {MAX_BODY_BYTES} bytes.")
    if not raw:
        return {}
    try:
        text = raw.decode()
        parsed: object = orjson.loads(raw)
    except (UnicodeDecodeError, orjson.JSONDecodeError):
        raise MalformedRequest("The body is not valid JSON in UTF-8.") from None
    if looks_like_digits(text) and contains_card_number(parsed):
        raise CardNumberRefused
    return parsed


def claimed(request: Request, who: Caller, body: object, route: str) -> idempotency.Request:
    """Describe this request for its claim.

    Raises:
        IdempotencyKeyMissing, IdempotencyKeyInvalid: as they say.
        CardNumberRefused: the key is a card number.
    """
    key = idempotency.parse_key(request.headers.get("idempotency-key"))
    if contains_card_number(key):
        raise CardNumberRefused
    tenant = who.tenant
    mode = "live" if tenant.livemode else "test"
    return idempotency.Request(
        key=key,
        fingerprint=idempotency.fingerprint(request.method, route, API_VERSION, body),
        cache_key=f"idem:{encode('mer', tenant.slot, tenant.merchant)}:{mode}:{key}",
        owner=runtime(request).new_id(),
    )


def validated[Model: BaseModel](model: type[Model], body: object) -> Model:
    """Read a body as a model.

    Raises:
        ValidationFailed: naming each field, and no value.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise validation_failed(
            [{**row, "loc": ("body", *row["loc"])} for row in error.errors(include_input=False)]
        ) from None


def answered(reply: Reply) -> Response:
    """Give a reply to a write, with what its idempotency key is worth."""
    answer = reply.answer
    headers = {"Idempotency-Expires": format_datetime(answer.expires_at, usegmt=True)}
    if reply.replayed:
        headers["Idempotency-Replayed"] = "true"
    if answer.status == STILL_PROCESSING:
        headers = {"Retry-After": "2"}
    media_type = PROBLEM_JSON if answer.status >= 400 else JSON
    return Response(answer.body, status_code=answer.status, headers=headers, media_type=media_type)


CallerDependency = Annotated[Caller, Depends(caller)]
BodyDependency = Annotated[object, Depends(parsed_body)]
