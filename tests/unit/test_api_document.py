"""The committed API document is the routers', and it is valid OpenAPI 3.1."""

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from guilder.api import documentation, schemas
from guilder.ids import Tenant
from guilder.money import Money
from guilder.payments import Failure, Payment
from guilder.states import Status
from openapi_spec_validator import validate

ROOT = Path(__file__).parents[2]
PAYMENT = Payment(
    tenant=Tenant(7, UUID(int=1), livemode=False),
    id=UUID(int=5),
    owner=UUID(int=2),
    status=Status.FAILED,
    version=2,
    money=Money(1050, "EUR"),
    capture_method="automatic",
    amount_capturable=0,
    amount_captured=0,
    amount_refunded=0,
    payment_method="tok_declined",
    customer="cus-1",
    merchant_reference="order-1",
    description="A book",
    metadata={"a": "b"},
    failure=Failure("card_declined", "Declined.", "do_not_honor"),
    next_action_url=None,
    cancellation_reason=None,
    review=None,
    authorization_expires_at=None,
    processor="simulator",
    processor_reference="ch_1",
    created_at=datetime(2026, 11, 23, 9, 30, 0, 123456, UTC),
    updated_at=datetime(2026, 11, 23, 9, 30, 1, tzinfo=UTC),
)


def test_the_committed_document_is_up_to_date() -> None:
    made = json.loads(json.dumps(documentation.build()))
    assert json.loads(documentation.DOCUMENT.read_text()) == made, "run `make openapi`"
    assert (ROOT / "docs/openapi.json").resolve() == documentation.DOCUMENT.resolve()


def test_it_is_valid_and_complete() -> None:
    document = json.loads(documentation.DOCUMENT.read_text())
    validate(document)
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"]
            if path.startswith("/v1/"):
                by_partners = not path.startswith("/v1/notifications/")  # those are signed by processors
                assert operation.get("security") == ([{"ApiKey": []}] if by_partners else None)
                assert {"401", "500", "503"} | ({"403"} if by_partners else set()) <= set(operation["responses"])
                for status, response in operation["responses"].items():
                    wanted = "application/problem+json" if int(status) >= 400 else "application/json"
                    assert list(response["content"]) == [wanted], (path, status)


def test_a_rendered_payment_has_exactly_the_documented_members() -> None:
    variants = [
        PAYMENT,
        dataclasses.replace(
            PAYMENT, status=Status.REQUIRES_ACTION, failure=None, next_action_url="https://example.test/a"
        ),
        dataclasses.replace(PAYMENT, status=Status.SUCCEEDED, failure=None, customer=None, metadata={}),
    ]
    for payment in variants:
        rendered = json.loads(payment.snapshot())
        assert list(rendered) == list(schemas.Payment.model_fields)
        schemas.Payment.model_validate(rendered)


def test_times_are_rfc_3339_in_utc() -> None:
    rendered = json.loads(PAYMENT.snapshot())
    assert rendered["created_at"] == "2026-11-23T09:30:00.123456Z"
    assert rendered["updated_at"] == "2026-11-23T09:30:01Z"


def test_the_examples_are_valid() -> None:
    document = json.loads(documentation.DOCUMENT.read_text())
    for model in (schemas.CreatePayment, schemas.Payment, schemas.CapturePayment, schemas.CreateRefund, schemas.Refund):
        for example in document["components"]["schemas"][model.__name__]["examples"]:
            model.model_validate(example)
