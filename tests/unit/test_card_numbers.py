"""The card-number rule: schemes' numbers are refused, other long numbers are not."""

import random
from uuid import UUID

import pytest
from guilder.api.card_numbers import contains_card_number, is_card_number, looks_like_digits
from guilder.ids import encode

CARDS = [
    "4242424242424242",
    "4000056655665556",
    "5555555555554444",
    "2223003122003222",
    "378282246310005",
    "371449635398431",
    "30569309025904",
    "36227206271667",
    "6011111111111117",
    "3566002020360505",
    "6200000000000005",
    "6304000000000000",
]


@pytest.mark.parametrize("card", CARDS)
def test_the_schemes_test_cards_are_found_in_any_writing(card: str) -> None:
    assert is_card_number(card)
    spaced = " ".join(card[start : start + 4] for start in range(0, len(card), 4))
    for text in (card, spaced, spaced.replace(" ", "-"), f"card {card}.", f"tok{card}x"):
        assert contains_card_number({"description": text}), text
        assert looks_like_digits(text)


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": {"4242424242424242": "x"}},
        {"amount": 4242424242424242},
        [[["4242 4242 4242 4242"]]],
        {"a": [1, None, True, {"b": "4242424242424242"}]},
    ],
)
def test_found_wherever_it_stands(body: object) -> None:
    assert contains_card_number(body)


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424241",
        "1234567890123",
        "42424242424242424242424",
        "order 4242-4242",
        "0000000000000000",
        "9999999999999995",
        "",
    ],
)
def test_other_digits_pass(text: str) -> None:
    assert not contains_card_number(text)


def test_a_deep_body_is_walked_without_recursion() -> None:
    body: object = "4242424242424242"
    for _ in range(100_000):
        body = [body]
    assert contains_card_number(body)


def luhn_digit(digits: str) -> str:
    total = sum(sum(divmod(int(digit) * (1 + (place + 1) % 2), 10)) for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)


def test_luhn_valid_times_and_device_numbers_are_refused_only_where_a_scheme_begins_so() -> None:
    """10,000 each of epoch milliseconds (13 digits) and IMEIs (15 digits, always Luhn-valid)."""
    source = random.Random(20261123)
    times = [str(source.randrange(1_500_000_000_000, 1_999_999_999_999)) for _ in range(10_000)]
    assert not [text for text in times if contains_card_number(text)]

    bodies = [f"{source.choice(['35', '86', '01', '99'])}{source.randrange(10**12):012}" for _ in range(10_000)]
    devices = [body + luhn_digit(body) for body in bodies]
    refused = [text for text in devices if contains_card_number(text)]
    assert not refused, "no scheme has 15-digit numbers that begin with 35, 86, 01 or 99"
    like_amex = ["37" + body[2:] for body in bodies]
    assert all(contains_card_number(body + luhn_digit(body)) for body in like_amex)


def test_uuids_and_our_own_ids_are_never_taken_for_card_numbers() -> None:
    """100,000 UUIDs: dozens of them have a run of digits that a scheme's numbers could have."""
    source = random.Random(20261123)
    uuids = [UUID(int=source.getrandbits(128), version=4) for _ in range(100_000)]
    assert not [uuid for uuid in uuids if contains_card_number(str(uuid)) or contains_card_number(uuid.hex)]
    assert any(contains_card_number(f"key {uuid.hex}") for uuid in uuids), "the sample does not show what it should"
    assert not [uuid for uuid in uuids if contains_card_number(encode("pay", 5, uuid))]
    assert contains_card_number("4242424242424242"), "a bare number is no identifier"
    assert contains_card_number("00000000-4242-4242-4242-424242420000 and more 4242424242424242")
