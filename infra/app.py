"""The CDK app: `cdk deploy -c env=<local|dev|prod>`; dev is the default.

network > data (one per cell) > workers > api > observability. LocalStack has neither VPC, Aurora, ElastiCache nor
dashboards worth having, so `local` is workers and api, which then share nothing and can be deployed side by side.
"""

import os

import aws_cdk as cdk

from infra import cells, environments, variables
from infra.api import ApiStack
from infra.data import DataStack
from infra.environments import CloudSize, Environment
from infra.network import NetworkStack
from infra.observability import ObservabilityStack
from infra.workers import WorkersStack


def build(app: cdk.App) -> Environment:
    """Add the stacks of the environment that the context names, and return it."""
    environment = environments.load(
        app.node.try_get_context("env") or "dev",
        account=app.node.try_get_context("account") or os.environ.get("CDK_DEFAULT_ACCOUNT"),
        region=app.node.try_get_context("region") or os.environ.get("CDK_DEFAULT_REGION"),
    )
    if environment.cloud:
        build_cloud(app, environment, environment.cloud)
    else:
        build_local(app, environment)
    return environment


def build_local(app: cdk.App, environment: Environment) -> None:
    """Only what LocalStack can run; the rest has been started beside it and is told by context."""
    addresses = cells.from_context(app.node.try_get_context("cells"))
    known = variables.from_context(app, environment, addresses)
    WorkersStack(app, environment, known)
    ApiStack(app, environment, known)


def build_cloud(app: cdk.App, environment: Environment, cloud: CloudSize) -> None:
    """All five."""
    network = NetworkStack(app, environment, cloud)
    data = [
        DataStack(app, environment, network, cell, database=cloud.database, cache=cloud.cache) for cell in cloud.cells
    ]
    known = variables.Variables(environment, [cell.addresses for cell in data], simulator_url=None)
    workers = WorkersStack(app, environment, known, network=network, data=data)
    api = ApiStack(app, environment, workers.variables, data=data, placement=network.placement(network.functions))
    ObservabilityStack(
        app, environment, api, data, [api.write, api.read, api.notifications, workers.migrate, *workers.scheduled]
    )


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
