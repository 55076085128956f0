"""What a route asks for: the caller, the idempotency key, the checked body."""

from typing import Annotated

import orjson
from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from guilder import idempotency
from guilder.api.card_numbers import contains_card_number, looks_like_digits
from guilder.errors import CardNumberRefused, MalformedRequest, RequestTooLarge, Unauthenticated
from guilder.ids import encode
from guilder.keys import Caller
from guilder.runtime import Runtime

API_VERSION = "2026-11-01"
MAX_BODY_BYTES = 64 * 1024

bearer = HTTPBearer(auto_error=False, scheme_name="ApiKey", description="An API key: `gk_test_...` or `gk_live_...`.")


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
    """Read the body as JSON, within the size limit and without card numbers. Nothing of it is logged, here or later.

    Raises:
        RequestTooLarge, MalformedRequest, CardNumberRefused: as they say.
    """
    raw = await request.body()
    if len(raw) > MAX_BODY_BYTES:
        raise RequestTooLarge(f"A request body is at most {MAX_BODY_BYTES} bytes.")
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
    mode = "live" if who.livemode else "test"
    return idempotency.Request(
        key=key,
        fingerprint=idempotency.fingerprint(request.method, route, API_VERSION, body),
        cache_key=f"idem:{encode('mer', who.slot, who.merchant)}:{mode}:{key}",
        owner=runtime(request).new_id(),
    )


CallerDependency = Annotated[Caller, Depends(caller)]
BodyDependency = Annotated[object, Depends(parsed_body)]
