"""Identifiers: a prefix, the slot, and a UUIDv7 (RFC 9562), for example ``pay_7Z06FB9VQ9ENSXR7J8KBJ5N4A3VC``.

The two characters after the prefix are the slot in Crockford's base32, so that any id says which cell holds its row without a look-up.
The other 26 are the UUID, in the same alphabet, which sorts as the bytes do: a later id is a greater one. An id is not a secret and
grants nothing.
"""

import hashlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

SLOTS = 1024
"""Logical slots. Fixed for ever: ids, keys and rows carry the slot."""

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [high + low for high in ALPHABET for low in ALPHABET]
_PAIR_VALUES = {pair: value for value, pair in enumerate(_PAIRS)}
_UUID_PAIRS = 13
_UUID_MAX = (1 << 128) - 1


@dataclass(frozen=True, slots=True)
class ObjectId:
    """Where a row lives: its slot and its key."""

    slot: int
    uuid: UUID


@dataclass(frozen=True, slots=True)
class Tenant:
    """Whose rows: every query names all three. Test and live mode are separate worlds."""

    slot: int
    merchant: UUID
    livemode: bool


class InvalidId(ValueError):
    """The text is not an id of the expected kind."""


def encode(prefix: str, slot: int, uuid: UUID) -> str:
    """Write an id as the API shows it."""
    value = uuid.int
    pairs = [""] * _UUID_PAIRS
    for place in range(_UUID_PAIRS - 1, -1, -1):
        pairs[place] = _PAIRS[value & 1023]
        value >>= 10
    return f"{prefix}_{_PAIRS[slot]}{''.join(pairs)}"


def decode(prefix: str, text: str) -> ObjectId:
    """Read an id.

    Raises:
        InvalidId: another prefix, another length, or a character outside the alphabet.
    """
    kind, _, rest = text.partition("_")
    if kind != prefix or len(rest) != 2 + 2 * _UUID_PAIRS:
        raise InvalidId(prefix)
    try:
        value = 0
        for start in range(2, len(rest), 2):
            value = value << 10 | _PAIR_VALUES[rest[start : start + 2]]
        slot = _PAIR_VALUES[rest[:2]]
    except KeyError:
        raise InvalidId(prefix) from None
    if value > _UUID_MAX:
        raise InvalidId(prefix)
    return ObjectId(slot, UUID(int=value))


def encode_uuid(uuid: UUID) -> str:
    """Write a UUID alone, as the 26 characters that ids end with."""
    return encode("", 0, uuid)[3:]


def slot_characters(slot: int) -> str:
    """Write a slot as the two characters that ids and keys carry."""
    return _PAIRS[slot]


def slot_from_characters(text: str) -> int:
    """Read a slot from two characters.

    Raises:
        InvalidId: not two characters of the alphabet.
    """
    try:
        return _PAIR_VALUES[text]
    except KeyError:
        raise InvalidId("slot") from None


def slot_of_merchant(merchant: UUID) -> int:
    """Place a merchant: all its rows live in this slot, for ever."""
    return int.from_bytes(hashlib.sha256(merchant.bytes).digest()[:8]) % SLOTS


class IdSource:
    """Makes UUIDv7s: 48 bits of milliseconds, a 12-bit counter that keeps them monotonic within the process, 62 random bits.

    The random bits are read from the operating system for every id, never from a generator in memory: environments restored from one
    snapshot, or forked, share their memory and must not repeat an id.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last_ms = 0
        self._counter = 0

    def new(self) -> UUID:
        """Make the next id."""
        random = int.from_bytes(os.urandom(8))
        with self._lock:
            milliseconds = int(self._clock().timestamp() * 1000)
            if milliseconds > self._last_ms:
                self._last_ms, self._counter = milliseconds, 0
            elif self._counter < 0xFFF:
                self._counter += 1
            else:  # 4,096 ids within one millisecond, or the clock was set back: borrow the next millisecond
                self._last_ms, self._counter = self._last_ms + 1, 0
            stamp, counter = self._last_ms, self._counter
        return UUID(int=stamp << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | random & (1 << 62) - 1)
