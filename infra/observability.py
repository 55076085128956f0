"""The observability stack: what to look at, and what wakes somebody up."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.api import ApiStack
from infra.data import DataStack
from infra.environments import Environment
from infra.function import Function, removal_policy
from infra.stack import GuilderStack

PERIOD = cdk.Duration.minutes(1)
RESTART_PERIODS, RESTART_DATAPOINTS = 5, 3  # three bad minutes of five: one restart is not an incident
GUILDER_METRICS = "Guilder"  # the namespace of guilder.metrics


class ObservabilityStack(GuilderStack):
    """A topic for alarms (subscribe to it what pages you), the first alarms, and a dashboard."""

    def __init__(
        self,
        scope: Construct,
        environment: Environment,
        api: ApiStack,
        data: Sequence[DataStack],
        functions: Sequence[Function],
    ) -> None:
        super().__init__(scope, environment, "observability")
        self.topic = self._make_topic(environment)
        dashboard = cloudwatch.Dashboard(self, "Dashboard", dashboard_name=environment.named("overview"))
        dashboard.add_widgets(*self._watch_api(api))
        dashboard.add_widgets(*(self._watch_function(function) for function in functions))
        dashboard.add_widgets(*(self._watch_cell(cell) for cell in data))
        dashboard.add_widgets(self._watch_books())

    def _make_topic(self, environment: Environment) -> sns.Topic:
        key = kms.Key(
            self,
            "AlarmsKey",
            description="Guilder's alarms on their way",
            enable_key_rotation=True,
            removal_policy=removal_policy(environment),
        )
        cloudwatch_service = iam.ServicePrincipal("cloudwatch.amazonaws.com")
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[cloudwatch_service], actions=["kms:Decrypt", "kms:GenerateDataKey*"], resources=["*"]
            )
        )
        return sns.Topic(self, "Alarms", topic_name=environment.named("alarms"), master_key=key, enforce_ssl=True)

    def _watch_api(self, api: ApiStack) -> list[cloudwatch.IWidget]:
        server_errors = api.api.metric_server_error(period=PERIOD, statistic="Sum")
        self._alarm("ApiServerErrors", server_errors, threshold=1, why="API Gateway answers with 5xx")
        return [
            cloudwatch.GraphWidget(
                title="Requests and errors",
                left=[api.api.metric_count(period=PERIOD), api.api.metric_client_error(period=PERIOD), server_errors],
            ),
            cloudwatch.GraphWidget(
                title="Latency",
                left=[api.api.metric_latency(period=PERIOD, statistic=statistic) for statistic in ("p50", "p99")],
            ),
        ]

    def _watch_function(self, function: Function) -> cloudwatch.IWidget:
        errors = function.function.metric_errors(period=PERIOD, statistic="Sum")
        throttles = function.function.metric_throttles(period=PERIOD, statistic="Sum")
        name = function.node.id
        self._alarm(f"{name}-errors", errors, threshold=1, why=f"{name} fails or runs out of time")
        self._alarm(f"{name}-throttles", throttles, threshold=1, why=f"{name} is at its concurrency limit")
        return cloudwatch.GraphWidget(
            title=name,
            left=[function.function.metric_invocations(period=PERIOD), errors, throttles],
            right=[function.function.metric_duration(period=PERIOD, statistic="p99")],
        )

    def _watch_books(self) -> cloudwatch.IWidget:
        """What `verify` tells once an hour: one broken invariant is one too many."""
        broken, unseen = (
            cloudwatch.Metric(
                namespace=GUILDER_METRICS,
                metric_name=name,
                dimensions_map={"Function": "verify"},
                statistic="Maximum",
                period=PERIOD,
            )
            for name in ("BrokenInvariants", "VerifyIncomplete")
        )
        self._alarm("BrokenInvariants", broken, threshold=1, why="The books are wrong: docs/verify.md", periods=1)
        return cloudwatch.GraphWidget(
            title="Broken invariants, and what was not verified", left=[broken], right=[unseen]
        )

    def _watch_cell(self, cell: DataStack) -> cloudwatch.IWidget:
        cluster = cell.cluster
        return cloudwatch.GraphWidget(
            title=f"Cell {cell.cell.name}",
            left=[
                cluster.metric("ServerlessDatabaseCapacity", period=PERIOD),
                cluster.metric_database_connections(period=PERIOD),
            ],
            right=[cluster.metric("AuroraReplicaLagMaximum", period=PERIOD)],
        )

    def _alarm(
        self, name: str, metric: cloudwatch.Metric, *, threshold: float, why: str, periods: int = RESTART_PERIODS
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            datapoints_to_alarm=min(periods, RESTART_DATAPOINTS),
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=why,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
