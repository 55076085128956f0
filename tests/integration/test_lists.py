"""Lists: every object once, newest first, whatever comes in meanwhile; nobody else's; each parameter checked; a bound on what is read."""

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID, uuid4

import asyncpg
import pytest
from guilder import ids, keys, pages, payment_lists, transfer_lists
from guilder.config import Settings
from guilder.ids import Tenant
from guilder.states import Status
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.conftest import new_merchant
from tests.support.environment import Environment
from tests.support.gateway import Answer
from tests.support.rows import PaymentRow, add_payments, add_transfers, neighbour, payment, tenant_of, transfer
from tests.support.sql import Sql

PAST = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def own(settings: Settings) -> Iterator[tuple[Environment, Tenant]]:
    """A merchant of the test's own."""
    merchant = new_merchant(settings)
    with Environment(settings, merchant["api_key"]) as environment:
        yield environment, tenant_of(merchant)


def shown(tenant: Tenant, rows: list[PaymentRow]) -> list[str]:
    """Ids as the list must show them: newest first."""
    return [ids.encode("pay", tenant.slot, row.id) for row in sorted(rows, key=lambda row: row.id, reverse=True)]


def listed(environment: Environment, **parameters: object) -> Answer:
    """Read a page of payments."""
    return environment.request("GET", f"/v1/payments?{urlencode(parameters)}")


def links(answer: Answer) -> dict[str, str]:
    """Read the Link header: relation to reference."""
    return {
        relation: target for target, relation in re.findall(r'<([^>]+)>; rel="(\w+)"', answer.headers.get("link", ""))
    }


def walk(environment: Environment, first: str, relation: str = "next") -> list[list[str]]:
    """Follow the Link header to its end; each page's ids."""
    walked, reference = [], first
    while reference:
        answer = environment.request("GET", f"/v1/payments{reference}")
        assert answer.status == 200, answer
        body = answer.json()
        walked.append([item["id"] for item in body["data"]])
        reference = links(answer).get(relation, "")
        assert bool(reference) == body["has_more"]
        assert len(walked) < 500
    return walked


def joined(walked: list[list[str]]) -> list[str]:
    """Join pages."""
    return [each for page in walked for each in page]


def test_a_page_shows_what_a_read_shows(environment: Environment) -> None:
    made = [
        environment.pay(**fields).json()
        for fields in ({}, {"payment_method": "tok_declined"}, {"metadata": {"a": "ü"}})
    ]
    answer = listed(environment, limit=3)
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"object", "data", "has_more"}
    assert answer.json()["object"] == "list"
    assert answer.json()["data"] == made[::-1] == [environment.get(each["id"]).json() for each in made[::-1]]


def test_pages_in_both_directions(own: tuple[Environment, Tenant], sql: Sql) -> None:
    environment, tenant = own
    rows = [payment(PAST + timedelta(seconds=number)) for number in range(45)]
    add_payments(sql, tenant, rows)
    wanted = shown(tenant, rows)
    there = walk(environment, "?limit=10")
    assert [len(page) for page in there] == [10, 10, 10, 10, 5]
    assert joined(there) == wanted
    back = walk(environment, f"?limit=10&ending_before={wanted[-1]}", "prev")
    assert joined(back[::-1]) == wanted[:-1], "each page is newest first, towards the newer ones too"


def test_the_default_is_twenty_and_a_list_may_be_empty(own: tuple[Environment, Tenant], sql: Sql) -> None:
    environment, tenant = own
    assert listed(environment).json() == {"object": "list", "data": [], "has_more": False}
    assert "link" not in listed(environment).headers
    add_payments(sql, tenant, [payment() for _ in range(21)])
    body = listed(environment).json()
    assert (len(body["data"]), body["has_more"]) == (20, True)
    assert len(listed(environment, limit=100).json()["data"]) == 21


def test_links_keep_the_filters_and_lead_there_and_back(own: tuple[Environment, Tenant], sql: Sql) -> None:
    environment, tenant = own
    rows = [payment(PAST + timedelta(seconds=n), customer="Ümit & Co", metadata='{"a b": "c=d"}') for n in range(6)]
    add_payments(sql, tenant, [*rows, payment(PAST, customer="another")])
    query = "?" + urlencode({"limit": 2, "customer": "Ümit & Co", "metadata[a b]": "c=d"}, quote_via=quote)
    first = environment.request("GET", f"/v1/payments{query}")
    assert set(links(first)) == {"next"}
    second = environment.request("GET", f"/v1/payments{links(first)['next']}")
    assert set(links(second)) == {"next", "prev"}
    again = environment.request("GET", f"/v1/payments{links(second)['prev']}")
    assert again.json()["data"] == first.json()["data"]
    assert joined(walk(environment, query)) == shown(tenant, rows)


@hypothesis_settings(
    max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_what_was_there_at_the_start_comes_exactly_once(
    environment: Environment, sql: Sql, data: st.DataObject
) -> None:
    """Between any two pages payments come in, also some that began earlier and commit now: ids already passed, and ids still to come."""
    settings = environment.runtime.settings
    merchant = new_merchant(settings)
    tenant = tenant_of(merchant)
    times = data.draw(st.lists(st.integers(0, 10_000), min_size=1, max_size=40))
    rows = [payment(PAST + timedelta(milliseconds=time)) for time in times]
    add_payments(sql, tenant, rows)
    newer = data.draw(st.booleans())
    with Environment(settings, merchant["api_key"]) as own_environment:
        limit = data.draw(st.integers(1, 12))
        reference = f"?limit={limit}"
        if newer:  # from the oldest on, towards the newer ones
            start = payment(PAST - timedelta(seconds=1))
            add_payments(sql, tenant, [start])
            reference += f"&ending_before={shown(tenant, [start])[0]}"
        seen: list[str] = []
        while reference:
            answer = own_environment.request("GET", f"/v1/payments{reference}")
            found = [item["id"] for item in answer.json()["data"]]
            assert found == sorted(found, reverse=True)
            seen += found
            reference = links(answer).get("prev" if newer else "next", "")
            come_in = data.draw(st.lists(st.integers(0, 12_000), max_size=5))
            if come_in and len(seen) < 200:
                add_payments(sql, tenant, [payment(PAST + timedelta(milliseconds=time)) for time in come_in])
    assert len(seen) == len(set(seen)), "twice"
    assert set(shown(tenant, rows)) <= set(seen), "missing"


def test_every_combination_of_filters_gives_what_a_plain_search_gives(
    own: tuple[Environment, Tenant], sql: Sql
) -> None:
    environment, tenant = own
    dice = random.Random(7)
    rows = [
        payment(
            PAST + timedelta(minutes=dice.randrange(600)),
            status=dice.choice(["succeeded", "failed", "processing"]),
            customer=dice.choice([None, "c1", "c2"]),
            merchant_reference=dice.choice([None, f"r{number}"]),
            metadata=json.dumps({key: dice.choice("xy") for key in dice.sample("kl", dice.randrange(3))}),
        )
        for number in range(150)
    ]
    add_payments(sql, tenant, rows)
    add_payments(sql, neighbour(tenant), [replace(row, id=uuid4()) for row in rows])
    tests: dict[str, Callable[[PaymentRow, str], bool]] = {
        "status": lambda row, value: row.status == value,
        "customer": lambda row, value: row.customer == value,
        "merchant_reference": lambda row, value: row.merchant_reference == value,
        "metadata[k]": lambda row, value: json.loads(row.metadata).get("k") == value,
        "metadata[l]": lambda row, value: json.loads(row.metadata).get("l") == value,
        "created_gte": lambda row, value: row.created_at >= datetime.fromisoformat(value),
        "created_lte": lambda row, value: row.created_at <= datetime.fromisoformat(value),
    }
    values = {
        "status": ["succeeded", "failed", "processing", "canceled"],
        "customer": ["c1", "c2", "c3"],
        "merchant_reference": [row.merchant_reference or "none" for row in rows],
        "metadata[k]": ["x", "y", "z"],
        "metadata[l]": ["x", "y"],
        "created_gte": [row.created_at.isoformat() for row in rows],
        "created_lte": [row.created_at.isoformat() for row in rows],
    }
    matches = 0
    for _ in range(120):
        chosen = {name: dice.choice(values[name]) for name in dice.sample(list(tests), dice.randrange(4))}
        wanted = [row for row in rows if all(tests[name](row, value) for name, value in chosen.items())]
        query = "?" + urlencode({"limit": dice.randrange(5, 100), **chosen})
        assert joined(walk(environment, query)) == shown(tenant, wanted), chosen
        matches += len(wanted)
    assert matches > 500, "a search that finds nothing shows nothing"


MALFORMED = [
    ("limit=0", "limit"),
    ("limit=101", "limit"),
    ("limit=ten", "limit"),
    ("limit=1.0", "limit"),
    ("limit=", "limit"),
    ("limit=5&limit=6", "limit"),
    ("starting_after=7", "starting_after"),
    ("starting_after=", "starting_after"),
    ("ending_before=ref_000000000000000000000000000", "ending_before"),
    ("starting_after={known}&ending_before={known}", "starting_after"),
    ("status=paid", "status"),
    ("created_gte=yesterday", "created_gte"),
    ("created_gte=2026-01-01", "created_gte"),
    ("created_gte=1767225600", "created_gte"),
    ("created_lte=2026-01-01T00:00:00", "created_lte"),
    ("created_lte=2026-02-30T00:00:00Z", "created_lte"),
    ("created_lte=0001-01-01T00:00:00%2B01:00", "created_lte"),
    ("customer=", "customer"),
    (f"customer={'c' * 256}", "customer"),
    ("merchant_reference=%00", "merchant_reference"),
    ("metadata=a", "metadata"),
    ("metadata[]=a", "metadata[]"),
    ("metadata[a]=1&metadata[a]=2", "metadata[a]"),
    (f"metadata[{'k' * 41}]=a", f"metadata[{'k' * 41}]"),
    (f"metadata[a]={'v' * 501}", "metadata[a]"),
    ("page=2", "page"),
    ("Limit=5", "Limit"),
    ("created[gte]=2026-01-01T00:00:00Z", "created[gte]"),
    (f"customer={'c' * 4001}", "query"),
]


@pytest.mark.parametrize(("query", "named"), MALFORMED, ids=[query[:40] for query, _ in MALFORMED])
def test_a_malformed_parameter_is_refused_by_name(environment: Environment, query: str, named: str) -> None:
    known = environment.pay().json()["id"] if "{known}" in query else ""
    answer = environment.request("GET", "/v1/payments?" + query.replace("{known}", known))
    assert (answer.status, answer.problem) == (422, "validation-failed")
    assert [error["pointer"] for error in answer.json()["errors"]] == [named]


def test_a_card_number_in_a_filter_is_refused(environment: Environment) -> None:
    for name in ("customer", "merchant_reference", "metadata[a]"):
        answer = listed(environment, **{name: "4242 4242 4242 4242"})
        assert (answer.status, answer.problem) == (422, "card-number-refused")


def test_times_may_have_any_offset(own: tuple[Environment, Tenant], sql: Sql) -> None:
    environment, tenant = own
    row = payment(PAST)
    add_payments(sql, tenant, [row])
    for text, found in (
        ("2026-03-01T13:00:00+01:00", 1),
        ("2026-03-01T12:00:00.000001z", 0),
        ("9999-12-31T23:59:59Z", 0),
    ):
        assert len(listed(environment, created_gte=text).json()["data"]) == found
    assert len(listed(environment, created_lte="0001-01-01T00:00:00Z").json()["data"]) == 0


def test_nobody_elses_objects_and_cursors(own: tuple[Environment, Tenant], settings: Settings, sql: Sql) -> None:
    """Another merchant (also one in the same slot) and the other mode: not in the list, and as cursors like ids that never were."""
    environment, tenant = own
    mine = [payment(PAST + timedelta(seconds=n)) for n in range(3)]
    add_payments(sql, tenant, mine)
    strangers = [payment(PAST + timedelta(seconds=n), customer="c") for n in range(3)]
    add_payments(sql, neighbour(tenant), strangers[:1])
    add_payments(sql, replace(tenant, livemode=True), strangers[1:2])
    elsewhere = new_merchant(settings)
    add_payments(sql, tenant_of(elsewhere), strangers[2:])
    assert [item["id"] for item in listed(environment).json()["data"]] == shown(tenant, mine)
    assert listed(environment, customer="c").json()["data"] == []
    foreign = [
        *shown(tenant, strangers[:2]),
        *shown(tenant_of(elsewhere), strangers[2:]),
        ids.encode("pay", tenant.slot, uuid4()),
    ]
    answers = []
    for cursor in foreign:
        for name in ("starting_after", "ending_before"):
            answer = listed(environment, **{name: cursor})
            assert (answer.status, answer.problem) == (422, "validation-failed")
            assert answer.json()["errors"][0]["pointer"] == name
            answers.append(answer.json()["errors"][0]["message"])
    assert len(set(answers)) == 1, "a stranger's id looks like one that never was"


def test_the_live_mode_of_the_same_merchant_is_another_world(
    own: tuple[Environment, Tenant], settings: Settings, sql: Sql
) -> None:
    environment, tenant = own
    test_row, live_row = payment(), payment()
    add_payments(sql, tenant, [test_row])
    add_payments(sql, replace(tenant, livemode=True), [live_row])
    key = "gk_live_" + environment.api_key.removeprefix("gk_test_")
    sql.rows(
        "INSERT INTO api_keys (slot, merchant_id, livemode, id, key_hash, scopes, created_at) VALUES ($1, $2, true, $3, $4, $5, now())",
        tenant.slot, tenant.merchant, uuid4(), keys.digest(key), ["payments:read"],
    )  # fmt: skip
    with Environment(settings, key) as live:
        assert [item["id"] for item in listed(live).json()["data"]] == shown(tenant, [live_row])
    assert [item["id"] for item in listed(environment).json()["data"]] == shown(tenant, [test_row])


def test_a_key_needs_the_scope(settings: Settings, sql: Sql) -> None:
    merchant = new_merchant(settings)
    sql.rows("UPDATE api_keys SET scopes = '{payments:write}' WHERE key_hash = $1", keys.digest(merchant["api_key"]))
    with Environment(settings, merchant["api_key"]) as environment:
        for path in ("/v1/payments?nonsense=1", "/v1/balance", "/v1/ledger/transfers"):
            answer = environment.request("GET", path)
            assert (answer.status, answer.problem) == (403, "forbidden")
            assert environment.request("GET", path, headers={}).problem == "unauthenticated"


def test_a_rare_match_is_found_though_no_page_reads_more_than_its_share(
    own: tuple[Environment, Tenant], sql: Sql
) -> None:
    """One failed payment below 2,999 others: pages of at most 500 rows are empty, say that there is more, and lead to it."""
    environment, tenant = own
    needle = payment(PAST, status="failed")
    add_payments(sql, tenant, [needle, *(payment(PAST + timedelta(seconds=n)) for n in range(1, 3000))])

    async def pages_of(*, older: bool) -> list[pages.Page[Any]]:
        context = await environment.runtime.context(tenant)
        found = []
        cut = pages.Cut(10, older=older)
        while True:
            page = await payment_lists.page(context, cut, payment_lists.Filters(Status.FAILED), examined=500)
            found.append(page)
            cursor = page.older if older else page.newer
            assert (cursor is not None) == page.has_more
            if cursor is None:
                return found
            cut = replace(cut, cursor=cursor)

    forward = environment.run(lambda: pages_of(older=True))
    assert [[item.id for item in page.items] for page in forward] == [[]] * 5 + [[needle.id]] + [[]]
    backward = environment.run(lambda: pages_of(older=False))
    assert [[item.id for item in page.items] for page in backward] == [[needle.id]] + [[]] * 6


LIST_BLOCKS = [
    (module.__name__, name, query) for module in (payment_lists, transfer_lists) for name, query in module.SQL.items()
]
ROWS = 30_000


@pytest.fixture(scope="module")
def crowd(settings: Settings, sql: Sql) -> Tenant:
    """A merchant with many payments and transfers, all of one customer, and statistics that know it."""
    tenant = tenant_of(new_merchant(settings))
    moments = [PAST + timedelta(seconds=number) for number in range(ROWS)]
    add_payments(sql, tenant, [payment(moment, customer="c", metadata='{"a": "b"}') for moment in moments])
    of_one = uuid4()
    add_transfers(sql, tenant, [transfer(moment, payment_id=of_one) for moment in moments])
    sql.script("ANALYZE payments; ANALYZE transfers")
    return tenant


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(("module", "name", "query"), LIST_BLOCKS, ids=[f"{m}.{n}" for m, n, _ in LIST_BLOCKS])
async def test_a_page_reads_a_bounded_number_of_rows(
    settings: Settings, crowd: Tenant, module: str, name: str, query: str, mode: str
) -> None:
    """Among 30,000 rows, none of which matches, a page that may examine 1,000 reads these by an index, and again for the edge."""
    assert settings.cells[0].direct is not None
    low, high = UUID(int=0), UUID(int=(1 << 128) - 1)
    literals = [
        crowd.slot,
        f"'{crowd.merchant}'",
        crowd.livemode,
        f"'{low}'",
        f"'{high}'",
        "NULL",
        11,
        1000,
        "NULL",
        "NULL",
    ]
    filters = {
        "payment_lists": ["'failed'", "NULL", "'c'", "'none'"],
        "transfer_lists": ["NULL", "'refund'", "NULL", f"'{uuid4()}'"],
    }
    literals += filters[module.rpartition(".")[2]]
    connection = await asyncpg.connect(settings.cells[0].direct, timeout=10)
    try:
        await connection.execute(f"SET plan_cache_mode = {mode}")
        await connection.execute(f"PREPARE page AS {query}")
        used = max(int(number) for number in re.findall(r"\$(\d+)", query))
        values = ", ".join(str(literal) for literal in literals[:used])
        text = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE page ({values})")
    finally:
        await connection.close()
    nodes = list(every_node(json.loads(text)[0]["Plan"]))
    assert not [node for node in nodes if node["Node Type"] == "Seq Scan"], nodes
    read = sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0))
        * node["Actual Loops"]
        for node in nodes
        if "Scan" in node["Node Type"] and "Relation Name" in node
    )
    assert read <= 2 * 1000 + 50, nodes


def every_node(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Walk a plan."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from every_node(child)


def test_no_index_of_payments_holds_what_changes(sql: Sql) -> None:
    """An update that touches no indexed column can stay on its page and write no index (HOT): a payment is updated at least once."""
    fixed = {"slot", "merchant_id", "livemode", "id", "merchant_reference", "customer", "created_at", "metadata"}
    for row in sql.rows("SELECT indexdef FROM pg_indexes WHERE tablename = 'payments'"):
        named = set(re.findall(r"[a-z_]+", row["indexdef"].partition(" USING ")[2]))
        columns = {
            each["attname"]
            for each in sql.rows("SELECT attname FROM pg_attribute WHERE attrelid = 'payments'::regclass")
        }
        assert named & columns <= fixed, row
