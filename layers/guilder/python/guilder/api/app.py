"""The FastAPI apps: one per function, from the same routers, and the whole for the API document."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guilder import ids
from guilder.api import problems
from guilder.runtime import Runtime

TITLE = "Guilder"
VERSION = "0.1.0"


def create_app(runtime: Runtime, routers: Sequence[APIRouter]) -> FastAPI:
    """Build an app. FastAPI's own document and pages stay off: ``documentation`` serves the whole API's."""
    app = FastAPI(title=TITLE, version=VERSION, openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.runtime = runtime
    problems.install(app)
    for router in routers:
        app.include_router(router)
    app.add_middleware(Envelope, runtime=runtime)
    return app


class Envelope:
    """Around every request: an id on the answer (``Request-Id``: what to name when asking what happened), and an answer to every error.

    An error that nobody foresaw is answered here, since Starlette would raise it again and Mangum would log its message, which may quote
    what the caller sent.
    """

    def __init__(self, app: ASGIApp, runtime: Runtime) -> None:
        self._app = app
        self._runtime = runtime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        request_id = ids.encode("req", 0, self._runtime.new_id())
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)["Request-Id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:  # noqa: BLE001 (the last one to catch it)
            answer = problems.unforeseen(error, Request(scope))
            if not started:
                await answer(scope, receive, send_with_id)
