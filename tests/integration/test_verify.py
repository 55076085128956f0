"""Each check of ``guilder.verify`` sees the fault that it is there for, and right books break none."""
# ruff: noqa: S608 (the statements are put together from constants of this file)

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from devstack.services import Services
from guilder import ids
from guilder.verify import MEANINGS, Finding, Report
from guilder.verify.report import FINDINGS_MOST
from guilder.verify.scan import id_at

from tests.support.spoilable import Books, Charges, restore, spoilable_books


@pytest.fixture(scope="module")
def original(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    with spoilable_books(services, tmp_path_factory.mktemp("books") / "simulator.log") as found:
        yield found


@pytest.fixture
def books(original: Books) -> Iterator[Books]:
    yield original
    restore(original.sql)


@pytest.fixture
def charges(original: Books) -> Charges:
    return Charges(str(original.settings.simulator_url))


@pytest.mark.parametrize("options", [{}, {"page": 1}, {"reader": True}], ids=["writer", "pages of one", "reader"])
def test_right_books_are_clean_and_all_of_them_was_seen(books: Books, options: dict[str, object]) -> None:
    books.until_replicated()
    report = books.verify(**options)
    assert (report.findings, report.incomplete) == ([], [])
    assert set(report.rows) == set(MEANINGS)
    assert report.rows["payment_transfers"] == books.sql.value("SELECT count(*) FROM payments")
    assert report.rows["operation_transfer"] == books.sql.value("SELECT count(*) FROM operations")
    charged = "SELECT count(*) FROM operations WHERE kind = 'authorize' AND outcome = 'approved'"
    assert report.rows["charge_agrees"] >= books.sql.value(charged)


def test_nothing_is_left_open_but_what_waits_for_its_payer(books: Books) -> None:
    """Canceled, refused, timed out: whatever became of a payment, the reconciler has nothing to do for it any more."""
    assert books.verify(stuck_after=timedelta(0)).findings == []


@dataclass(frozen=True)
class Fault:
    """SQL that spoils the books and returns the id of what a check has to name; ``also`` are checks that see it from another side."""

    check: str
    prefix: str
    sql: str
    also: frozenset[str] = frozenset()
    prepare: str = ""


HELD = "(SELECT id FROM payments WHERE amount_capturable > 0 ORDER BY id LIMIT 1)"
SUCCEEDED = "(SELECT id FROM payments WHERE status = 'succeeded' AND amount_refunded = 0 AND refund_pending = 0 ORDER BY id LIMIT 1)"
CAPTURED = "(SELECT id FROM transfers WHERE kind = 'capture' ORDER BY id LIMIT 1)"
LONG_AGO = "now() - interval '1 hour'"
AN_OPERATION = """
INSERT INTO operations (slot, merchant_id, livemode, id, payment_id, kind, amount, currency, processor, owner, lease_until, check_at,
    created_at, outcome, finished_at)
SELECT slot, merchant_id, livemode, gen_random_uuid(), id, {kind}, amount, currency, processor, owner, now(), now(), {created_at}, {outcome}
FROM payments"""

FAULTS = {
    "a transfer of another amount": Fault(
        "payment_transfers", "pay", f"UPDATE transfers SET amount = amount + 1 WHERE id = {CAPTURED} RETURNING payment_id",
        frozenset({"operation_transfer", "transfer_operation", "rollup"}),
    ),
    "more reserved than there is": Fault(
        "payment_bounds", "pay",
        f"UPDATE payments SET capture_pending = amount_capturable + 1 WHERE id = {HELD} RETURNING id",
        frozenset({"payment_reservations"}), prepare="ALTER TABLE payments DROP CONSTRAINT payments_amounts_bounded",
    ),
    "a refund's reservation that no operation holds": Fault(
        "payment_reservations", "pay", f"UPDATE payments SET refund_pending = 1 WHERE id = {SUCCEEDED} RETURNING id"
    ),
    "a capture's reservation that no operation holds": Fault(
        "payment_reservations", "pay",
        f"UPDATE payments SET capture_pending = 1 WHERE id = {HELD} RETURNING id",
    ),
    "a payment authorized twice": Fault(
        "payment_authorizations", "pay",
        AN_OPERATION.format(kind="'authorize'", created_at="now()", outcome="'declined', now()")
        + f" WHERE id = {SUCCEEDED} RETURNING payment_id",
    ),
    "a payment that nobody finishes": Fault(
        "payment_overdue", "pay",
        f"UPDATE payments SET status = 'processing', created_at = {LONG_AGO}, updated_at = {LONG_AGO} "
        "WHERE status = 'requires_confirmation' RETURNING id",
        frozenset({"payment_events"}),
    ),
    "a payment without its first event": Fault(
        "payment_events", "pay", f"DELETE FROM events WHERE object_id = {SUCCEEDED} AND version = 1 RETURNING object_id"
    ),
    "a payment's event that tells something else": Fault(
        "payment_events", "pay",
        "UPDATE events SET data = jsonb_set(data::jsonb, '{amount_captured}', '1')::json "
        f"WHERE object_id = {SUCCEEDED} AND type = 'payment.succeeded' RETURNING object_id",
    ),
    "a version told twice": Fault(
        "payment_events", "pay",
        "INSERT INTO events (slot, merchant_id, livemode, id, created_at, type, object_id, version, data) "
        "SELECT slot, merchant_id, livemode, gen_random_uuid(), created_at, type, object_id, version, data "
        f"FROM events WHERE object_id = {SUCCEEDED} AND version = 1 RETURNING object_id",
    ),
    "a refund without its last event": Fault(
        "refund_events", "ref", "DELETE FROM events WHERE type = 'refund.failed' RETURNING object_id"
    ),
    "a refund's event that tells something else": Fault(
        "refund_events", "ref",
        "UPDATE events SET data = jsonb_set(data::jsonb, '{amount}', '1')::json WHERE type = 'refund.failed' RETURNING object_id",
    ),
    "a refund that stands elsewhere than its operation": Fault(
        "refund_operation", "ref",
        "UPDATE refunds SET status = 'pending', failure_code = NULL WHERE status = 'failed' RETURNING id",
        frozenset({"refund_events"}),
    ),
    "a capture without its transfer": Fault(
        "operation_transfer", "op", f"DELETE FROM transfers WHERE id = {CAPTURED} RETURNING operation_id",
        frozenset({"payment_transfers", "rollup"}),
    ),
    "a transfer without an operation": Fault(
        "transfer_operation", "tr",
        "INSERT INTO transfers (slot, merchant_id, livemode, id, kind, debit_account, credit_account, amount, currency, payment_id, "
        "operation_id, available_on, created_at) SELECT slot, merchant_id, livemode, gen_random_uuid(), kind, debit_account, "
        f"credit_account, amount, currency, payment_id, gen_random_uuid(), now(), now() FROM transfers WHERE id = {CAPTURED} RETURNING id",
        frozenset({"payment_transfers"}),
    ),
    "an operation that nobody finishes": Fault(
        "operation_overdue", "op",
        AN_OPERATION.format(kind="'reverse'", created_at=LONG_AGO, outcome="NULL, NULL") + f" WHERE id = {SUCCEEDED} RETURNING id",
    ),
    "two keys of one operation": Fault(
        "one_key_one_object", "",
        "INSERT INTO idempotency (slot, merchant_id, livemode, key, fingerprint, object_id, operation_id, owner, lease_until, "
        "response_status, response_body, created_at, expires_at) SELECT slot, merchant_id, livemode, 'a second key', fingerprint, "
        "object_id, operation_id, owner, lease_until, response_status, response_body, created_at, expires_at FROM idempotency "
        f"WHERE object_id = {SUCCEEDED} RETURNING key",
    ),
    "a key of two payments": Fault(
        "one_key_one_object", "op",
        f"UPDATE operations SET idempotency_key = (SELECT min(key) FROM idempotency WHERE object_id <> {SUCCEEDED}) "
        f"WHERE payment_id = {SUCCEEDED} RETURNING id",
    ),
    "a key whose answer shows another payment": Fault(
        "one_key_one_object", "",
        "UPDATE idempotency SET response_body = (SELECT response_body FROM idempotency "
        f"WHERE response_status = 201 AND object_id <> {SUCCEEDED} LIMIT 1) WHERE object_id = {SUCCEEDED} RETURNING key",
    ),
    "a key without the answer of its operation": Fault(
        "key_answered", "",
        f"UPDATE idempotency SET response_status = NULL, response_body = NULL WHERE object_id = {SUCCEEDED} RETURNING key",
    ),
    "a notification that nobody acts on": Fault(
        "notification_overdue", "",
        "INSERT INTO notifications (slot, merchant_id, livemode, processor, processor_id, type, operation_id, body, received_at, "
        f"next_attempt_at) SELECT slot, merchant_id, livemode, 'simulator', 'n1', 'x', gen_random_uuid(), '', {LONG_AGO}, now() "
        "FROM payments LIMIT 1 RETURNING processor || ' ' || processor_id",
    ),
    "a balance that its transfers do not add up to": Fault(
        "rollup", "", "UPDATE balances SET amount = amount + 1 WHERE account = 'merchant:pending' RETURNING account || ' ' || currency",
    ),
    "a balance that is missing": Fault(
        "rollup", "", "DELETE FROM balances WHERE account = 'merchant:pending' RETURNING account || ' ' || currency",
    ),
    "a payment whose charge is another": Fault(
        "payment_has_charge", "pay", f"UPDATE payments SET processor_reference = 'ch_another' WHERE id = {SUCCEEDED} RETURNING id",
        frozenset({"one_charge"}),
    ),
    "a payment in another currency than its charge": Fault(
        "charge_agrees", "pay", f"UPDATE payments SET currency = 'SEK' WHERE id = {SUCCEEDED} RETURNING id",
        frozenset({"payment_events", "payment_transfers", "transfer_operation"}),
    ),
    "an authorized payment that the processor does not know": Fault(
        "payment_has_charge", "pay",
        "WITH payment AS (INSERT INTO payments (slot, merchant_id, livemode, id, status, version, owner, amount, currency, capture_method, "
        "amount_capturable, payment_method, processor, processor_reference, created_at, updated_at) SELECT slot, merchant_id, livemode, "
        "gen_random_uuid(), 'requires_capture', 1, owner, amount, currency, 'manual', amount, payment_method, processor, 'ch_none', now(), "
        f"now() FROM payments WHERE id = {SUCCEEDED} RETURNING slot, merchant_id, livemode, id, amount, currency, processor, owner), "
        "operation AS (" + AN_OPERATION.format(kind="'authorize'", created_at="now()", outcome="'approved', now()").replace(
            "FROM payments", "FROM payment") + ") SELECT id FROM payment",
        frozenset({"payment_events"}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_the_books_is_named(books: Books, name: str) -> None:
    fault = FAULTS[name]
    if fault.prepare:
        books.sql.script(fault.prepare)
    planted = books.sql.value(fault.sql)
    shown = ids.encode(fault.prefix, books.tenant.slot, planted) if fault.prefix else planted
    report = books.verify()
    assert not report.clean
    assert shown in {finding.object for finding in report.findings if finding.check == fault.check}, report
    assert {finding.check for finding in report.findings} == {fault.check} | fault.also
    assert report.incomplete == []


def named(books: Books, check: str) -> list[Finding]:
    report = books.verify()
    assert report.incomplete == []
    assert {finding.check for finding in report.findings} == {check}
    return report.findings


@pytest.mark.parametrize("guilders", [True, False], ids=["under a key of Guilder's", "under any key"])
def test_a_charge_without_a_payment(books: Books, charges: Charges, *, guilders: bool) -> None:
    reference = ids.encode("pay", books.tenant.slot, uuid4())
    charge = charges.charge(reference, books.key() if guilders else None)
    try:
        (finding,) = named(books, "charge_has_payment")
        assert finding.object == reference
        assert charge in finding.detail
    finally:
        charges.refund(charge)
    assert books.verify().clean, "what was paid back is no fault"


def test_a_second_charge_of_a_payment(books: Books, charges: Charges) -> None:
    payment = books.shown(books.sql.value(f"SELECT {SUCCEEDED}"))
    charge = charges.charge(payment, books.key())
    try:
        (finding,) = named(books, "one_charge")
        assert (finding.object, charge in finding.detail) == (payment, True)
    finally:
        charges.refund(charge)
    assert books.verify().clean


def test_a_refund_that_only_the_processor_knows(books: Books, charges: Charges) -> None:
    with books.environment() as environment:
        payment = environment.pay().json()["id"]
    charge = charges.of(payment)["id"]
    assert books.verify().clean
    charges.refund(charge, 1)
    try:
        (finding,) = named(books, "charge_agrees")
        assert finding.object == payment
    finally:
        charges.refund(charge)


def test_a_charge_that_succeeds_after_its_payment_failed(books: Books, charges: Charges) -> None:
    """Nobody was told: the notification went nowhere."""
    with books.environment() as environment:
        payment = environment.pay(payment_method="tok_late_success").json()["id"]
    deadline = time.monotonic() + 10
    while charges.of(payment)["status"] != "captured":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    try:
        (finding,) = named(books, "ended_charge")
        assert finding.object == payment
    finally:
        charges.refund(charges.of(payment)["id"])
    assert books.verify().clean


def test_a_voided_authorization_of_a_payment_that_waits_for_its_capture(books: Books, charges: Charges) -> None:
    with books.environment() as environment:
        payment = environment.pay(capture_method="manual").json()["id"]
    charges.void(charges.of(payment)["id"])
    (finding,) = named(books, "charge_agrees")
    assert finding.object == payment


def test_charges_of_another_installation_are_counted_and_not_judged(books: Books, charges: Charges) -> None:
    elsewhere = replace(books, tenant=replace(books.tenant, merchant=uuid4()))
    before = books.verify().foreign_charges
    charges.charge(elsewhere.shown(uuid4()), elsewhere.key())
    report = books.verify()
    assert (report.clean, report.foreign_charges) == (True, before + 1)


def test_every_check_has_a_test() -> None:
    here = {fault.check for fault in FAULTS.values()}
    assert here | {"charge_has_payment", "one_charge", "ended_charge"} == set(MEANINGS)


def test_never_wrong_while_payments_are_made(books: Books) -> None:
    """Payments, captures, cancellations and refunds without a pause, and the checks beside them: no finding, ever."""
    books = books.of_another_merchant()
    until = time.monotonic() + 8

    def work() -> int:
        done = 0
        with books.environment() as environment:
            while time.monotonic() < until:
                manual = environment.pay(capture_method="manual").json()["id"]
                environment.post(f"payments/{manual}/capture", {"amount": 400})
                environment.post(f"payments/{manual}/cancel")
                environment.post("refunds", {"payment": manual, "amount": 100})
                environment.post("refunds", {"payment": environment.pay().json()["id"]})
                done += 1
        return done

    reports: list[Report] = []
    with ThreadPoolExecutor(3) as threads:
        workers = [threads.submit(work) for _ in range(3)]
        while time.monotonic() < until - 1:
            reports.append(books.verify(reader=len(reports) % 2 == 1))
        assert sum(worker.result() for worker in workers) > 10
    assert len(reports) >= 2
    assert [report.findings for report in reports if report.findings] == []
    assert books.verify().clean


def test_since_leaves_out_what_is_older(books: Books) -> None:
    books.sql.rows(FAULTS["a payment without its first event"].sql)
    assert books.broken() == {"payment_events"}
    report = books.verify(since=datetime.now(UTC) + timedelta(seconds=1))
    assert (report.clean, report.rows["payment_events"]) == (True, 0)


def test_a_thousand_faults_are_told_by_a_hundred(books: Books) -> None:
    books.sql.rows("""
        INSERT INTO transfers (slot, merchant_id, livemode, id, kind, debit_account, credit_account, amount, currency, payment_id,
            operation_id, available_on, created_at)
        SELECT slot, merchant_id, livemode, gen_random_uuid(), kind, debit_account, credit_account, amount, currency, payment_id,
            gen_random_uuid(), now(), now()
        FROM transfers CROSS JOIN generate_series(1, 300)""")
    report = books.verify()
    assert report.count("transfer_operation") == FINDINGS_MOST


def test_no_time_left_is_not_clean(books: Books) -> None:
    report = books.verify(seconds=0)
    assert not report.clean
    assert report.incomplete


def test_a_processor_that_does_not_answer_is_not_clean_and_hides_nothing_else(books: Books) -> None:
    books.sql.rows(FAULTS["a payment without its first event"].sql)
    report = replace(books, settings=replace(books.settings, simulator_url="http://127.0.0.1:9")).verify()
    assert report.incomplete
    assert {finding.check for finding in report.findings} == {"payment_events"}


def test_it_only_reads(books: Books) -> None:
    """With the replica, which takes no writes, for the writer too, everything is the same."""
    settings = replace(books.settings, cells=tuple(replace(c, writer=c.reader) for c in books.settings.cells))
    books.until_replicated()
    assert replace(books, settings=settings).verify().clean


def test_an_id_of_a_moment_is_below_all_that_are_made_then() -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    source = ids.IdSource(lambda: moment)
    assert id_at(moment) < source.new() < id_at(moment + timedelta(milliseconds=1))
    assert id_at(datetime.fromtimestamp(0, UTC)) == UUID(int=0)
