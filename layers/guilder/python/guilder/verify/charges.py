"""The processors' books against Guilder's, in both directions, in bounded memory.

*Every charge has its payment*: charges are listed page by page, and each page's payments are read by key. *Every payment has its charge*:
while both sides are gone through, each approved authorization is added to a sum on Guilder's side and taken away again for the charge that
it made. There are 4,096 sums, by the id's random bits; in those that do not end at nothing, the operations are looked up one by one.

The two books cannot be read at one moment. So payments with work under way are passed over, and what differs is looked at again: payment,
charge, and payment once more, until the payment has not changed in between.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from guilder import db, ids, operations, payments
from guilder.errors import Unavailable
from guilder.operations import Address
from guilder.processors import Approved, Charge, Processor, Unknown
from guilder.verify.checks import Over
from guilder.verify.report import Finding, Report
from guilder.verify.scan import Endpoints, Page, Scope, pages, shown_merchant, tenants

SQL = db.load_queries(__file__)

MEANINGS = {
    "charge_has_payment": "No charge that holds or took money is without its payment.",
    "charge_agrees": "A payment's charge has the same amount, currency, captures and refunds as the payment.",
    "one_charge": "A payment has one charge that holds or took money, and it is the one in its books.",
    "ended_charge": "A payment that failed or was canceled has no charge that still holds or took money.",
    "payment_has_charge": "A payment that was authorized has its charge at the processor.",
}

SUMS = 4096
AT_ONCE = 100
"""Charges whose payments are read by one statement."""
SUSPECTS_MOST = 1000
LOOKS = 5
"""At a charge and its payment, until the payment stands still in between."""
PAUSE_S = 2.0
"""Before suspects are looked at again, so that what is on its way arrives."""
SKEW = timedelta(minutes=5)
"""How far a processor's clock and the time between an operation and its charge may put the two apart."""
_TIMED = 7
SINCE_EVER = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Made:
    """A charge and whom it names: made by an operation for a payment. No address: the key is none of Guilder's."""

    charge: Charge
    address: Address | None
    payment: UUID | None

    @classmethod
    def of(cls, charge: Charge) -> "Made":
        """Read what the charge names."""
        try:
            address, place = operations.read_key(charge.operation), ids.decode(payments.PREFIX, charge.payment)
        except ids.InvalidId:
            return cls(charge, None, None)
        return cls(charge, address, place.uuid) if place.slot == address.tenant.slot else cls(charge, None, None)


@dataclass(slots=True)
class Audit:
    """One run against one processor."""

    processor: Processor
    endpoints_of: Callable[[int], Endpoints]
    """By slot."""
    scope: Scope
    report: Report
    counted_until: UUID
    """Operations begun later than the run are not counted: they would be on one side and not yet on the other."""
    sums: list[int] = field(default_factory=lambda: [0] * SUMS)
    suspects: list[Made] = field(default_factory=list)

    async def add(self, endpoints: Endpoints, page: Page) -> None:
        """Add a page's approved authorizations: a visit of ``scan``."""
        if page.over is Over.OPERATIONS:
            for row in await self._authorized(endpoints.look, page):
                if self._is_counted(row["id"]):
                    self.sums[row["id"].int % SUMS] += row["id"].int

    async def go_through_charges(self, since: datetime | None, until: datetime) -> None:
        """Compare every charge with its payment.

        Raises:
            Unavailable: the processor or a database did not answer.
            OutOfTime: there is more to see.
        """
        batch: list[Charge] = []
        async for charge in self.processor.list_charges(since - SKEW if since else SINCE_EVER, until):
            batch.append(charge)
            if len(batch) == AT_ONCE:
                await self._compare(batch)
                batch.clear()
        await self._compare(batch)

    async def finish(self, endpoints: Sequence[Endpoints]) -> None:
        """Look again at what differed, and tell what still does.

        Raises:
            Unavailable: the processor or a database did not answer.
            OutOfTime: there is more to see.
        """
        saw_all = not self.report.incomplete
        if self.suspects or any(self.sums):
            await asyncio.sleep(PAUSE_S)
        for made in self.suspects:
            await self._confirm(made)
        if saw_all and any(self.sums):
            for cell in endpoints:
                await self._find_uncharged(cell)

    async def _compare(self, batch: Sequence[Charge]) -> None:
        self.scope.check_time()
        found = await read([Made.of(charge) for charge in batch], lambda slot: self.endpoints_of(slot).look)
        for name in MEANINGS:
            self.report.seen(name, len(batch))
        for made, row in found:
            if made.address and row is not None and not row["merchant_known"]:
                self.report.foreign_charges += 1
                continue
            if made.address and row is not None and self._is_its_own(made, row):
                self._take_away(made.address.operation)
            if verdict(made, row) is not None:
                self._suspect(made)

    def _take_away(self, operation: UUID) -> None:
        if self._is_counted(operation):
            self.sums[operation.int % SUMS] -= operation.int

    def _suspect(self, made: Made) -> None:
        if len(self.suspects) < SUSPECTS_MOST:
            self.suspects.append(made)
        elif len(self.suspects) == SUSPECTS_MOST:
            self.suspects.append(made)
            self.report.incomplete.append(f"more than {SUSPECTS_MOST} charges of {self.processor.name} differ")

    def _is_counted(self, operation: UUID) -> bool:
        """Whether an operation was begun in time. Ids of another version than 7, which Guilder does not make, tell no time."""
        return self.scope.first < operation and (operation < self.counted_until or operation.version != _TIMED)

    def _is_its_own(self, made: Made, row: db.Row) -> bool:
        """Whether the charge is the one in the payment's books, made by its authorization."""
        return bool(row["authorized"]) and row["processor_reference"] == made.charge.reference

    async def _confirm(self, made: Made) -> None:
        """Look at both sides until Guilder's has stood still around the look at the processor's."""
        for _ in range(LOOKS):
            before = await self._read_again(made)
            now = Made.of(await self._listed_again(made.charge))
            after = await self._read_again(made)
            if _same(before, after):
                fault = verdict(now, after)
                if fault is not None:
                    self._tell(now, *fault)
                return
        self.report.incomplete.append(f"payment {made.charge.payment} changed at every look")

    async def _listed_again(self, charge: Charge) -> Charge:
        moment = charge.created_at
        async for found in self.processor.list_charges(moment, moment + timedelta(microseconds=1)):
            if found.reference == charge.reference:
                return found
        raise Unavailable(f"{self.processor.name} does not list charge {charge.reference} any more.")

    async def _read_again(self, made: Made) -> db.Row | None:
        return (await read([made], lambda slot: self.endpoints_of(slot).confirm))[0][1]

    async def _find_uncharged(self, endpoints: Endpoints) -> None:
        """Look the operations up that are in a sum which is not nothing."""
        async for tenant in tenants(endpoints.confirm, self.scope):
            async for page in pages(endpoints.confirm, tenant, Over.OPERATIONS, self.scope):
                for row in await self._authorized(endpoints.confirm, page):
                    if self.sums[row["id"].int % SUMS]:
                        await self._look_up(endpoints, page, row)

    async def _look_up(self, endpoints: Endpoints, page: Page, row: db.Row) -> None:
        tenant = page.tenant
        outcome = await self.processor.lookup(operations.write_key(Address(tenant, row["id"])))
        if isinstance(outcome, Unknown):
            raise Unavailable(f"{self.processor.name} does not answer.")
        booked = await endpoints.confirm.fetchrow(
            SQL["charge_of_payment"], tenant.slot, tenant.merchant, tenant.livemode, row["payment_id"]
        )
        reference = booked and booked["processor_reference"]
        if isinstance(outcome, Approved) and outcome.reference == reference:
            return
        shown = ids.encode(payments.PREFIX, tenant.slot, row["payment_id"])
        detail = f"the processor has no charge {reference} of its operation: {type(outcome).__name__}"
        self.report.add(Finding("payment_has_charge", shown, detail, shown_merchant(tenant)))

    async def _authorized(self, endpoint: db.Endpoint, page: Page) -> list[db.Row]:
        rows = await endpoint.fetch(SQL["authorized"], *page.arguments)
        return [row for row in rows if row["processor"] == self.processor.name]

    def _tell(self, made: Made, check: str, detail: str) -> None:
        owner = shown_merchant(made.address.tenant) if made.address else ""
        self.report.add(Finding(check, made.charge.payment, f"charge {made.charge.reference}: {detail}", owner))


async def read(batch: Sequence[Made], endpoint_of: Callable[[int], db.Endpoint]) -> list[tuple[Made, db.Row | None]]:
    """Read Guilder's side of charges, one statement a cell. None: the charge was not made by Guilder."""
    by_endpoint: dict[db.Endpoint, list[int]] = defaultdict(list)
    for place, made in enumerate(batch):
        if made.address is not None:
            by_endpoint[endpoint_of(made.address.tenant.slot)].append(place)
    found: dict[int, db.Row] = {}
    for endpoint, places in by_endpoint.items():
        columns = zip(*(_asked_for(place, batch[place]) for place in places), strict=True)
        rows = await endpoint.fetch(SQL["booked"], *(list(column) for column in columns))
        found |= {row["place"]: row for row in rows}
    return [(made, found.get(place)) for place, made in enumerate(batch)]


def _asked_for(place: int, made: Made) -> tuple[object, ...]:
    assert made.address is not None  # noqa: S101 (only those that name one are read)
    tenant = made.address.tenant
    return (place, tenant.slot, tenant.merchant, tenant.livemode, made.payment, made.address.operation)


def _same(before: db.Row | None, after: db.Row | None) -> bool:
    """Whether a payment stood still: its version and its open work are what any change touches."""
    if before is None or after is None:
        return before is after
    return (before["version"], before["at_work"]) == (after["version"], after["at_work"])


def is_live(charge: Charge) -> bool:
    """Whether a charge holds the payer's money or has taken it, and not given it back."""
    return charge.status == "authorized" or charge.amount_captured > charge.amount_refunded


def verdict(made: Made, row: db.Row | None) -> tuple[str, str] | None:
    """Judge one charge by what Guilder's books say. The check that it breaks and how; None: nothing is wrong, or work is under way."""
    charge = made.charge
    if row is None or row["payment_id"] is None:
        return ("charge_has_payment", f"made under {charge.operation}, of {_told(charge)}") if is_live(charge) else None
    if row["at_work"]:
        return None
    if charge.reference != row["processor_reference"]:
        return ("one_charge", f"{_told(charge)}, beside {row['processor_reference']}") if is_live(charge) else None
    if row["status"] not in {"succeeded", "requires_capture"}:
        return ("ended_charge", f"{_told(charge)}, the payment {row['status']}") if is_live(charge) else None
    status = "captured" if row["amount_captured"] else "authorized"
    booked = (status, row["amount"], row["currency"], row["amount_captured"], row["amount_refunded"])
    if booked == (charge.status, charge.amount, charge.currency, charge.amount_captured, charge.amount_refunded):
        return None
    return "charge_agrees", f"{_told(charge)}, the payment {_put(*booked)}"


def _told(charge: Charge) -> str:
    return _put(charge.status, charge.amount, charge.currency, charge.amount_captured, charge.amount_refunded)


def _put(status: object, amount: object, currency: object, captured: object, refunded: object) -> str:
    return f"{status} {amount} {currency}, captured {captured}, refunded {refunded}"
