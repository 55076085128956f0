"""Idempotency: one key, one effect, one answer.

PostgreSQL is the authority: the unique index on (slot, merchant, mode, key) is the lock, and one statement decides (the claim, in
``idempotency.sql``, with which the statement of every phase 1 begins). The cache saves the trip where it can: it holds the claim while the
first caller works, and the answer afterwards.

Read what the claim statement returns in this order (``read_claim``): our own operation means fresh; another fingerprint, mismatch; a
stored body, replay; our own owner, take-over of a lease that ran out; else the first caller is still at work.
"""

import asyncio
import hashlib
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from uuid import UUID

import orjson

from guilder import db
from guilder.cache import Cache, CacheUnavailable
from guilder.db import Row
from guilder.errors import IdempotencyKeyInvalid, IdempotencyKeyMissing

SQL = db.load_queries(__file__)

CACHE_LIFE = timedelta(hours=24)
KEY_LIFE = timedelta(days=7)
"""Published: for this long a key replays its answer. Later it is free again; ``merchant_reference`` is what stays unique for ever."""

MAX_KEY_LENGTH = 255
_POLL_FIRST_S = 0.02
_POLL_MOST_S = 0.2

_IN_FLIGHT = b"P"
_ANSWERED = b"R"
_ANSWER_HEAD = struct.Struct(">32sHq")


class Standing(Enum):
    """What a claim found."""

    FRESH = "fresh"
    MISMATCH = "mismatch"
    REPLAY = "replay"
    TAKE_OVER = "take_over"
    IN_FLIGHT = "in_flight"


@dataclass(frozen=True, slots=True)
class Answer:
    """A stored answer: replayed with the same status and the same bytes."""

    status: int
    body: bytes
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """What the claim statement says."""

    standing: Standing
    object_id: UUID
    operation_id: UUID
    answer: Answer | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Request:
    """One request under one key: what is claimed."""

    key: str
    fingerprint: bytes
    cache_key: str
    owner: UUID


def parse_key(header: str | None) -> str:
    """Read the Idempotency-Key header: bare, or a quoted string as the IETF draft writes it.

    Raises:
        IdempotencyKeyMissing: no header.
        IdempotencyKeyInvalid: not 1 to 255 visible ASCII characters.
    """
    if header is None:
        raise IdempotencyKeyMissing
    key = header.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if not 1 <= len(key) <= MAX_KEY_LENGTH or not all("!" <= character <= "~" for character in key):
        raise IdempotencyKeyInvalid
    return key


def fingerprint(method: str, route: str, api_version: str, body: object) -> bytes:
    """Hash what makes two requests the same: SHA-256 over method, route, API version and the body with its members sorted."""
    canonical = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(b"\0".join((method.encode(), route.encode(), api_version.encode(), canonical))).digest()


def read_claim(row: Row, new_operation: UUID, request: Request) -> Claim:
    """Read the claim statement's row. The order of the questions is the rule; see the module's text."""
    answer = None
    if row["operation_id"] == new_operation:
        standing = Standing.FRESH
        answer = _answer_in(row)  # stored by the claim itself, where no processor has to be asked
    elif row["fingerprint"] != request.fingerprint:
        standing = Standing.MISMATCH
    elif row["response_body"] is not None:
        standing = Standing.REPLAY
        answer = _answer_in(row)
    elif row["owner"] == request.owner:
        standing = Standing.TAKE_OVER
    else:
        standing = Standing.IN_FLIGHT
    return Claim(standing, row["object_id"], row["operation_id"], answer, row["expires_at"])


def _answer_in(row: Row) -> Answer | None:
    body = row["response_body"]
    return None if body is None else Answer(row["response_status"], body, row["expires_at"])


class Desk:
    """The cache's side of a claim: one trip before the work, one after. Every method does nothing where the cache is away."""

    def __init__(self, cache: Cache, lease_s: float) -> None:
        self._cache = cache
        self._lease_ms = int(lease_s * 1000)

    async def claim(self, request: Request) -> tuple[Standing, Answer | None] | None:
        """Ask the cache first. FRESH means "ask PostgreSQL"; None means that the cache is away, and asks the same."""
        try:
            found = await self._cache.claim(request.cache_key, _in_flight(request), self._lease_ms)
        except CacheUnavailable:
            return None
        return (Standing.FRESH, None) if found is None else _read_entry(found, request)

    async def wait_for_first(self, request: Request, limit_s: float) -> Answer | None:
        """Wait for the first caller's answer, at most ``limit_s``. None: not there yet, or the claim was given up: ask PostgreSQL."""
        deadline = asyncio.get_running_loop().time() + limit_s
        pause = _POLL_FIRST_S
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, _POLL_MOST_S)
            try:
                found = await self._cache.get(request.cache_key)
            except CacheUnavailable:
                return None
            if found is None:
                return None
            standing, answer = _read_entry(found, request)
            if standing is not Standing.IN_FLIGHT:
                return answer
        return None

    async def store(self, request: Request, answer: Answer) -> None:
        """Keep an answer for replays."""
        entry = (
            _ANSWERED
            + _ANSWER_HEAD.pack(request.fingerprint, answer.status, int(answer.expires_at.timestamp()))
            + answer.body
        )
        try:
            await self._cache.put(request.cache_key, entry, int(CACHE_LIFE.total_seconds() * 1000))
        except CacheUnavailable:
            return

    async def give_up(self, request: Request) -> None:
        """Drop our claim, so that the next caller need not wait for it to run out."""
        try:
            await self._cache.release(request.cache_key, _in_flight(request))
        except CacheUnavailable:
            return


def _in_flight(request: Request) -> bytes:
    return _IN_FLIGHT + request.fingerprint + request.owner.bytes


def _read_entry(entry: bytes, request: Request) -> tuple[Standing, Answer | None]:
    if entry[1:33] != request.fingerprint:
        return Standing.MISMATCH, None
    if entry[:1] != _ANSWERED:
        return Standing.IN_FLIGHT, None
    _, status, expires = _ANSWER_HEAD.unpack_from(entry, 1)
    answer = Answer(status, entry[1 + _ANSWER_HEAD.size :], datetime.fromtimestamp(expires, UTC))
    return Standing.REPLAY, answer
