"""Every problem that a route documents can be provoked and is as documented; every route that takes an id keeps tenants apart."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from guilder import errors, ids
from guilder.api import documentation
from guilder.config import Settings

from tests.conftest import new_merchant
from tests.properties.world import Line, World
from tests.support.gateway import Answer
from tests.support.sql import Sql

DOCUMENT = json.loads(documentation.DOCUMENT.read_text())
HEADINGS = set(re.findall(r"^## ([a-z-]+)$", (Path(__file__).parents[2] / "docs/errors.md").read_text(), re.MULTILINE))
STATUS = {kind.slug: int(kind.status) for kind in errors.kinds()}
ROUTES = [(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods]
OF_PARTNERS = [route for route in ROUTES if route[1].startswith("/v1/") and "/notifications/" not in route[1]]
WITH_ID = [route for route in OF_PARTNERS if "{" in route[1]]


def documented(method: str, path: str) -> set[str]:
    """The problems that the document lists for a route."""
    answers = DOCUMENT["paths"][path][method.lower()]["responses"]
    return {
        slug
        for status, response in answers.items()
        if int(status) >= 400
        for slug in re.findall(r"\(`([a-z-]+)`\)", response["description"])
    }


PROBLEMS = [(method, path, slug) for method, path in ROUTES for slug in sorted(documented(method, path))]


class Caller:
    """Calls any route with what it needs, except for what a test takes away."""

    def __init__(self, world: World, sql: Sql, settings: Settings) -> None:
        self.world, self.sql, self.settings = world, sql, settings

    def create(self, **fields: object) -> dict[str, Any]:
        body = {"amount": 100, "currency": "EUR", "payment_method": "tok_visa"} | fields
        answer = self.world.post("payments", body, uuid4().hex, Line.GOOD)
        return dict(answer.json())

    def fill(self, path: str) -> str:
        """Put ids of existing objects, in a state in which the call works, into a path."""
        fields: dict[str, object] = {"confirm": False} if path.endswith("/confirm") else {"capture_method": "manual"}
        if "{payment_id}" in path:
            return path.replace("{payment_id}", self.create(**fields)["id"])
        if "{refund_id}" in path:
            refund = self.world.post("refunds", {"payment": self.create()["id"], "amount": 1}, uuid4().hex, Line.GOOD)
            return path.replace("{refund_id}", refund.json()["id"])
        return path.replace("{processor}", "simulator")

    def body(self, method: str, path: str) -> dict[str, object] | None:
        if method == "GET":
            return None
        if path.endswith("/refunds"):
            return {"payment": self.create()["id"], "amount": 1}
        return {"amount": 100, "currency": "EUR", "payment_method": "tok_visa"} if path.endswith("/payments") else {}

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: str = "",
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        wanted: dict[str, str | None] = {**self.world.environment.headers(), **(headers or {})}
        given = {name: value for name, value in wanted.items() if value is not None}
        return self.world.call(method, path, body, query=query, headers=given)


@pytest.fixture(scope="module")
def calls(world: World, sql: Sql, quick_settings: Settings) -> Caller:
    return Caller(world, sql, quick_settings)


type Provoke = Callable[[Caller, str, str], Answer]


def plainly(**change: Any) -> Provoke:
    """The call as it works, but for ``headers``, ``body`` or ``query``."""

    def provoke(calls: Caller, method: str, path: str) -> Answer:
        body = change.get("body", calls.body(method, path))
        headers = change.get("headers", {})
        return calls.send(method, calls.fill(path), body, query=change.get("query", ""), headers=headers)

    return provoke


def without_scopes(calls: Caller, method: str, path: str) -> Answer:
    merchant = new_merchant(calls.settings)
    place = ids.decode("mer", merchant["merchant_id"])
    calls.sql.rows("UPDATE api_keys SET scopes = '{}' WHERE slot = $1 AND merchant_id = $2", place.slot, place.uuid)
    key = {"Authorization": f"Bearer {merchant['api_key']}"}
    return calls.send(method, calls.fill(path), calls.body(method, path), headers=key)


def of_nobody(calls: Caller, method: str, path: str) -> Answer:
    body = calls.body(method, path)
    if path.endswith("/refunds"):
        body = {"payment": "pay_nothing"}
    return calls.send(method, re.sub(r"\{\w+\}", "nothing", path), body)


def broken(calls: Caller, method: str, path: str) -> Answer:
    """A fault of ours, wherever the route first asks for something."""
    filled, body = calls.fill(path), calls.body(method, path)
    with calls.world.out_of_order(RuntimeError("a secret in a message")):
        answer = calls.send(method, filled, body)
    assert b"a secret" not in answer.body
    return answer


def without_database(calls: Caller, method: str, path: str) -> Answer:
    filled, body = calls.fill(path), calls.body(method, path)
    with calls.world.out_of_order(errors.Unavailable("The database did not answer in time.")):
        return calls.send(method, filled, body)


def key_used(calls: Caller, method: str, path: str) -> Answer:
    key = uuid4().hex
    calls.world.post("payments", {"amount": 7, "currency": "EUR", "payment_method": "tok_visa"}, key, Line.GOOD)
    return calls.send(method, calls.fill(path), calls.body(method, path), headers={"Idempotency-Key": key})


def key_in_flight(calls: Caller, method: str, path: str) -> Answer:
    """Another environment claimed the key and is still at work: its row says so, with a lease that runs."""
    filled, body, key = calls.fill(path), calls.body(method, path), uuid4().hex
    first = calls.send(method, filled, body, headers={"Idempotency-Key": key})
    assert first.status < 300, first
    calls.sql.rows(
        "UPDATE idempotency SET response_body = NULL, response_status = NULL, owner = gen_random_uuid(), "
        "lease_until = now() + interval '1 minute' WHERE key = $1",
        key,
    )
    calls.world.forget_cache()
    return calls.send(method, filled, body, headers={"Idempotency-Key": key})


def wrong_state(calls: Caller, method: str, path: str) -> Answer:
    failed = calls.create(payment_method="tok_declined")["id"]
    body = {"payment": failed} if path.endswith("/refunds") else {}
    return calls.send(method, path.replace("{payment_id}", failed), body)


def too_much(calls: Caller, method: str, path: str) -> Answer:
    body = {"amount": 101} | ({"payment": calls.create()["id"]} if path.endswith("/refunds") else {})
    return calls.send(method, calls.fill(path), body)


def refused_by_the_processor(calls: Caller, method: str, path: str) -> Answer:
    """The authorization was voided at the processor, behind Guilder's back."""
    payment = calls.create(capture_method="manual")["id"]
    calls.world.void_behind_our_back(payment)
    return calls.send(method, path.replace("{payment_id}", payment), {})


def reference_taken(calls: Caller, method: str, path: str) -> Answer:
    reference = uuid4().hex
    calls.create(merchant_reference=reference)
    body = {"amount": 1, "currency": "EUR", "payment_method": "tok_visa", "merchant_reference": reference}
    return calls.send(method, path, body)


def invalid(calls: Caller, method: str, path: str) -> Answer:
    return (
        plainly(query="unheard_of=1")(calls, method, path)
        if method == "GET"
        else plainly(body={"unheard_of": 1})(calls, method, path)
    )


def card_number(calls: Caller, method: str, path: str) -> Answer:
    name = "account" if "transfers" in path else "customer"
    if method == "GET":
        value = "card:4242424242424242" if name == "account" else "4242424242424242"
        return plainly(query=f"{name}={value}")(calls, method, path)
    return plainly(body={"description": "4242 4242 4242 4242"})(calls, method, path)


PROVOKE: dict[str, Provoke] = {
    "unauthenticated": plainly(headers={"Authorization": None}),
    "forbidden": without_scopes,
    "internal-error": broken,
    "unavailable": without_database,
    "not-found": of_nobody,
    "malformed-request": plainly(body=b"{"),
    "validation-failed": invalid,
    "card-number-refused": card_number,
    "request-too-large": plainly(body=b" " * 70_000),
    "idempotency-key-missing": plainly(headers={"Idempotency-Key": None}),
    "idempotency-key-invalid": plainly(headers={"Idempotency-Key": "a b"}),
    "idempotency-key-reused": key_used,
    "idempotency-key-in-flight": key_in_flight,
    "state-conflict": wrong_state,
    "amount-too-large": too_much,
    "processor-declined": refused_by_the_processor,
    "merchant-reference-taken": reference_taken,
    "invalid-signature": plainly(body={"id": "forged"}, headers={"Simulator-Signature": "t=1,v1=00"}),
}


def hold_against_the_document(answer: Answer, slug: str) -> None:
    """Check an error answer: the type, its status, its place in the docs, and the form."""
    assert answer.headers["content-type"] == "application/problem+json", answer
    problem = answer.json()
    assert (answer.status, problem["type"]) == (STATUS[slug], errors.PROBLEM_TYPES + slug), answer
    assert slug in HEADINGS
    assert problem["status"] == answer.status
    assert {"title", "detail", "retryable", "request_id"} <= set(problem)
    assert answer.headers["request-id"].startswith("req_")
    if answer.status == 401:
        assert "www-authenticate" in answer.headers
    if problem["retryable"] and slug != "internal-error":
        assert "retry-after" in answer.headers


@pytest.mark.parametrize(("method", "path", "slug"), PROBLEMS)
def test_each_documented_problem_of_each_route_can_be_provoked(
    calls: Caller, method: str, path: str, slug: str
) -> None:
    hold_against_the_document(PROVOKE[slug](calls, method, path), slug)


@pytest.mark.parametrize(("method", "path"), OF_PARTNERS)
def test_each_route_below_v1_asks_who_is_calling(calls: Caller, method: str, path: str) -> None:
    for value in (None, "Bearer nonsense", "Basic dXNlcjpwYXNz"):
        answer = calls.send(method, calls.fill(path), calls.body(method, path), headers={"Authorization": value})
        hold_against_the_document(answer, "unauthenticated")
    hold_against_the_document(without_scopes(calls, method, path), "forbidden")


@pytest.fixture(scope="module")
def another(quick_settings: Settings) -> dict[str, str]:
    """Another merchant's key."""
    return {"Authorization": f"Bearer {new_merchant(quick_settings)['api_key']}"}


@pytest.mark.parametrize(("method", "path"), [*WITH_ID, ("POST", "/v1/refunds")])
def test_another_merchants_objects_do_not_exist(calls: Caller, another: dict[str, str], method: str, path: str) -> None:
    """Nor does an id whose slot was changed to one's own: the key decides where to look, and the merchant what is found."""
    filled, body = calls.fill(path), calls.body(method, path)
    hold_against_the_document(calls.send(method, filled, body, headers=another), "not-found")


def test_what_no_route_documents_is_a_problem_too(calls: Caller) -> None:
    hold_against_the_document(calls.send("GET", "/v1/nothing"), "not-found")
    hold_against_the_document(calls.send("DELETE", "/v1/payments"), "method-not-allowed")


def test_no_kind_of_error_is_left_out() -> None:
    provoked = {slug for _, _, slug in PROBLEMS} | {"method-not-allowed"}
    assert provoked == set(STATUS), "a kind of error that no route documents"
    assert set(STATUS) <= HEADINGS
