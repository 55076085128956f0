"""The whole API in one app, for these tests alone: in AWS each function serves its part of it."""

from fastapi import FastAPI
from guilder.api import documentation, health, ledger, notifications, payment_lists, payments, refunds
from guilder.api.app import create_app
from guilder.runtime import Runtime

ROUTERS = [
    payments.write,
    payments.read,
    payment_lists.router,
    refunds.write,
    refunds.read,
    ledger.router,
    notifications.router,
    health.router,
]


def whole_app(runtime: Runtime) -> FastAPI:
    """Every router that the API document has, and the document's own."""
    return create_app(runtime, [*ROUTERS, documentation.router])
