"""Money: whole minor units of a known currency."""

import pytest
from guilder.money import EXPONENTS, Money
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (1050, "EUR", "10.50 EUR"),
        (5, "EUR", "0.05 EUR"),
        (0, "USD", "0.00 USD"),
        (1050, "JPY", "1050 JPY"),
        (1, "BHD", "0.001 BHD"),
        (12345, "CLF", "1.2345 CLF"),
        (-1050, "EUR", "-10.50 EUR"),
    ],
)
def test_shown_as_people_write_it(amount: int, currency: str, shown: str) -> None:
    assert str(Money(amount, currency)) == shown


@pytest.mark.parametrize("currency", ["eur", "EU", "XXX", "XAU", "BTC", ""])
def test_unknown_currencies_are_refused(currency: str) -> None:
    with pytest.raises(ValueError, match="ISO 4217"):
        Money(1, currency)


@pytest.mark.parametrize("amount", [1.0, True, "1"])
def test_only_whole_numbers(amount: object) -> None:
    with pytest.raises(ValueError, match="whole number"):
        Money(amount, "EUR")  # type: ignore[arg-type]


def test_each_exponent_is_there() -> None:
    assert {EXPONENTS[code] for code in ("JPY", "EUR", "KWD", "UYW")} == {0, 2, 3, 4}
    assert all(len(code) == 3 and code.isupper() for code in EXPONENTS)


@given(st.integers(-(10**12), 10**12), st.sampled_from(sorted(EXPONENTS)))
def test_what_is_shown_holds_every_digit(amount: int, currency: str) -> None:
    digits = str(Money(amount, currency)).split()[0].replace(".", "")
    assert int(digits) == amount
