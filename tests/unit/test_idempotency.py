"""Keys, fingerprints, and the order in which a claim's row is read."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from guilder.errors import IdempotencyKeyInvalid, IdempotencyKeyMissing
from guilder.idempotency import Request, Standing, fingerprint, parse_key, read_claim
from hypothesis import given
from hypothesis import strategies as st

VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=255)


@pytest.mark.parametrize(
    ("header", "key"), [("abc", "abc"), ('"abc"', "abc"), (' "a\\"b" ', 'a"b'), ("a" * 255, "a" * 255), ('"', '"')]
)
def test_keys_come_bare_or_quoted(header: str, key: str) -> None:
    assert parse_key(header) == key


@pytest.mark.parametrize("header", ["", " ", '""', "a" * 256, "a b", "ä", "a\tb"])
def test_other_keys_are_refused(header: str) -> None:
    with pytest.raises(IdempotencyKeyInvalid):
        parse_key(header)


def test_a_missing_key_is_its_own_error() -> None:
    with pytest.raises(IdempotencyKeyMissing):
        parse_key(None)


@given(VISIBLE.filter(lambda key: '"' not in key and "\\" not in key and len(key) <= 253))
def test_quoting_changes_nothing(key: str) -> None:
    assert parse_key(f'"{key}"') == parse_key(key) == key


def test_a_fingerprint_ignores_the_order_of_members_and_nothing_else() -> None:
    base = fingerprint("POST", "/v1/payments", "v", {"a": 1, "b": {"c": 2, "d": 3}})
    assert base == fingerprint("POST", "/v1/payments", "v", {"b": {"d": 3, "c": 2}, "a": 1})
    others = [
        fingerprint("PUT", "/v1/payments", "v", {"a": 1, "b": {"c": 2, "d": 3}}),
        fingerprint("POST", "/v1/refunds", "v", {"a": 1, "b": {"c": 2, "d": 3}}),
        fingerprint("POST", "/v1/payments", "w", {"a": 1, "b": {"c": 2, "d": 3}}),
        fingerprint("POST", "/v1/payments", "v", {"a": 1, "b": {"c": 2, "d": 4}}),
        fingerprint("POST", "/v1/payments", "v", {"a": "1", "b": {"c": 2, "d": 3}}),
    ]
    assert len({base, *others}) == 6


MINE, THEIRS, NEW, OLD = (UUID(int=number) for number in range(4))
REQUEST = Request("key", b"f" * 32, "cache-key", MINE)
ROW: dict[str, Any] = {
    "object_id": OLD,
    "operation_id": OLD,
    "fingerprint": b"f" * 32,
    "owner": THEIRS,
    "response_status": None,
    "response_body": None,
    "expires_at": datetime(2026, 1, 1, tzinfo=UTC),
}
ANSWERED = {"response_status": 201, "response_body": b"{}"}


@pytest.mark.parametrize(
    ("changes", "standing"),
    [
        ({"operation_id": NEW, "owner": MINE}, Standing.FRESH),
        ({"fingerprint": b"g" * 32}, Standing.MISMATCH),
        ({"fingerprint": b"g" * 32, **ANSWERED}, Standing.MISMATCH),
        ({"fingerprint": b"g" * 32, "owner": MINE}, Standing.MISMATCH),
        (ANSWERED, Standing.REPLAY),
        ({**ANSWERED, "owner": MINE}, Standing.REPLAY),
        ({"owner": MINE}, Standing.TAKE_OVER),
        ({}, Standing.IN_FLIGHT),
    ],
)
def test_the_row_is_read_in_this_order(changes: dict[str, Any], standing: Standing) -> None:
    claim = read_claim({**ROW, **changes}, NEW, REQUEST)  # type: ignore[arg-type]  # a Record reads as a mapping
    assert claim.standing is standing
    assert (claim.answer is not None) == (standing is Standing.REPLAY)
