"""`.local/outputs.json`: the addresses and keys of the running stack. A stable interface for people, tests and tools."""

import json
from dataclasses import asdict, dataclass

from devstack import api, credentials, localstack_server, services, simulator, valkey
from devstack.credentials import write_private
from devstack.localstack_server import LOCALSTACK
from devstack.postgres import PRIMARY
from devstack.replica import REPLICA
from devstack.stack import Stack


@dataclass(frozen=True, slots=True)
class Merchant:
    """The demo merchant, with an API key in test mode that may do everything."""

    merchant_id: str
    api_key: str


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the file says. The database URLs have passwords in them: the file is its owner's alone."""

    api_url: str
    docs_url: str
    api_key: str
    merchant_id: str
    simulator_url: str
    database_url: str
    replica_url: str
    pooler_url: str
    pooler_reader_url: str
    redis_url: str
    localstack_url: str
    log_dir: str


def write(stack: Stack, merchant: Merchant) -> Outputs:
    """Write the file."""
    pooler, pooler_reader = services.app_endpoints(stack, "guilder", password=True)
    outputs = Outputs(
        api_url=api.url(stack),
        docs_url=f"{api.url(stack)}/docs",
        api_key=merchant.api_key,
        merchant_id=merchant.merchant_id,
        simulator_url=simulator.url(stack),
        database_url=stack.url(credentials.SUPERUSER, PRIMARY, "guilder"),
        replica_url=stack.url(credentials.SUPERUSER, REPLICA, "guilder"),
        pooler_url=pooler,
        pooler_reader_url=pooler_reader,
        redis_url=valkey.url(stack),
        localstack_url=localstack_server.url(stack.port(LOCALSTACK)),
        log_dir=str(stack.paths.logs),
    )
    write_private(stack.paths.outputs, json.dumps(asdict(outputs), indent=2) + "\n")
    return outputs


def kept_merchant(stack: Stack) -> Merchant | None:
    """The demo merchant of an earlier run."""
    try:
        kept = json.loads(stack.paths.outputs.read_text())
        return Merchant(kept["merchant_id"], kept["api_key"])
    except (FileNotFoundError, json.JSONDecodeError, KeyError, TypeError):
        return None
