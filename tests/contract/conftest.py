"""Every processor under the same contract."""

from collections.abc import AsyncIterator, Iterator

import pytest
from devstack.services import Services

from tests.contract.adapters import Adapter, SimulatorAdapter
from tests.simulator.receiver import receiving
from tests.support.simulators import own_simulator

SECRET = "what only the two sides know"


@pytest.fixture(scope="session")
def simulator_adapter(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorAdapter]:
    """A simulator of this run's own, which reports to a receiver in this process."""
    log = tmp_path_factory.mktemp("contract") / "simulator.log"
    with receiving() as receiver, own_simulator(services, log, receiver.url, SECRET) as simulator:
        yield SimulatorAdapter(simulator.url, SECRET, receiver)


@pytest.fixture(scope="session", params=["simulator"])
async def adapter(request: pytest.FixtureRequest) -> AsyncIterator[Adapter]:
    """Each processor in turn."""
    adapter: Adapter = request.getfixturevalue(f"{request.param}_adapter")
    yield adapter
    await adapter.processor.close()
