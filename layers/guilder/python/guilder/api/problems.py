"""Every error leaves as problem+json: ours, FastAPI's, and those that nobody foresaw."""

from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from guilder.errors import (
    CardNumberRefused,
    Forbidden,
    GuilderError,
    IdempotencyKeyInFlight,
    IdempotencyKeyInvalid,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    InternalError,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    RequestTooLarge,
    Unauthenticated,
    Unavailable,
    ValidationFailed,
    problem,
)
from guilder.log import logger

MEDIA_TYPE = "application/problem+json"
PROBLEM_SCHEMA = {"$ref": "#/components/schemas/Problem"}


def render(error: GuilderError, request: Request) -> Response:
    """Turn an error into the answer."""
    body = orjson.dumps(problem(error, request.state.request_id))
    return Response(body, status_code=int(error.status), headers=dict(error.headers), media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Take over FastAPI's errors and ours; ``app.Envelope`` catches all others."""
    app.add_exception_handler(GuilderError, _guilder)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)


def validation_failed(errors: Sequence[Any]) -> ValidationFailed:
    """Name the fields that Pydantic refused, never their values: a value may be a secret."""
    return ValidationFailed([{"pointer": _pointer(error["loc"]), "message": _message(error)} for error in errors])


def responses(*expected: type[GuilderError]) -> dict[int | str, dict[str, Any]]:
    """List problems for the OpenAPI document, by status."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for kind in expected:
        known = by_status.setdefault(
            int(kind.status), {"description": "", "content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}}}
        )
        known["description"] = "; ".join(filter(None, [known["description"], f"{kind.title} (`{kind.slug}`)"]))
    return by_status


ALWAYS = (Unauthenticated, Forbidden, InternalError, Unavailable)
"""What every route below /v1 can answer."""

_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "A new random value per intended operation, the same for every retry of it.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "example": "3f1c2b9e-order-1001",
}
IDEMPOTENCY_HEADERS = {
    "Idempotency-Replayed": {
        "description": "`true`: this is the first request's answer.",
        "schema": {"type": "string"},
    },
    "Idempotency-Expires": {"description": "Until then the key replays this answer.", "schema": {"type": "string"}},
}
_WRITES = (
    *ALWAYS, MalformedRequest, IdempotencyKeyMissing, IdempotencyKeyInvalid, IdempotencyKeyInFlight, IdempotencyKeyReused,
    CardNumberRefused, ValidationFailed, RequestTooLarge,
)  # fmt: skip


def write_document(model: str, *, required: bool = True) -> dict[str, Any]:
    """Describe a write's key and body, which the routes read themselves."""
    body = {
        "required": required,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model}"}}},
    }
    return {"parameters": [_IDEMPOTENCY_KEY], "requestBody": body}


def writing(model: type[BaseModel], *expected: type[GuilderError]) -> dict[int | str, dict[str, Any]]:
    """List what a write can answer, for the API document."""
    return {
        202: {
            "model": model,
            "description": "The processor has not answered. Send the same request again, or read the object later.",
        },
        **responses(*_WRITES, *expected),
    }


async def _guilder(request: Request, error: Exception) -> Response:
    assert isinstance(error, GuilderError)  # noqa: S101 (registered for this type)
    return render(error, request)


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 (registered for this type)
    return render(validation_failed(error.errors()), request)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for this type)
    match error.status_code:
        case 404:
            return render(NotFound("There is no such route. The API document lists them all."), request)
        case 405:
            return render(
                MethodNotAllowed("Look at the Allow header for what works here.", headers=error.headers), request
            )
        case status if status < 500:
            return render(MalformedRequest("The request cannot be read."), request)
        case _:
            return render(InternalError(), request)


def unforeseen(error: Exception, request: Request) -> Response:
    """Answer an error that nobody foresaw, and log where it happened."""
    logger.error(
        "unforeseen error",
        extra={"request_id": request.state.request_id, "error": type(error).__name__, "where": _where(error)},
    )
    return render(InternalError(), request)


def _where(error: Exception) -> str:
    """Name the lines that raised, without the message: it may quote what the caller sent."""
    frames: list[str] = []
    trace = error.__traceback__
    while trace is not None and len(frames) < 100:
        frames.append(f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " > ".join(frames[-8:])


def _pointer(location: Sequence[str | int]) -> str:
    place, *path = location
    if place != "body":
        return str(path[0]) if path else str(place)
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _message(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "is not a field of this request"
    message = str(error["msg"]).removeprefix("Value error, ")
    return message[:200]
