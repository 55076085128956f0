"""The settings, read once from the environment; nothing else in the package reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Settings:
    """How this simulator runs. Times are in seconds."""

    database_url: str
    """PostgreSQL URL; may carry no password, asyncpg then reads the file that PGPASSFILE names."""
    database_auth: str
    """`passfile`, or `iam`: the password is a token signed with the function's role."""
    region: str
    """The AWS region, for `iam`."""
    public_url: str
    """Where a shopper's browser reaches this service; empty: taken from each request."""
    hang_seconds: float
    """How long the tok_timeout_* tokens hold an answer: longer than any sensible client waits."""
    slow_seconds: float
    """How long tok_slow takes to decide."""
    settle_seconds: float
    """When a late success or a pending refund is decided."""
    latency_seconds: float
    """Added to each processor call, after its work is done."""
    notification_url: str
    """Where notifications go; empty: they are stored and not sent."""
    notification_secret: str = field(repr=False)
    """The key that signs notifications; required with a notification URL."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the SIMULATOR_* variables.

        Raises:
            ValueError: a variable is missing or is not what it should be; the message names it.
        """
        settings = cls(
            database_url=_required(environment, "SIMULATOR_DATABASE_URL"),
            database_auth=environment.get("SIMULATOR_DATABASE_AUTH", "passfile"),
            region=environment.get("AWS_REGION", ""),
            public_url=environment.get("SIMULATOR_PUBLIC_URL", "").rstrip("/"),
            hang_seconds=_number(environment, "SIMULATOR_HANG_SECONDS", 20),
            slow_seconds=_number(environment, "SIMULATOR_SLOW_SECONDS", 3),
            settle_seconds=_number(environment, "SIMULATOR_SETTLE_SECONDS", 2),
            latency_seconds=_number(environment, "SIMULATOR_LATENCY_MS", 0) / 1000,
            notification_url=environment.get("SIMULATOR_NOTIFICATION_URL", ""),
            notification_secret=environment.get("SIMULATOR_NOTIFICATION_SECRET", ""),
        )
        if settings.notification_url and not settings.notification_secret:
            raise ValueError("SIMULATOR_NOTIFICATION_SECRET is required when SIMULATOR_NOTIFICATION_URL is set")
        if settings.database_auth not in ("passfile", "iam"):
            raise ValueError(f"SIMULATOR_DATABASE_AUTH must be passfile or iam, not {settings.database_auth!r}")
        return settings


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise ValueError(f"{name} is required")
    return value


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        raise ValueError(f"{name} must be a number, not {text!r}") from None
    if not 0 <= value <= 600:
        raise ValueError(f"{name} must lie between 0 and 600, not {text}")
    return value
