"""The workers stack: the functions that no partner calls."""

from collections.abc import Sequence
from dataclasses import replace

from constructs import Construct

from infra import scheduled
from infra.data import DataStack
from infra.environments import Environment
from infra.function import Function
from infra.layers import Layers
from infra.network import NetworkStack
from infra.simulator import Simulator
from infra.stack import GuilderStack
from infra.variables import Variables


class WorkersStack(GuilderStack):
    """`migrate`, what runs on a schedule, and in `dev` the processor simulator; `variables` knows the latter's address."""

    def __init__(
        self,
        scope: Construct,
        environment: Environment,
        variables: Variables,
        *,
        network: NetworkStack | None = None,
        data: Sequence[DataStack] = (),
    ) -> None:
        super().__init__(scope, environment, "workers")
        layers = Layers(self, environment)
        self.simulator: Simulator | None = None
        if environment.has_simulator and network and network.gateway_endpoint:
            self.simulator = Simulator(self, environment, layers, network, data[0], network.gateway_endpoint)
            variables = replace(variables, simulator_url=self.simulator.url)
        self.variables = variables
        self.migrate = Function(
            self,
            environment,
            "migrate",
            size=environment.migrate_function,
            layers=layers.versions,
            variables=variables.of_migrate(_admin_secret(data)),
            placement=network.placement(network.migrations) if network else None,
        )
        for cell in data:
            cell.grant_administration(self.migrate)
        self.scheduled = [
            scheduled.deploy(
                self,
                environment,
                schedule,
                layers=layers.versions,
                variables=variables.of_functions(),
                placement=network.placement(network.functions) if network else None,
                data=data,
            )
            for schedule in scheduled.SCHEDULES
        ]


def _admin_secret(data: Sequence[DataStack]) -> str | None:
    """The administrator's secret: `GUILDER_ADMIN_SECRET_ARN` holds one, and RDS makes one for each cluster."""
    if len(data) > 1:
        raise ValueError("the migrate function takes one administrator's secret; several cells need one each")
    return data[0].admin_secret_arn if data else None
