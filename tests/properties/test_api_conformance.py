"""Schemathesis calls every operation as its document says, and as it does not: no answer is a 5xx, and every answer is as documented.

All routers stand in one app here, served over HTTP on loopback by the real services. The examples are the same in every run.
"""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
import uvicorn
from guilder.api import documentation
from guilder.config import Settings
from guilder.runtime import Runtime
from hypothesis import HealthCheck, given, seed
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.conftest import new_merchant
from tests.properties.whole import whole_app
from tests.support.environment import Environment

SEED = 20261123
EXAMPLES = {GenerationMode.POSITIVE: 50, GenerationMode.NEGATIVE: 30}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
DOCUMENT = json.loads(documentation.DOCUMENT.read_text())
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = [f"{method.upper()} {path}" for path, methods in DOCUMENT["paths"].items() for method in methods]
CALLS = [
    (label, mode)
    for label in OPERATIONS
    for mode in EXAMPLES
    if label != "GET /healthz" or mode is GenerationMode.POSITIVE  # it takes nothing, so nothing can be wrong
]
START_SECONDS = 20


@pytest.fixture(scope="module")
def api(quick_settings: Settings) -> Iterator[str]:
    """The whole API on a free port of loopback."""
    runtime = Runtime(quick_settings)
    config = uvicorn.Config(whole_app(runtime), host="127.0.0.1", port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        assert time.monotonic() < deadline, "uvicorn does not start"
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(START_SECONDS)


@pytest.fixture
def key_and_objects(quick_settings: Settings) -> tuple[str, dict[str, list[str]]]:
    """A merchant's API key, and ids of its payments in each state and of its refunds, for the path of a call."""
    api_key = new_merchant(quick_settings)["api_key"]
    with Environment(quick_settings, api_key) as environment:
        variants: list[dict[str, Any]] = [
            {}, {"capture_method": "manual"}, {"confirm": False}, {"payment_method": "tok_declined"},
            {"payment_method": "tok_requires_action"}, {"payment_method": "tok_refund_pending"},
        ]  # fmt: skip
        payments = [environment.pay(**fields).json()["id"] for fields in variants]
        refunds = [environment.post("refunds", {"payment": payments[0], "amount": 1}).json()["id"]]
    return api_key, {"payment_id": payments, "refund_id": refunds, "processor": ["simulator"]}


@pytest.mark.parametrize(("label", "mode"), CALLS, ids=[f"{label} {mode.value}" for label, mode in CALLS])
def test_each_operation_answers_as_documented(
    api: str, key_and_objects: tuple[str, dict[str, list[str]]], label: str, mode: GenerationMode
) -> None:
    api_key, objects = key_and_objects
    operation = SCHEMA.find_operation_by_label(label)
    assert operation is not None
    answered: list[int] = []

    @seed(SEED)
    @hypothesis_settings(
        max_examples=EXAMPLES[mode],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans(), place=st.integers(0, 99))
    def each(case: schemathesis.Case[Any], known: bool, place: int) -> None:
        for name in case.path_parameters if known else ():
            case.path_parameters[name] = objects[name][place % len(objects[name])]
        if known and label == "POST /v1/refunds" and isinstance(case.body, dict) and "payment" in case.body:
            case.body["payment"] = objects["payment_id"][0]
        if known and mode is GenerationMode.POSITIVE and "Idempotency-Key" in case.headers:
            case.headers["Idempotency-Key"] = uuid4().hex  # Hypothesis repeats short ones, and a used one says 422
        response = case.call(base_url=api, headers={"Authorization": f"Bearer {api_key}"})
        answered.append(response.status_code)
        case.validate_response(response, checks=CHECKS)
        assert response.headers["request-id"][0].startswith("req_")

    each()
    assert len(answered) >= EXAMPLES[mode], "too few examples"
    unsigned = "/notifications/" in label  # the signature stands in a header that no document can make
    assert mode is GenerationMode.NEGATIVE or unsigned or min(answered) < 300, "no call got as far as an answer"
