"""Roll-ups against the ledger: the balance of every account is the sum of the transfers that it claims to hold."""

from collections import defaultdict
from decimal import Decimal

from guilder import db
from guilder.ids import Tenant
from guilder.verify.checks import SQL, Over
from guilder.verify.report import Finding, Report
from guilder.verify.scan import FIRST, Endpoints, Scope, pages, shown_merchant

MEANINGS = {"rollup": "A merchant's balances are what its transfers, up to the roll-up's watermark, add up to."}

type Account = tuple[str, str]
"""Account and currency."""


async def check(endpoints: Endpoints, tenant: Tenant, scope: Scope, report: Report) -> None:
    """Compare one merchant's balances in one mode, and where they differ once more on the writer.

    Raises:
        OutOfTime: there is more to see.
        Unavailable: the database did not answer.
    """
    if report.is_full("rollup"):
        return
    seen, faults = await _faults(endpoints.look, tenant, scope)
    report.seen("rollup", seen)
    if faults:
        _, faults = await _faults(endpoints.confirm, tenant, scope)
    for (account, currency), detail in faults.items():
        report.add(Finding("rollup", f"{account} {currency}", detail, shown_merchant(tenant)))


async def _faults(endpoint: db.Endpoint, tenant: Tenant, scope: Scope) -> tuple[int, dict[Account, str]]:
    rows = await endpoint.fetch(SQL["rolled_up"], tenant.slot, tenant.merchant, tenant.livemode)
    held = {(row["account"], row["currency"]): row["amount"] for row in rows if row["account"] is not None}
    watermark = rows[0]["watermark"]
    if watermark is None and not held:
        return 0, {}
    booked: dict[Account, Decimal] = defaultdict(Decimal)
    async for page in pages(
        endpoint, tenant, Over.TRANSFERS, scope, FIRST
    ):  # all of them, however old: a balance begins at nothing
        for row in await endpoint.fetch(SQL["transferred"], *page.arguments, watermark or "0"):
            booked[row["account"], row["currency"]] += row["amount"]
    return len(held), {
        each: f"holds {held.get(each, 0)}, its transfers add up to {booked.get(each, 0)}"
        for each in held.keys() | booked.keys()
        if held.get(each, 0) != booked.get(each, 0)
    }
