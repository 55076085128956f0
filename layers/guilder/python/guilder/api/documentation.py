"""The API document and its pages, offline: no file comes from anywhere else.

The document is made from the routers at build time (``python -m guilder.api.documentation`` writes ``openapi.json``; a test holds it
against the routers), so that no function makes it at run time. Addresses in it and in the page are relative: they work below any stage
path and any domain.
"""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response
from fastapi.openapi.utils import get_openapi

from guilder.api import health, ledger, notifications, payment_lists, payments, problems, refunds, schemas
from guilder.api.app import TITLE, VERSION
from guilder.errors import NotFound

router = APIRouter(include_in_schema=False)

DOCUMENT = Path(__file__).with_name("openapi.json")
_FILES = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "redoc.standalone.js": "text/javascript; charset=utf-8",
}
_SIGNED = "/v1/notifications/"
"""Called by processors, whose signatures stand in for API keys."""

_IMMUTABLE = {"Cache-Control": "public, max-age=86400"}
_POLICY = {
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:"
}


_BY_NAME = (
    schemas.CreatePayment,
    schemas.CapturePayment,
    schemas.Nothing,
    schemas.CreateRefund,
    schemas.Payment,
    schemas.Refund,
    schemas.Problem,
)
"""Taken from Pydantic itself: the routes read and render these, and FastAPI would drop the nulls from their examples."""

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Guilder API</title>
<link rel="stylesheet" href="docs/swagger-ui.css"></head>
<body><div id="ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({url: "openapi.json", dom_id: "#ui", deepLinking: true, persistAuthorization: true})</script>
</body></html>
"""


@router.get("/openapi.json")
async def document() -> Response:
    """Give the API document."""
    return Response(_read(DOCUMENT), media_type="application/json")


@router.get("/docs")
async def page() -> Response:
    """Show the API document, with a form for each call."""
    return Response(_PAGE, media_type="text/html; charset=utf-8", headers=_POLICY)


@router.get("/docs/{name}")
async def file(name: str) -> Response:
    """Give one of the page's files."""
    media_type = _FILES.get(name)
    package = find_spec("fastapi_offline")
    if media_type is None or package is None or package.origin is None:
        raise NotFound("There is no such file.")
    return Response(_read(Path(package.origin).with_name("static") / name), media_type=media_type, headers=_IMMUTABLE)


def build() -> dict[str, Any]:
    """Make the document from the routers."""
    whole = APIRouter()
    for part in (
        payments.write,
        payments.read,
        payment_lists.router,
        refunds.write,
        refunds.read,
        ledger.router,
        notifications.router,
        health.router,
    ):
        whole.include_router(part)
    made = get_openapi(
        title=TITLE,
        version=VERSION,
        description="Take payments, never charge twice, keep honest books. Every error is problem+json (RFC 9457).",
        routes=whole.routes,
        servers=[{"url": "./", "description": "Where this document came from."}],
    )
    components = made["components"]
    for model in _BY_NAME:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        components["schemas"] |= schema.pop("$defs", {}) | {model.__name__: schema}
    components["securitySchemes"] = {
        "ApiKey": {"type": "http", "scheme": "bearer", "description": "An API key: `gk_test_...` or `gk_live_...`."}
    }
    for path, operations in made["paths"].items():
        for operation in operations.values():
            by_processors = path.startswith(_SIGNED)
            for status, response in operation["responses"].items():
                if "requestBody" in operation and status in {"200", "201"} and not by_processors:
                    response["headers"] = problems.IDEMPOTENCY_HEADERS
            _finish(operation, secured=path.startswith("/v1/") and not by_processors)
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    return made


def _finish(operation: dict[str, Any], *, secured: bool) -> None:
    """Say who may call; and take out FastAPI's own 422, which is not how we answer."""
    if secured:
        operation["security"] = [{"ApiKey": []}]
    if "application/json" in operation["responses"].get("422", {}).get("content", {}):
        del operation["responses"]["422"]


@cache
def _read(path: Path) -> bytes:
    return path.read_bytes()


if __name__ == "__main__":
    DOCUMENT.write_text(json.dumps(build(), indent=2) + "\n", encoding="utf-8")
