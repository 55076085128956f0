"""Ids: RFC 9562's version 7, ordered, unrepeatable after a fork, readable back."""

import os
from datetime import UTC, datetime
from uuid import UUID

import pytest
from guilder import ids
from guilder.runtime import utc_now
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(0, ids.SLOTS - 1), st.uuids())
def test_an_id_reads_back(slot: int, uuid: UUID) -> None:
    text = ids.encode("pay", slot, uuid)
    assert len(text) == 4 + 2 + 26
    assert ids.decode("pay", text) == ids.ObjectId(slot, uuid)


@given(st.integers(0, ids.SLOTS - 1), st.lists(st.uuids(), min_size=2, max_size=2))
def test_text_sorts_as_the_uuids_do(slot: int, pair: list[UUID]) -> None:
    assert (ids.encode("pay", slot, pair[0]) < ids.encode("pay", slot, pair[1])) == (pair[0] < pair[1])


@given(st.text(max_size=40))
def test_any_other_text_is_refused_and_nothing_else_happens(text: str) -> None:
    try:
        found = ids.decode("pay", text)
    except ids.InvalidId:
        return
    assert ids.encode("pay", found.slot, found.uuid) == text


def test_an_id_of_another_kind_or_beyond_128_bits_is_refused() -> None:
    text = ids.encode("pay", 7, UUID(int=1))
    with pytest.raises(ids.InvalidId):
        ids.decode("mer", text)
    with pytest.raises(ids.InvalidId):
        ids.decode("pay", "pay_07" + "Z" * 26)


def test_a_new_id_is_a_version_7_uuid_of_now() -> None:
    now = datetime(2026, 11, 23, 12, 0, 0, 123000, UTC)
    uuid = ids.IdSource(lambda: now).new()
    assert (uuid.version, uuid.variant) == (7, "specified in RFC 4122")
    assert uuid.int >> 80 == int(now.timestamp() * 1000)


def test_ids_of_one_process_only_grow_even_within_a_millisecond_and_when_the_clock_goes_back() -> None:
    moments = iter([1000.0] * 5000 + [999.0] * 100 + [1001.0] * 10)
    source = ids.IdSource(lambda: datetime.fromtimestamp(next(moments), UTC))
    made = [source.new() for _ in range(5110)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_environments_cloned_after_import_never_make_the_same_id() -> None:
    """Fork as a snapshot does: the same memory twice. The clock stands still in both, so only fresh randomness can tell the ids apart."""
    frozen = utc_now()
    source = ids.IdSource(lambda: frozen)
    source.new()

    def children_ids() -> set[str]:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(write, "\n".join(str(source.new()) for _ in range(200)).encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as pipe:
            made = set(pipe.read().split())
        os.waitpid(child, 0)
        return made

    first, second = children_ids(), children_ids()
    assert len(first) == len(second) == 200
    assert not first & second


def test_a_merchants_slot_is_stable_and_spread() -> None:
    assert ids.slot_of_merchant(UUID(int=1)) == ids.slot_of_merchant(UUID(int=1))
    slots = {ids.slot_of_merchant(UUID(int=number)) for number in range(5000)}
    assert len(slots) > 900
    assert all(0 <= slot < ids.SLOTS for slot in slots)


def test_slot_characters_read_back() -> None:
    assert [ids.slot_from_characters(ids.slot_characters(slot)) for slot in range(ids.SLOTS)] == list(range(ids.SLOTS))
    with pytest.raises(ids.InvalidId):
        ids.slot_from_characters("u!")
