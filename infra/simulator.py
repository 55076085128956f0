"""The processor simulator as a Lambda function, in `dev` only: a stand-in for a card processor, with a database of its own."""

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.data import DataStack
from infra.environments import Environment
from infra.function import Function
from infra.layers import Layers
from infra.network import NetworkStack

DATABASE_ROLE = "simulator"


class Simulator(Construct):
    """A private REST API in front of one function: reachable from within the VPC, not from the internet."""

    def __init__(
        self, scope: Construct, environment: Environment, layers: Layers, network: NetworkStack, data: DataStack
    ) -> None:
        super().__init__(scope, "Simulator")
        endpoint = network.make_gateway_endpoint()
        self.api = self._make_api(environment, endpoint)
        self.url = f"https://{self.api.rest_api_id}.execute-api.{cdk.Aws.REGION}.{cdk.Aws.URL_SUFFIX}/{environment.name}"
        function = Function(
            self,
            environment,
            "simulator",
            size=environment.api_function,
            layers=layers.versions,
            variables={
                "SIMULATOR_DATABASE_URL": data.proxy_url(DATABASE_ROLE, database="simulator"),
                "SIMULATOR_DATABASE_AUTH": "iam",
                "SIMULATOR_PUBLIC_URL": self.url,
            },
            placement=network.placement(network.functions),
        )
        data.grant_connect(function, DATABASE_ROLE)
