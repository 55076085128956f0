"""Where the deployed API is. Known before anything is deployed: LocalStack takes the API's id from a tag (infra/api.py)."""

from devstack import localstack_server
from devstack.localstack_server import LOCALSTACK
from devstack.stack import Stack

ENVIRONMENT = "local"
API_ID = "guilder"


def url(stack: Stack) -> str:
    """The API's address, without a slash at the end."""
    return f"{localstack_server.url(stack.port(LOCALSTACK))}/_aws/execute-api/{API_ID}/{ENVIRONMENT}"


def notification_url(stack: Stack, processor: str) -> str:
    """Where a card processor reports."""
    return f"{url(stack)}/v1/notifications/{processor}"
