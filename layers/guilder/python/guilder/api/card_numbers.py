"""Card numbers are refused wherever they come in, so that card data stays out of Guilder, its logs and its backups.

A card number is 13 to 19 digits (spaces and dashes between them do not count) that pass Luhn's check AND begin as a scheme's numbers do,
at that scheme's length. Luhn alone would refuse a tenth of all order numbers and of all times in milliseconds.
"""

import re
from collections.abc import Iterator

_RUN = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d|[ -]\d)")
_IDENTIFIER = re.compile(
    r"[0-9a-fA-F]{8}(-?)[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{12}|[a-z]{2,5}_[0-9A-HJKMNP-TV-Z]{28}",
    re.ASCII,
)
"""A text that is a UUID, or one of our own ids, and nothing else. One UUID in four thousand has a run of digits that looks like a card
number; a key or reference of that kind must not be refused for it."""
_SEPARATORS = str.maketrans("", "", " -")

_SCHEMES: tuple[tuple[int, int, frozenset[int]], ...] = (
    # first and last beginning, as numbers of equal length, and the lengths of the scheme's card numbers
    (4, 4, frozenset({13, 16, 19})),  # Visa
    (51, 55, frozenset({16})),  # Mastercard
    (2221, 2720, frozenset({16})),  # Mastercard
    (34, 34, frozenset({15})),  # American Express
    (37, 37, frozenset({15})),  # American Express
    (300, 305, frozenset({14})),  # Diners Club
    (36, 36, frozenset({14})),  # Diners Club
    (38, 39, frozenset({14})),  # Diners Club
    (6011, 6011, frozenset({16, 17, 18, 19})),  # Discover
    (644, 649, frozenset({16, 17, 18, 19})),  # Discover
    (65, 65, frozenset({16, 17, 18, 19})),  # Discover, RuPay
    (3528, 3589, frozenset({16, 17, 18, 19})),  # JCB
    (62, 62, frozenset({16, 17, 18, 19})),  # UnionPay
    (5018, 5018, frozenset({13, 14, 15, 16, 17, 18, 19})),  # Maestro
    (5020, 5020, frozenset({13, 14, 15, 16, 17, 18, 19})),  # Maestro
    (5038, 5038, frozenset({13, 14, 15, 16, 17, 18, 19})),  # Maestro
    (5893, 5893, frozenset({13, 14, 15, 16, 17, 18, 19})),  # Maestro
    (6304, 6304, frozenset({13, 14, 15, 16, 17, 18, 19})),  # Maestro
    (6759, 6763, frozenset({13, 14, 15, 16, 17, 18, 19})),  # Maestro
    (60, 60, frozenset({16})),  # RuPay
    (81, 82, frozenset({16})),  # RuPay
    (2200, 2204, frozenset({16, 17, 18, 19})),  # Mir
)


def contains_card_number(value: object) -> bool:
    """Look through a parsed JSON value: strings, numbers, and the names of members."""
    return any(_is_card_text(text) for text in _texts(value))


def looks_like_digits(text: str) -> bool:
    """Tell cheaply whether a raw body is worth a closer look: a long run of digits, or an escape that could hide one."""
    return "\\u" in text or _RUN.search(text) is not None


def is_card_number(digits: str) -> bool:
    """Judge one run of digits."""
    return _has_scheme(digits) and _passes_luhn(digits)


def _is_card_text(text: str) -> bool:
    if _IDENTIFIER.fullmatch(text):
        return False
    return any(is_card_number(match[0].translate(_SEPARATORS)) for match in _RUN.finditer(text))


def _texts(value: object) -> Iterator[str]:
    """Walk a JSON value without recursion: its depth is the caller's choice."""
    stack = [value]
    while stack:
        match stack.pop():
            case str(text):
                yield text
            case bool() | None:
                continue
            case int() | float() as number:
                yield str(number)
            case dict() as members:
                stack.extend(members)
                stack.extend(members.values())
            case list() as items:
                stack.extend(items)


def _has_scheme(digits: str) -> bool:
    return any(
        len(digits) in lengths and first <= int(digits[: len(str(first))]) <= last for first, last, lengths in _SCHEMES
    )


def _passes_luhn(digits: str) -> bool:
    total = 0
    for place, character in enumerate(reversed(digits)):
        value = int(character) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
