"""The same key from many callers at the same time, over several processes: one charge, one payment, one answer."""

from uuid import uuid4

import pytest
from guilder.config import Budgets

from tests.chaos.crowd import at_work, environments_of
from tests.chaos.world import SCALE, World
from tests.support.workers import payment

pytestmark = pytest.mark.timeout(240 * SCALE)

KEYS = 200 * SCALE
CALLERS = 20


def test_two_hundred_keys_with_twenty_callers_each(world: World) -> None:
    merchant = world.merchant(Budgets())
    calls = [payment(uuid4().hex) for _ in range(KEYS)]
    with environments_of(merchant) as environments:
        with at_work(environments, calls, CALLERS) as crowd:
            crowd.wait_for(1.0, limit_s=110 * SCALE)
        told = [one for tolds in crowd.told.values() for one in tolds]
        assert len(told) == KEYS * CALLERS
        assert {one.first.status for one in told} <= {201, 409}
        assert {one.last.status for one in told} == {201}
        assert sum(one.first.status == 409 for one in told) <= len(told) / 100
        assert crowd.disagreements() == []
        fresh = [one for one in told if "idempotency-replayed" not in one.last.headers]
        assert len(fresh) == KEYS, "one caller of each key does the work, the others get its answer"
        assert merchant.payments() == KEYS
        assert merchant.faults() == []
        assert environments[0].verify(merchant.since) == []
