"""The processor simulator as a Lambda function, in `dev` only: a stand-in for a card processor, with a database of its own."""

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from infra import gateway
from infra.data import SIMULATOR_ROLE, DataStack, database_url
from infra.environments import Environment
from infra.function import Function
from infra.layers import Layers
from infra.network import NetworkStack


class Simulator(Construct):
    """One function behind a private REST API: what charges cards, if only in play, is not on the internet."""

    def __init__(
        self,
        scope: Construct,
        environment: Environment,
        layers: Layers,
        network: NetworkStack,
        data: DataStack,
        endpoint: ec2.IInterfaceVpcEndpoint,
    ) -> None:
        super().__init__(scope, "Simulator")
        self.api = self._make_api(environment, endpoint)
        host = f"{self.api.rest_api_id}.execute-api.{cdk.Aws.REGION}.{cdk.Aws.URL_SUFFIX}"
        self.url = f"https://{host}/{environment.name}"
        function = Function(
            self,
            environment,
            "simulator",
            size=environment.api_function,
            layers=layers.versions,
            variables={
                "SIMULATOR_DATABASE_URL": database_url(SIMULATOR_ROLE, data.proxy.endpoint, "simulator"),
                "SIMULATOR_DATABASE_AUTH": "iam",
                "SIMULATOR_PUBLIC_URL": self.url,
            },
            placement=network.placement(network.functions),
            asynchronous=True,
        )
        data.grant_connect(function, SIMULATOR_ROLE)
        self.api.root.add_proxy(default_integration=gateway.integration(function))
        self._work_off(function)

    def _make_api(self, environment: Environment, endpoint: ec2.IInterfaceVpcEndpoint) -> apigateway.RestApi:
        api = apigateway.RestApi(
            self,
            "Api",
            rest_api_name=environment.named("simulator"),
            endpoint_configuration=apigateway.EndpointConfiguration(
                types=[apigateway.EndpointType.PRIVATE], vpc_endpoints=[endpoint]
            ),
            # Without API Gateway's logs: those take a role of the account that the API stack sets, later than this one.
            deploy_options=apigateway.StageOptions(stage_name=environment.name),
        )
        api.grant_invoke_from_vpc_endpoints_only([endpoint])
        return api

    def _work_off(self, function: Function) -> None:
        """Its notifications and late successes are sent by a rule: a Lambda does nothing between calls."""
        events.Rule(
            self,
            "Minutely",
            schedule=events.Schedule.rate(cdk.Duration.minutes(1)),
            targets=[targets.LambdaFunction(function.live, retry_attempts=0)],
        )
