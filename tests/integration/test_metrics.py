"""What became of each idempotency key can be counted: in the lines that a function writes, as CloudWatch reads them."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import redis
from guilder.config import Settings

from tests.integration.test_payments import pay_at_once
from tests.support.environment import Environment


def counted(text: str) -> Counter[tuple[str, str]]:
    """Add up the metric by its dimensions, as CloudWatch would."""
    found: Counter[tuple[str, str]] = Counter()
    for line in text.splitlines():
        record: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
        if "IdempotencyKeys" in record:
            (directive,) = record["_aws"]["CloudWatchMetrics"]
            assert directive["Namespace"] == "Guilder"
            assert directive["Dimensions"] == [["Standing", "Source"]]
            assert {metric["Name"] for metric in directive["Metrics"]} <= set(record)
            found[record["Standing"], record["Source"]] += record["IdempotencyKeys"]
            found["collapsed wait", ""] += record.get("CollapsedWait", 0)
    return found


def test_each_standing_of_a_key_is_counted(
    environment: Environment, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    key = uuid4().hex
    capsys.readouterr()
    environment.pay(key)
    for _ in range(3):
        environment.pay(key)
    environment.pay(key, amount=1)
    redis.Redis.from_url(settings.cells[0].cache, socket_timeout=5).flushdb()
    environment.pay(key)
    found = counted(capsys.readouterr().out)
    assert found == {
        ("fresh", "database"): 1,
        ("replay", "cache"): 3,
        ("mismatch", "cache"): 1,
        ("replay", "database"): 1,
        ("collapsed wait", ""): 0,
    }
    replays = {source: found["replay", source] for source in ("cache", "database")}
    assert replays["cache"] / sum(replays.values()) == 0.75, "the hit rate of the cache"


def test_waits_and_take_overs_are_counted(
    environment: Environment, settings: Settings, merchant: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    patient = replace(settings, budgets=replace(settings.budgets, processor=10.0, lease=30.0, wait_for_first=15.0))
    capsys.readouterr()
    answers = pay_at_once(patient, merchant, uuid4().hex, 6, payment_method="tok_slow")
    assert {answer.status for answer in answers} == {201}
    found = counted(capsys.readouterr().out)
    assert found["fresh", "database"] == 1
    assert found["replay", "cache"] + found["replay", "database"] == found["collapsed wait", ""] == 5
    key = uuid4().hex
    environment.pay(key, payment_method="tok_timeout_after_charge")
    environment.pay(key, payment_method="tok_timeout_after_charge")
    assert counted(capsys.readouterr().out)["take_over", "database"] == 1
