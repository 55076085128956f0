"""Functions that a clock calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.data import APPLICATION_ROLE, DataStack
from infra.environments import Environment, FunctionSize
from infra.function import Function, Placement

WITHIN = cdk.Duration.seconds(60)
"""How old an event may get before it is dropped: the shortest that Lambda knows."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """One function and how often it runs. The limits are the same everywhere: each run does what there is to do and ends.

    Nothing is done twice when a run is missed or fails, and the next one does what is left: so a failed event is neither
    tried again nor kept. Two at a time at most: a run may overlap the one before it, and more would only add load.
    """

    name: str
    minutes: int
    size: FunctionSize


SCHEDULES = (
    Schedule("reconciler", 1, FunctionSize(timeout_seconds=60, reserved_concurrency=2)),
    Schedule("rollup", 1, FunctionSize(timeout_seconds=60, reserved_concurrency=2)),
    Schedule("verify", 60, FunctionSize(timeout_seconds=900, reserved_concurrency=1)),
)


def deploy(
    scope: Construct,
    environment: Environment,
    schedule: Schedule,
    *,
    layers: Sequence[lambda_.ILayerVersion],
    variables: Mapping[str, str],
    placement: Placement | None,
    data: Sequence[DataStack],
) -> Function:
    """Make the function, let it log in to the cells' proxies as the application, and have a rule call it."""
    function = Function(
        scope,
        environment,
        schedule.name,
        size=schedule.size,
        layers=layers,
        variables=variables,
        placement=placement,
    )
    for cell in data:
        cell.grant_connect(function, APPLICATION_ROLE)  # none of them needs the cache
    function.live.configure_async_invoke(retry_attempts=0, max_event_age=WITHIN)
    events.Rule(
        function,
        "Rule",
        rule_name=environment.named(schedule.name),
        schedule=events.Schedule.rate(cdk.Duration.minutes(schedule.minutes)),
        targets=[targets.LambdaFunction(function.live, retry_attempts=0, max_event_age=WITHIN)],
    )
    return function
