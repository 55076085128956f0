"""The real services in one hand: a clock that can be set, a line to the processor that fails, notifications brought at will."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, cast
from uuid import uuid4

import httpx
from guilder import ids, reconcile
from guilder.api.functions import TEXT_MIME_TYPES
from guilder.config import Settings
from guilder.keys import KeyRing
from guilder.processors import Approved, Authorization, Change, NotFound, Outcome, Pending, Unknown
from guilder.processors.simulator import Simulator
from mangum import Mangum

from tests.properties.whole import whole_app
from tests.support.environment import Environment
from tests.support.gateway import Answer, answer, event
from tests.support.sql import Sql

SECRET = "a-notification-secret-of-the-tests"
IMPATIENT_S = 0.1
"""What the client waits where the simulator holds its answer: the time-out is real, and quick."""
PATIENCE_S = 10.0


_LAMBDA_CONTEXT: Any = None  # what no handler of ours looks at


class Line(Enum):
    """The line to the processor during one call."""

    GOOD = "good"
    LOST_BEFORE = "the request is lost"
    LOST_AFTER = "the answer is lost"
    TIMES_OUT = "the answer takes too long"
    DECIDES_LATER = "the answer is that it will be decided later"


class UnreliableLine:
    """The simulator's client, over a line that can be told to fail."""

    name = "simulator"

    def __init__(self, url: str) -> None:
        self.line = Line.GOOD
        self.silent = False
        self._patient = Simulator(url, PATIENCE_S, SECRET)
        self._impatient = Simulator(url, IMPATIENT_S, SECRET)

    async def authorize(self, authorization: Authorization) -> Outcome:
        return await self._over("authorize", authorization)

    async def capture(self, change: Change) -> Outcome:
        return await self._over("capture", change)

    async def cancel(self, change: Change) -> Outcome:
        return await self._over("cancel", change)

    async def refund(self, change: Change) -> Outcome:
        return await self._over("refund", change)

    async def lookup(self, operation: str) -> Outcome | NotFound:
        return Unknown("silent") if self.silent else await self._patient.lookup(operation)

    def parse_notification(self, headers: Any, body: bytes) -> Any:
        return self._patient.parse_notification(headers, body)

    async def close(self) -> None:
        await self._patient.close()
        await self._impatient.close()

    async def _over(self, method: str, order: Authorization | Change) -> Outcome:
        if self.line is Line.LOST_BEFORE:
            return Unknown("lost before")
        client = self._impatient if self.line is Line.TIMES_OUT else self._patient
        outcome = cast("Outcome", await getattr(client, method)(order))
        if self.line is Line.DECIDES_LATER and isinstance(outcome, Approved):
            return Pending(outcome.reference)
        return Unknown("lost after") if self.line is Line.LOST_AFTER else outcome


@dataclass
class Clock:
    """The real time, moved forward as far as a test says."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Broken:
    """In the place of something that ends in an error, whatever it is asked."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        raise self._error


class World:
    """One merchant's Lambda environment, its processor and its books."""

    def __init__(self, settings: Settings, api_key: str, sql: Sql) -> None:
        assert settings.simulator_url is not None
        self.clock = Clock()
        self.not_found_final = settings.budgets.not_found_final
        self.environment = Environment(settings, api_key, clock=self.clock)
        self.processor = UnreliableLine(settings.simulator_url)
        self.environment.runtime._processors = cast("Any", {"simulator": self.processor})
        thread = self.environment._thread
        app = thread.submit(whole_app, self.environment.runtime).result()
        self._whole = thread.submit(Mangum, app, lifespan="off", text_mime_types=TEXT_MIME_TYPES).result()
        self._simulator = httpx.Client(base_url=settings.simulator_url, timeout=10)
        self._sql = sql

    def close(self) -> None:
        self._simulator.close()
        self.environment.__exit__()

    def post(self, path: str, body: object, key: str, line: Line) -> Answer:
        self.processor.line = line
        try:
            return self.environment.post(path, body, key)
        finally:
            self.processor.line = Line.GOOD

    def call(self, method: str, path: str, body: object, *, headers: Mapping[str, str], query: str = "") -> Answer:
        """Send any request to the whole API; ``query`` as it stands in an address."""
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = event(method, f"{path}?{query}" if query else path, headers, raw)
        return answer(self.environment._thread.submit(self._whole, sent, _LAMBDA_CONTEXT).result(60))

    @contextmanager
    def out_of_order(self, error: Exception) -> Iterator[None]:
        """Every statement and every processor's secret ends in ``error`` while the block runs."""
        runtime = self.environment.runtime
        (cell,) = runtime._cells.values()
        real, processors = cell.database.writer, runtime._processors
        cell.database.writer = Broken(error)  # type: ignore[assignment]
        runtime._processors = cast("Any", Broken(error))
        runtime._keys = KeyRing(self.clock)
        try:
            yield
        finally:
            cell.database.writer, runtime._processors = real, processors

    def forget_cache(self) -> None:
        """Lose everything that the cache holds."""
        (cell,) = self.environment.runtime._cells.values()
        self.environment.run(cell.cache._client.flushdb)

    def void_behind_our_back(self, payment_id: str) -> None:
        """Void a payment's charge at the processor, as its staff could."""
        (charge,) = self.charges(payment_id)
        headers = {"Idempotency-Key": uuid4().hex}
        self._simulator.post(f"/charges/{charge['id']}/void", json={}, headers=headers).raise_for_status()

    def payment(self, payment_id: str) -> dict[str, Any]:
        answered = self.environment.get(payment_id)
        assert answered.status == 200, answered
        return dict(answered.json())

    def reconcile(self, *payment_ids: str, silent: bool = False) -> None:
        """One look of the reconciler, as if the time of each notification and of each operation of these payments had come."""
        payments = [ids.decode("pay", payment_id).uuid for payment_id in payment_ids]
        self._sql.rows(
            "UPDATE operations SET check_at = now() - interval '1 s', lease_until = now() - interval '1 s' "
            "WHERE outcome IS NULL AND payment_id = ANY($1)",
            payments,
        )
        self._sql.rows("UPDATE notifications SET next_attempt_at = now() - interval '1 s' WHERE processed_at IS NULL")
        self.processor.silent = silent
        try:
            report = reconcile.Report(**self.environment.reconcile(0.01))
        finally:
            self.processor.silent = False
        assert report.failures == 0, report

    def act(self, url: str, *, approve: bool) -> None:
        """The payer decides, on the processor's page."""
        outcome = {"outcome": "approve" if approve else "decline"}
        self._simulator.post(url, data=outcome).raise_for_status()

    def charges(self, payment_id: str) -> list[dict[str, Any]]:
        return self._read("/charges", reference=payment_id)

    def notifications(self, payment_id: str) -> list[dict[str, Any]]:
        return self._read("/notifications", reference=payment_id)

    def deliver(self, notification: dict[str, Any]) -> None:
        """Bring a notification to Guilder's door, signed as the processor does; ``notifications`` lists them."""
        body = json.dumps(notification["payload"])
        stamp = int(time.time())
        digest = hmac.new(SECRET.encode(), f"{stamp}.{body}".encode(), hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "Simulator-Signature": f"t={stamp},v1={digest}"}
        answered = self.call("POST", "/v1/notifications/simulator", body.encode(), headers=headers)
        assert (answered.status, answered.json()) == (200, {"received": True}), answered

    def wait_for_the_processor(self, payment_id: str, *, late: bool) -> None:
        """Until the processor has decided what it decides later: pending refunds, and charges that succeed late."""
        deadline = time.monotonic() + PATIENCE_S
        while self._undecided(payment_id, late=late):
            assert time.monotonic() < deadline, "the simulator does not decide"
            time.sleep(0.02)

    def _undecided(self, payment_id: str, *, late: bool) -> bool:
        for charge in self.charges(payment_id):
            if late and charge["status"] == "failed":
                return True
            if any(refund["status"] == "pending" for refund in self._read(f"/charges/{charge['id']}/refunds")):
                return True
        return False

    def books(self, payment_id: str) -> dict[str, Any]:
        """What the database holds of a payment beside the API: transfers, versions of events, reservations, open operations."""
        place = ids.decode("pay", payment_id)
        (row,) = self._sql.rows(_BOOKS, place.slot, place.uuid)
        return row | {"gaps": self._sql.rows(_GAPS, place.slot, place.uuid)}

    def _read(self, path: str, **query: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._simulator.get(path, params=query).raise_for_status().json()["data"]
        return rows


_BOOKS = """
SELECT p.version, p.capture_pending, p.refund_pending,
    (SELECT coalesce(sum(amount), 0)::bigint FROM transfers t WHERE t.slot = $1 AND t.payment_id = $2 AND kind = 'capture') AS captured,
    (SELECT coalesce(sum(amount), 0)::bigint FROM transfers t WHERE t.slot = $1 AND t.payment_id = $2 AND kind = 'refund') AS refunded,
    (SELECT array_agg(e.version ORDER BY e.version) FROM events e WHERE e.slot = $1 AND e.object_id = $2) AS versions,
    (SELECT coalesce(array_agg(o.kind), '{}') FROM operations o
     WHERE o.slot = $1 AND o.payment_id = $2 AND outcome IS NULL) AS open,
    (SELECT coalesce(sum(r.amount), 0)::bigint FROM refunds r
     WHERE r.slot = $1 AND r.payment_id = $2 AND r.status = 'succeeded') AS refunds_succeeded,
    (SELECT count(*) FROM refunds r WHERE r.slot = $1 AND r.payment_id = $2 AND r.status = 'pending') AS refunds_pending
FROM payments p WHERE p.slot = $1 AND p.id = $2"""

_GAPS = """
SELECT r.id, r.version, array_agg(e.version ORDER BY e.version) AS versions
FROM refunds r LEFT JOIN events e ON e.slot = r.slot AND e.object_id = r.id
WHERE r.slot = $1 AND r.payment_id = $2
GROUP BY r.id, r.version
HAVING array_agg(e.version ORDER BY e.version) <> (SELECT array_agg(n) FROM generate_series(1, r.version) AS n)"""
