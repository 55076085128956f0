"""The simulator as a Lambda: events of API Gateway and of a schedule, in a process as Lambda would have it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.simulator.conftest import NewDatabase
from tests.simulator.service import new

FOLDER = Path(__file__).parents[2] / "functions" / "simulator"
CALL_EVENTS = """
import json, sys
from handler import handler
print(json.dumps([handler(event, None) for event in json.load(sys.stdin)]))
"""


def invoke(database_url: str, *events: dict[str, Any]) -> list[dict[str, Any]]:
    """Call the handler with these events, one after the other, in one fresh environment."""
    completed = subprocess.run(
        [sys.executable, "-c", CALL_EVENTS],
        cwd=FOLDER,
        env=os.environ | {"SIMULATOR_DATABASE_URL": database_url, "SIMULATOR_SETTLE_SECONDS": "0"},
        input=json.dumps(events),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    answers: list[dict[str, Any]] = json.loads(completed.stdout)
    return answers


def http(method: str, path: str, body: dict[str, Any] | None = None, key: str = "") -> dict[str, Any]:
    """An event of a REST API."""
    headers = {"Host": "example.test", "Content-Type": "application/json", "Idempotency-Key": key}
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "requestContext": {"stage": "dev", "identity": {"sourceIp": "127.0.0.1"}},
        "body": json.dumps(body) if body is not None else None,
        "isBase64Encoded": False,
    }


async def test_calls_and_schedules(new_database: NewDatabase) -> None:
    key, reference = new("op"), new("pay")
    order = {"reference": reference, "amount": 5, "currency": "EUR", "source": "tok_late_success"}
    answers = invoke(
        await new_database(),
        http("GET", "/healthz"),
        http("POST", "/charges", order, key),
        {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}},
        http("GET", f"/operations/{key}"),
    )
    assert [answer.get("statusCode") for answer in answers] == [200, 402, None, 200]
    assert json.loads(answers[1]["body"])["status"] == "failed"
    assert answers[2] == {"worked_off": 1}
    assert json.loads(answers[3]["body"])["charge"]["status"] == "captured"
