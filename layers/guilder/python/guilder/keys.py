"""API keys: who is calling, for which merchant, in which mode, with which scopes.

A key is ``gk_test_`` or ``gk_live_``, the slot in two characters, and 160 random bits, all in Crockford's base32: it routes to its cell
without a look-up. Only its SHA-256 is stored: the key has more entropy than any dictionary, so a slow hash would add nothing but time.
"""

import asyncio
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from guilder import db, ids
from guilder.errors import Forbidden, Unauthenticated

SCOPES = frozenset({"payments:read", "payments:write", "refunds:read", "refunds:write", "balance:read", "ledger:read"})
"""All scopes. The demo merchant's key has every one."""

CACHE_LIFE = timedelta(seconds=60)
"""How long an environment trusts what it knows of a key: a revoked key works at most this much longer."""

_CACHE_SIZE = 10_000
_SECRET_BYTES = 20
_MODES = {"gk_test_": False, "gk_live_": True}
_SQL = db.load_queries(__file__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request comes from."""

    tenant: ids.Tenant
    key_id: UUID
    scopes: frozenset[str]
    processor: str
    expires_at: datetime | None

    def require(self, scope: str) -> None:
        """Check a scope.

        Raises:
            Forbidden: the key lacks it.
        """
        if scope not in self.scopes:
            raise Forbidden(f"This route needs an API key with the scope `{scope}`.")


@dataclass(frozen=True, slots=True)
class Provisioned:
    """A new merchant and its first key; the key is not stored and cannot be shown again."""

    merchant_id: str
    api_key: str


def slot_of(key: str) -> int:
    """Read the slot from a key.

    Raises:
        Unauthenticated: the text is not a key of ours.
    """
    if key[:8] not in _MODES or not key.isascii() or not 20 <= len(key) <= 100:
        raise Unauthenticated
    try:
        return ids.slot_from_characters(key[8:10])
    except ids.InvalidId:
        raise Unauthenticated from None


def digest(key: str) -> bytes:
    """Hash a key as it is stored."""
    return hashlib.sha256(key.encode()).digest()


class KeyRing:
    """What this environment knows about the keys it has seen, for at most ``CACHE_LIFE``.

    Unknown keys are not remembered, so that a key works from the moment it is made.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._known: dict[bytes, tuple[datetime, Caller]] = {}

    async def identify(self, key: str, database: db.CellDatabase) -> Caller:
        """Find the caller behind a key.

        Raises:
            Unauthenticated: unknown, revoked or expired.
            Unavailable: the database did not answer.
        """
        key_hash = digest(key)
        now = self._clock()
        known = self._known.get(key_hash)
        if known is None or now - known[0] >= CACHE_LIFE:
            known = (now, await self._look_up(key, key_hash, database))
            if len(self._known) >= _CACHE_SIZE:
                self._known.clear()
            self._known[key_hash] = known
        caller = known[1]
        if caller.expires_at is not None and caller.expires_at <= now:
            raise Unauthenticated
        return caller

    async def _look_up(self, key: str, key_hash: bytes, database: db.CellDatabase) -> Caller:
        row = await database.writer.fetchrow(_SQL["find_key"], slot_of(key), key_hash)
        if row is None:
            self._known.pop(key_hash, None)
            raise Unauthenticated
        return Caller(
            tenant=ids.Tenant(row["slot"], row["merchant_id"], row["livemode"]),
            key_id=row["id"],
            scopes=frozenset(row["scopes"]),
            processor=row["processor"],
            expires_at=row["expires_at"],
        )


async def provision(
    connection: asyncpg.Connection, name: str, *, livemode: bool, merchant: UUID, key_id: UUID
) -> Provisioned:
    """Make a merchant and its first API key, with all scopes. For the migrate function, which connects as the administrator.

    Raises:
        ValueError: the name is empty.
    """
    if not name.strip():
        raise ValueError("a merchant needs a name")
    slot = ids.slot_of_merchant(merchant)
    key = _new_key(slot, livemode=livemode)
    async with asyncio.timeout(10):
        await connection.execute(
            _SQL["provision"],
            slot,
            merchant,
            name.strip(),
            livemode,
            key_id,
            digest(key),
            sorted(SCOPES),
            datetime.now(UTC),
        )
    return Provisioned(ids.encode("mer", slot, merchant), key)


def _new_key(slot: int, *, livemode: bool) -> str:
    secret = int.from_bytes(os.urandom(_SECRET_BYTES))
    characters = "".join(ids.ALPHABET[secret >> shift & 31] for shift in range(0, _SECRET_BYTES * 8, 5))
    prefix = next(prefix for prefix, live in _MODES.items() if live == livemode)
    return f"{prefix}{ids.slot_characters(slot)}{characters}"
