"""What `make verify` shows, and what it says where there is nothing to check."""

import json
from io import StringIO
from pathlib import Path

import pytest
from devstack.errors import StackError
from devstack.paths import Paths
from devstack.stack import Stack
from devstack.verify import as_json, settings, show
from guilder.verify import MEANINGS, Finding, Report
from rich.console import Console

FINDING = Finding("one_charge", "pay_1", "a second charge", "mer_1")


def shown(report: Report) -> str:
    text = StringIO()
    show(Console(file=text, width=200), report)
    return text.getvalue()


def test_every_check_has_its_line() -> None:
    text = shown(Report())
    assert all(name in text and meaning in text for name, meaning in MEANINGS.items())
    assert "Nothing is broken." in text


def test_what_is_broken_is_listed() -> None:
    text = shown(Report(findings=[FINDING]))
    assert "1 BROKEN" in text
    assert "one_charge  pay_1  a second charge  mer_1" in text
    assert "Nothing is broken" not in text


def test_what_was_not_seen_is_not_called_right() -> None:
    text = shown(Report(incomplete=["the time was over"]))
    assert "not everything was seen: the time was over" in text
    assert "Nothing is broken" not in text


def test_json_says_the_same() -> None:
    told = json.loads(as_json(Report(findings=[FINDING])))
    assert (told["clean"], told["broken"], told["findings"][0]["object"]) == (False, ["one_charge"], "pay_1")


@pytest.mark.parametrize("content", [None, "{}", "no JSON"])
def test_without_a_stack_it_says_what_to_do(tmp_path: Path, content: str | None) -> None:
    stack = Stack(Paths(tmp_path))
    if content is not None:
        stack.paths.outputs.write_text(content)
    with pytest.raises(StackError) as raised:
        settings(stack)
    assert "make up" in raised.value.hint
