"""The one construct behind every Lambda function."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.environments import Environment, FunctionSize
from infra.layers import RUNTIME, architecture

FUNCTIONS = Path(__file__).resolve().parents[1] / "functions"
ALIAS = "live"

# Lambda makes the function's network interfaces with the function's own role. None of these takes a resource that
# exists beforehand, so AWS documents them with "*".
NETWORK_INTERFACE_ACTIONS = (
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where in the VPC a function runs."""

    vpc: ec2.IVpc
    subnets: ec2.SubnetSelection
    security_group: ec2.ISecurityGroup


class Function(Construct):
    """One folder of `functions/`, deployed: `function` is the function, `live` the alias that callers use."""

    def __init__(
        self,
        scope: Construct,
        environment: Environment,
        name: str,
        *,
        size: FunctionSize,
        layers: Sequence[lambda_.ILayerVersion],
        variables: Mapping[str, str],
        placement: Placement | None,
        asynchronous: bool = False,
    ) -> None:
        """Deploy the folder of this name (with `_` for `-`).

        Args:
            scope: the stack.
            environment: where this is deployed to.
            name: for example `payments-write`.
            size: memory, time-out, reserved concurrency.
            layers: in the order in which Lambda unpacks them.
            variables: the function's own environment variables.
            placement: its place in the VPC; None on LocalStack, which has no VPC to speak of.
            asynchronous: whether events come without a waiting caller, so that a failed one has to be kept.
        """
        super().__init__(scope, name)
        self._name = environment.named(name)
        self._environment = environment
        self.log_group = self._make_log_group()
        self.dead_letters = self._make_dead_letter_queue() if asynchronous else None
        self.role = self._make_role(placement)
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=self._name,
            runtime=RUNTIME,
            architecture=architecture(environment),
            handler="handler.handler",
            code=lambda_.Code.from_asset(
                str(FUNCTIONS / name.replace("-", "_")), exclude=["**/__pycache__", "**/*.pyc"]
            ),
            layers=list(layers),
            memory_size=size.memory_mb,
            timeout=cdk.Duration.seconds(size.timeout_seconds),
            reserved_concurrent_executions=size.reserved_concurrency,
            environment=dict(variables),
            role=self.role,
            log_group=self.log_group,
            dead_letter_queue=self.dead_letters,
            tracing=lambda_.Tracing.ACTIVE if environment.cloud else lambda_.Tracing.DISABLED,
            # A snapshot of the imported function is restored instead of importing it again; published versions only.
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if environment.cloud else None,
            vpc=placement.vpc if placement else None,
            vpc_subnets=placement.subnets if placement else None,
            security_groups=[placement.security_group] if placement else None,
        )
        if environment.cloud:
            cdk.Annotations.of(self.function).acknowledge_warning(
                "@aws-cdk/aws-lambda:snapStartRequirePublish", "callers use the alias, which is of a published version"
            )
        self.live = lambda_.Alias(self, "Live", alias_name=ALIAS, version=self.function.current_version)

    def allow(
        self, actions: Sequence[str], resources: Sequence[str], *, conditions: Mapping[str, object] | None = None
    ) -> None:
        """Let the function do these things to these resources, both named in full."""
        self.role.add_to_policy(
            iam.PolicyStatement(actions=list(actions), resources=list(resources), conditions=conditions)
        )

    def _make_log_group(self) -> logs.LogGroup:
        return logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/lambda/{self._name}",
            retention=retention(self._environment),
            removal_policy=removal_policy(self._environment),
        )

    def _make_dead_letter_queue(self) -> sqs.Queue:
        return sqs.Queue(
            self,
            "DeadLetters",
            queue_name=f"{self._name}-dead-letters",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(14),
        )

    def _make_role(self, placement: Placement | None) -> iam.Role:
        """A role of its own: AWS's managed policies for Lambda reach every log group of the account."""
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.log_group.grant_write(role)
        if placement:
            role.add_to_policy(iam.PolicyStatement(actions=list(NETWORK_INTERFACE_ACTIONS), resources=["*"]))
        return role


def retention(environment: Environment) -> logs.RetentionDays:
    """How long logs are kept. CloudWatch knows certain numbers of days only; an enumeration names them."""
    return {1: logs.RetentionDays.ONE_DAY, 7: logs.RetentionDays.ONE_WEEK, 365: logs.RetentionDays.ONE_YEAR}[
        environment.log_days
    ]


def removal_policy(environment: Environment) -> cdk.RemovalPolicy:
    """What becomes of data and logs when a stack is deleted."""
    return cdk.RemovalPolicy.RETAIN if environment.keeps_data else cdk.RemovalPolicy.DESTROY
