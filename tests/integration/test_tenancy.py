"""No statement reads or changes rows without naming whose: slot, merchant and mode stand in each query of each SQL block."""

import re
from collections.abc import Iterator

import pytest

from tests.integration.test_database import BLOCKS
from tests.support.sql import Sql

NAMED = ("slot", "merchant_id", "livemode")

ACROSS_MERCHANTS = {
    "keys.find_key": "how the merchant is found: by the hash of its key, within the slot that the key names",
    "operations.due": "the reconciler's list; each row is then worked on under its own merchant's name",
    "payments.expiring": "the reconciler's list of authorizations that ran out, likewise",
    "reconcile.claim_notifications": "the reconciler's list of notifications, likewise",
    "reconcile.forget_keys": "the reconciler's clean-up: expired keys are found by their date, and deleted under their own names",
    "verify.checks.operation_overdue": "verify looks at a whole cell: what is left lying there is found by its age",
    "verify.checks.notification_overdue": "likewise",
}
"""Blocks that may leave it out, each with its reason. One that does not need to stand here fails the test as well."""

_TABLE = re.compile(
    r"\b(?P<verb>FROM|JOIN|UPDATE)\s+(?:ONLY\s+)?(?P<table>\w+)(?:\s+(?:AS\s+)?(?P<alias>(?!SET|WHERE|ON|JOIN|ORDER|LIMIT|FOR|USING)\w+))?"
)
_INSERT = re.compile(r"\bINSERT INTO (?P<table>\w+)(?: AS \w+)? \((?P<columns>[^)]*)\)")


def scopes(query: str) -> Iterator[str]:
    """Take a statement apart into its queries: the text of each pair of parentheses, without what lies deeper, and the outermost."""
    open_at: list[list[str]] = [[]]
    for character in re.sub(r"--[^\n]*", "", query):
        if character == "(":
            open_at.append([])
        elif character == ")":
            yield "".join(open_at.pop())
            open_at[-1].append("()")
        else:
            open_at[-1].append(character)
    yield "".join(open_at[0])


def unnamed(query: str, tables: set[str]) -> list[str]:
    """Name the tenant tables that a statement uses without saying whose rows."""
    found = [
        match["table"]
        for match in _INSERT.finditer(query)
        if match["table"] in tables and not set(NAMED) <= set(re.findall(r"\w+", match["columns"]))
    ]
    for scope in scopes(query):
        used = [match for match in _TABLE.finditer(scope) if match["table"] in tables]
        for match in used:
            name = match["alias"] or match["table"]
            owner = rf"\b{name}\." if len(used) > 1 else rf"(?:\b{name}\.|(?<![\w.]))"
            if not all(re.search(rf"{owner}{column}\s*=", scope) for column in NAMED):
                found.append(match["table"])
    return found


@pytest.fixture(scope="session")
def tables(sql: Sql) -> set[str]:
    """The tables whose rows belong to a merchant in a mode."""
    rows = sql.rows(
        "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = ANY($1) "
        "GROUP BY 1 HAVING count(*) = 3",
        list(NAMED),
    )
    found = {row["table_name"] for row in rows}
    assert found >= {
        "payments",
        "operations",
        "idempotency",
        "refunds",
        "transfers",
        "events",
        "notifications",
        "api_keys",
    }
    return found


@pytest.mark.parametrize(("module", "name", "query"), BLOCKS, ids=[f"{module}.{name}" for module, name, _ in BLOCKS])
def test_each_statement_says_whose_rows(tables: set[str], module: str, name: str, query: str) -> None:
    if f"{module}.{name}" in ACROSS_MERCHANTS:
        assert unnamed(query, tables), "names its merchant: take it off the list"
    else:
        assert unnamed(query, tables) == []


def test_the_list_of_exceptions_names_blocks_that_exist() -> None:
    assert set(ACROSS_MERCHANTS) <= {f"{module}.{name}" for module, name, _ in BLOCKS}


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id FROM payments WHERE slot = $1 AND id = $2",
        "UPDATE refunds SET status = $1 WHERE id = $2 AND slot = $3 AND merchant_id = $4",
        "INSERT INTO events (slot, merchant_id, id) VALUES ($1, $2, $3)",
        "WITH a AS (SELECT id FROM payments) SELECT id FROM a WHERE slot = $1 AND merchant_id = $2 AND livemode = $3",
        "SELECT p.id FROM payments p JOIN refunds r ON r.payment_id = p.id WHERE p.slot = $1 AND p.merchant_id = $2 AND p.livemode = $3",
        "UPDATE payments SET owner = $4 FROM operations WHERE payments.slot = $1 AND payments.merchant_id = $2 AND payments.livemode = $3",
    ],
)
def test_the_test_itself_sees_what_is_missing(tables: set[str], query: str) -> None:
    assert unnamed(query, tables)
