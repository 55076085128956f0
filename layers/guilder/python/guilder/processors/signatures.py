"""Signatures of the form ``t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">``, which several processors use."""

import hashlib
import hmac

from guilder.config import ConfigurationError
from guilder.processors.protocol import InvalidSignature

TOLERANCE_S = 300
"""How far the signature's time may lie from ours, either way: a recorded notification is of no use after that."""


def check(header: str, body: bytes, secret: str, now: float) -> None:
    """Check a signature.

    Raises:
        InvalidSignature: it is missing or malformed, is another body's or another key's, or is not from around ``now`` (unix seconds).
        ConfigurationError: there is no secret; an empty one would accept what anybody signed.
    """
    if not secret:
        raise ConfigurationError("a processor's notifications cannot be checked without its notification_secret")
    parts = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    signatures = [value.encode() for name, _, value in parts if name == "v1"]  # two while the secret is being replaced
    if len(times) != 1 or not _is_recent(times[0], now):
        raise InvalidSignature("the signature has no time, or is not recent")
    expected = hmac.new(secret.encode(), times[0].encode() + b"." + body, hashlib.sha256).hexdigest().encode()
    if not any([hmac.compare_digest(expected, signature) for signature in signatures]):  # noqa: C419 (all, in constant time)
        raise InvalidSignature("the signature is not this body's")


def _is_recent(text: str, now: float) -> bool:
    return text.isdecimal() and len(text) <= 12 and abs(now - int(text)) <= TOLERANCE_S
