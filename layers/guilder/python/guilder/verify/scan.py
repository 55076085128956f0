"""Goes through a cell: merchant after merchant, both modes, each table in pages by its key. Memory is one page, whatever the cell holds."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from guilder import db, ids
from guilder.ids import Tenant
from guilder.verify.checks import CHECKS, OVERDUE, PREFIXES, SQL, Check, Over
from guilder.verify.report import Finding, OutOfTime, Report

PAGE = 500
"""Rows that one statement looks at: some milliseconds, far below a statement's limit of 5 s."""
MERCHANTS_AT_ONCE = 100
FIRST = UUID(int=0)
LAST = UUID(int=(1 << 128) - 1)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a run looks at, and how long it may take. ``first`` is an id: ids sort by the time they were made."""

    first: UUID
    overdue_before: datetime
    deadline: float
    """On the clock ``time.monotonic``."""
    page: int = PAGE

    def check_time(self) -> None:
        """Stop where the time is up.

        Raises:
            OutOfTime: it is.
        """
        if time.monotonic() >= self.deadline:
            raise OutOfTime


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one merchant's table with a key in (after, last]."""

    tenant: Tenant
    over: Over
    after: object
    last: object
    rows: int

    @property
    def arguments(self) -> tuple[object, ...]:
        """$1 to $5 of every block that looks at a page."""
        tenant = self.tenant
        return (tenant.slot, tenant.merchant, tenant.livemode, self.after, self.last)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a cell is read, and where a finding is looked at again before it is told."""

    look: db.Endpoint
    confirm: db.Endpoint


type VisitTenant = Callable[[Endpoints, Tenant, Scope, Report], Awaitable[None]]
type Visit = Callable[[Endpoints, Page], Awaitable[None]]


def id_at(moment: datetime) -> UUID:
    """Give the lowest UUIDv7 of a moment: all ids made before it are lower."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


async def scan(
    endpoints: Endpoints, scope: Scope, report: Report, tenant_visit: VisitTenant, visits: Sequence[Visit]
) -> None:
    """Ask every check of ``checks`` about everything in one cell. What else wants to see each merchant, and each page, visits it.

    Raises:
        OutOfTime: there is more to see.
        Unavailable: the database did not answer.
    """
    for name, prefix in OVERDUE.items():
        await _overdue(endpoints, name, prefix, scope, report)
    async for tenant in tenants(endpoints.look, scope):
        await tenant_visit(endpoints, tenant, scope, report)
        for over in Over:
            async for page in pages(endpoints.look, tenant, over, scope):
                for check in CHECKS:
                    if check.over is over and not report.is_full(check.name):
                        await _ask(endpoints, check, page, scope, report)
                for visit in visits:
                    await visit(endpoints, page)


async def tenants(endpoint: db.Endpoint, scope: Scope) -> AsyncIterator[Tenant]:
    """Go through the merchants of a cell, in both modes."""
    slot, merchant = 0, FIRST
    while rows := await endpoint.fetch(SQL["merchants"], slot, merchant, MERCHANTS_AT_ONCE):
        for row in rows:
            scope.check_time()
            slot, merchant = row["slot"], row["id"]
            for livemode in (False, True):
                yield Tenant(slot, merchant, livemode)


async def pages(
    endpoint: db.Endpoint, tenant: Tenant, over: Over, scope: Scope, first: UUID | None = None
) -> AsyncIterator[Page]:
    """Cut one merchant's table into pages, from ``first`` or the scope's beginning; those without a row are left out."""
    after: object = "" if over is Over.KEYS else (first or scope.first)
    end: object = None if over is Over.KEYS else LAST
    while True:
        scope.check_time()
        row = await endpoint.fetchrow(
            SQL[f"page_{over}"], tenant.slot, tenant.merchant, tenant.livemode, after, end, scope.page
        )
        if row is None or not row["rows"]:
            return
        last = row["last"]
        yield Page(tenant, over, after, end if last is None else last, row["rows"])
        if last is None:
            return
        after = last


async def _ask(endpoints: Endpoints, check: Check, page: Page, scope: Scope, report: Report) -> None:
    """Ask once; what is found is asked for again, on the writer, and told only if it is still there."""
    report.seen(check.name, page.rows)
    found = dict(await _faults(endpoints.look, check, page, scope))
    if not found:
        return
    prefix, tenant = PREFIXES.get(page.over), page.tenant
    for key, detail in await _faults(endpoints.confirm, check, page, scope):
        if key in found:
            shown = key if prefix is None else ids.encode(prefix, tenant.slot, key)
            report.add(Finding(check.name, str(shown), detail, shown_merchant(tenant)))


async def _faults(endpoint: db.Endpoint, check: Check, page: Page, scope: Scope) -> list[tuple[UUID, str]]:
    rows = await endpoint.fetch(SQL[check.block], *page.arguments, *((scope.overdue_before,) if check.timed else ()))
    return list(_compared(check, page, rows))


def _compared(check: Check, page: Page, rows: Sequence[db.Row]) -> Iterator[tuple[UUID, str]]:
    for row in rows:
        detail = row["detail"] if check.compare is None else check.compare(page.tenant, row)
        if detail is not None:
            yield row["id"], detail


async def _overdue(endpoints: Endpoints, name: str, prefix: str, scope: Scope, report: Report) -> None:
    report.seen(name, 0)
    if not await endpoints.look.fetch(SQL[name], scope.overdue_before):
        return
    for row in await endpoints.confirm.fetch(SQL[name], scope.overdue_before):
        shown = ids.encode(prefix, row["slot"], row["id"]) if prefix else row["id"]
        tenant = Tenant(row["slot"], row["merchant_id"], row["livemode"])
        report.add(Finding(name, shown, row["detail"], shown_merchant(tenant)))


def shown_merchant(tenant: Tenant) -> str:
    """Write a merchant's id as the API shows it."""
    return ids.encode("mer", tenant.slot, tenant.merchant)
