"""The API stack: the REST API and the functions that answer it."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from constructs import Construct

from infra import gateway
from infra.data import DataStack
from infra.environments import Environment
from infra.function import Function, Placement
from infra.layers import Layers
from infra.problems import answer_with_problems
from infra.stack import GuilderStack
from infra.variables import Variables

LOCAL_API_ID = "guilder"  # LocalStack takes an API's id from this tag, so that its URL stays the same

# Path -> function by method. What only reads and what changes something are two functions: their limits, permissions
# and faults stay apart.
ROUTES: dict[str, dict[str, str]] = {
    "healthz": {"GET": "read"},
    "openapi.json": {"GET": "read"},
    "docs": {"GET": "read"},
    "docs/{proxy+}": {"GET": "read"},
    "v1/{proxy+}": {"GET": "read", "POST": "write", "PUT": "write", "PATCH": "write", "DELETE": "write"},
}


class ApiStack(GuilderStack):
    """`api`, and `read` and `write` behind it."""

    def __init__(
        self,
        scope: Construct,
        environment: Environment,
        variables: Variables,
        *,
        data: Sequence[DataStack] = (),
        placement: Placement | None = None,
    ) -> None:
        super().__init__(scope, environment, "api")
        layers = Layers(self, environment)

        def function(name: str) -> Function:
            return Function(
                self,
                environment,
                name,
                size=environment.api_function,
                layers=layers.versions,
                variables=variables.of_functions(),
                placement=placement,
            )

        self.write = function("payments-write")
        self.read = function("payments-read")
        for cell in data:
            cell.grant_use(self.write)
            cell.grant_use(self.read)
        self.api = self._make_api(environment)
        self._route()
        answer_with_problems(self.api)
        self.api.node.try_remove_child("Endpoint")  # CDK's own output: the same address under a generated name
        cdk.CfnOutput(self, "ApiUrl", value=self.api.url)

    def _make_api(self, environment: Environment) -> apigateway.RestApi:
        api = apigateway.RestApi(
            self,
            "Api",
            rest_api_name=environment.named("api"),
            description="Guilder: payments",
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            deploy_options=gateway.stage(self, environment),
            cloud_watch_role=environment.cloud is not None,  # API Gateway writes logs with a role of the account
            cloud_watch_role_removal_policy=cdk.RemovalPolicy.RETAIN if environment.cloud else None,
        )
        if not environment.cloud:
            cdk.Tags.of(api).add("_custom_id_", LOCAL_API_ID)
        return api

    def _route(self) -> None:
        integrations = {"read": gateway.integration(self.read), "write": gateway.integration(self.write)}
        for path, methods in ROUTES.items():
            resource = self.api.root.resource_for_path(path)
            for method, target in methods.items():
                resource.add_method(method, integrations[target])
