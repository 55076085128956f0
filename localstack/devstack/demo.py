"""The payment that `make up` ends with, and the evidence: the ledger's transfers and the processor's own record."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

import httpx
from guilder import ids

from devstack import api, aws, credentials, simulator, sql
from devstack.errors import StackError
from devstack.localstack_server import LOCALSTACK
from devstack.outputs import Merchant, kept_merchant
from devstack.postgres import PRIMARY
from devstack.stack import Stack

MIGRATE = "guilder-local-migrate"
MIGRATE_HINT = "correct the migration; or delete the local data, for a fresh start: make down CLEAN=1."
TIMEOUT_SECONDS = 30.0

TRANSFERS = """
SELECT kind, debit_account, credit_account, amount, currency
FROM transfers WHERE slot = $1 AND merchant_id = $2 AND NOT livemode AND payment_id = $3 ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One payment, from all sides."""

    url: str
    headers: dict[str, str]
    body: dict[str, Any]
    status: int
    payment: dict[str, Any]
    transfers: list[dict[str, Any]]
    charges: list[dict[str, Any]]


def migrate(stack: Stack) -> str:
    """Run the migrations through the migrate Lambda; say what it applied."""
    cells: dict[str, dict[str, Any]] = _invoke(stack, {"action": "migrate"})["cells"]
    applied = [name for cell in cells.values() for name in cell["applied"]]
    versions = ", ".join(f"{name} at {cell['version']}" for name, cell in cells.items())
    return f"{len(applied)} applied, {versions}"


def merchant(stack: Stack) -> Merchant:
    """The demo merchant of an earlier run if its key still opens the door, else a new one."""
    kept = kept_merchant(stack)
    if kept is not None and _is_accepted(stack, kept):
        return kept
    made = _invoke(stack, {"action": "create_merchant", "name": "Demo", "livemode": False})
    return Merchant(made["merchant_id"], made["api_key"])


def pay(stack: Stack, payer: Merchant) -> Exchange:
    """Make a payment through API Gateway and collect the evidence.

    Raises:
        StackError: it did not succeed, or ledger or processor tell another story.
    """
    url = f"{api.url(stack)}/v1/payments"
    headers = {"Authorization": f"Bearer {payer.api_key}", "Idempotency-Key": str(uuid.uuid4())}
    body = {"amount": 4200, "currency": "EUR", "payment_method": "tok_visa", "description": "A first payment"}
    answer = httpx.post(url, headers=headers, json=body, timeout=TIMEOUT_SECONDS)
    payment = _object(answer)
    if answer.status_code != httpx.codes.CREATED or payment.get("status") != "succeeded":
        raise StackError(
            f"the payment was answered with {answer.status_code}: {answer.text[:500]}",
            log=stack.paths.log(LOCALSTACK),
            hint="The functions' own logs are in LocalStack's CloudWatch Logs.",
        )
    exchange = Exchange(
        url=url,
        headers=headers,
        body=body,
        status=answer.status_code,
        payment=payment,
        transfers=_transfers(stack, payer, payment["id"]),
        charges=_charges(stack, payment["id"]),
    )
    _check(exchange)
    return exchange


def curl(exchange: Exchange) -> str:
    """The line that makes another payment from a terminal."""
    return (
        f"curl -sS {exchange.url} \\\n"
        f"  -H 'Authorization: {exchange.headers['Authorization']}' \\\n"
        f"  -H \"Idempotency-Key: $(uuidgen 2>/dev/null || date +%s%N)\" -H 'Content-Type: application/json' \\\n"
        f"  -d '{json.dumps(exchange.body)}'"
    )


def _invoke(stack: Stack, event: dict[str, Any]) -> dict[str, Any]:
    """Call the migrate function and return its answer."""
    called = aws.lambda_client(stack).invoke(FunctionName=MIGRATE, Qualifier="live", Payload=json.dumps(event).encode())
    text = called["Payload"].read().decode()
    if called.get("FunctionError"):
        reason = json.loads(text).get("errorMessage", text)
        raise StackError(f"the migrate function failed: {reason}", log=stack.paths.log(LOCALSTACK), hint=MIGRATE_HINT)
    answer: dict[str, Any] = json.loads(text)
    return answer


def _is_accepted(stack: Stack, known: Merchant) -> bool:
    """Whether the API takes the key: reading a payment that does not exist tells, and changes nothing."""
    answer = httpx.get(
        f"{api.url(stack)}/v1/payments/none",
        headers={"Authorization": f"Bearer {known.api_key}"},
        timeout=TIMEOUT_SECONDS,
    )
    return answer.status_code not in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}


def _transfers(stack: Stack, payer: Merchant, payment_id: str) -> list[dict[str, Any]]:
    """The payment's rows in the ledger, straight from the primary."""
    owner, payment = ids.decode("mer", payer.merchant_id), ids.decode("pay", payment_id)
    url = stack.url(credentials.SUPERUSER, PRIMARY, "guilder")
    return [dict(row) for row in sql.fetch(url, TRANSFERS, payment.slot, owner.uuid, payment.uuid)]


def _charges(stack: Stack, payment_id: str) -> list[dict[str, Any]]:
    """What the processor says it charged."""
    answer = httpx.get(
        f"{simulator.url(stack)}/charges", params={"reference": payment_id}, timeout=TIMEOUT_SECONDS
    ).raise_for_status()
    charges: list[dict[str, Any]] = answer.json()["data"]
    return charges


def _check(exchange: Exchange) -> None:
    """One charge, and a ledger that has the same amount."""
    amount = exchange.body["amount"]
    charged = [charge["amount_captured"] for charge in exchange.charges]
    booked = [transfer["amount"] for transfer in exchange.transfers]
    if charged != [amount] or booked != [amount]:
        raise StackError(f"of a payment of {amount}, the processor charged {charged} and the ledger has {booked}")


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        content = answer.json()
    except json.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}
