"""The error tree: each type complete, constant, documented and rendered as a problem."""

import re
from pathlib import Path
from typing import Any

import pytest
from guilder import errors
from guilder.errors import GuilderError, kinds, problem
from guilder.phases import NOT_PROCESSED
from guilder.processors.protocol import FAILURE_CODES

DOCS = Path(__file__).parents[2] / "docs" / "errors.md"
ARGUMENTS: dict[str, tuple[Any, ...]] = {"ValidationFailed": ([],), "IdempotencyKeyInFlight": (1,)}
WITHOUT_ARGUMENTS = {
    "CardNumberRefused", "IdempotencyKeyMissing", "IdempotencyKeyInvalid", "IdempotencyKeyReused", "Unauthenticated",
    "MerchantReferenceTaken", "NotificationSignatureInvalid", "InternalError",
}  # fmt: skip


def make(kind: type[GuilderError]) -> GuilderError:
    default: tuple[Any, ...] = () if kind.__name__ in WITHOUT_ARGUMENTS else ("detail",)
    return kind(*ARGUMENTS.get(kind.__name__, default))


@pytest.mark.parametrize("kind", kinds())
def test_each_renders_as_a_problem(kind: type[GuilderError]) -> None:
    body = problem(make(kind), "req_1")
    assert body["type"] == f"https://guilder.dev/problems/{kind.slug}"
    assert body["status"] == kind.status >= 400
    assert body["title"] == kind.title
    assert body["request_id"] == "req_1"
    assert isinstance(body["retryable"], bool)
    assert all(re.fullmatch(r"[A-Za-z0-9_]{3,}", member) for member in body)


def test_a_type_means_one_status_and_one_title() -> None:
    seen = {kind.slug: (kind.status, kind.title) for kind in kinds()}
    assert len(seen) == len(kinds())


def test_the_tree_in_the_modules_text_is_the_tree() -> None:
    drawn = dict(re.findall(r"── (\w+) +(\d{3}) ", errors.__doc__ or ""))
    assert drawn == {kind.__name__: str(int(kind.status)) for kind in kinds()}


def test_each_type_is_documented_under_its_name() -> None:
    headings = set(re.findall(r"^## ([a-z-]+)$", DOCS.read_text(), re.MULTILINE))
    assert headings == {kind.slug for kind in kinds()}


def test_each_failure_code_is_in_the_guide() -> None:
    guide = (DOCS.parent / "api.md").read_text()
    assert [code for code in sorted(FAILURE_CODES | {NOT_PROCESSED}) if f"`{code}`" not in guide] == []
