"""The apps behind the functions: which routers each one serves."""

from fastapi import FastAPI

from guilder.api import payments, refunds
from guilder.api.app import create_app
from guilder.runtime import Runtime

TEXT_MIME_TYPES = ["text/", "application/json", "application/problem+json"]
"""What Mangum hands to API Gateway as text; all else goes as base64, which REST APIs decode for listed media types only."""


def write_app(runtime: Runtime) -> FastAPI:
    """Everything that changes something."""
    return create_app(runtime, [payments.write, refunds.write])


def notifications_app(runtime: Runtime) -> FastAPI:
    """What card processors report."""
    from guilder.api import notifications  # the other functions do not need it

    return create_app(runtime, [notifications.router])


def read_app(runtime: Runtime) -> FastAPI:
    """Everything that only reads, the health check and the documentation."""
    from guilder.api import documentation, health, ledger, payment_lists  # the write function needs none of them

    return create_app(
        runtime, [payments.read, payment_lists.router, refunds.read, ledger.router, health.router, documentation.router]
    )
