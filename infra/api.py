"""The API stack: the REST API and the functions that answer it."""

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra import gateway
from infra.data import DataStack
from infra.environments import Environment, FunctionSize
from infra.function import Function, Placement, removal_policy
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
    # Of its own, so that a processor's burst takes no capacity from partners. API Gateway prefers the more specific path.
    "v1/notifications/{proxy+}": {"POST": "notifications"},
    "v1/{proxy+}": {"GET": "read", "POST": "write", "PUT": "write", "PATCH": "write", "DELETE": "write"},
}


class ApiStack(GuilderStack):
    """`api`, and `read`, `write` and `notifications` behind it."""

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

        def function(name: str, size: FunctionSize, known: Mapping[str, str]) -> Function:
            return Function(
                self, environment, name, size=size, layers=layers.versions, variables=known, placement=placement
            )

        self.write = function("payments-write", environment.api_function, variables.of_functions())
        self.read = function("payments-read", environment.api_function, variables.of_functions())
        secrets = self._make_processor_secrets(environment) if environment.cloud else None
        self.notifications = function(
            "notifications",
            environment.notifications_function,
            variables.of_notifications(secrets.secret_arn if secrets else None),
        )
        if secrets:
            self.notifications.allow(["secretsmanager:GetSecretValue"], [secrets.secret_arn])
        for cell in data:
            for serving in (self.write, self.read, self.notifications):
                cell.grant_use(serving)
        self.api = self._make_api(environment)
        self._route()
        answer_with_problems(self.api)
        self.api.node.try_remove_child("Endpoint")  # CDK's own output: the same address under a generated name
        cdk.CfnOutput(self, "ApiUrl", value=self.api.url)

    def _make_processor_secrets(self, environment: Environment) -> secretsmanager.Secret:
        """What the processors sign with: a JSON object that people fill in, so that no template has it.

        The first deployment makes an object without any processor; later ones leave what is in it alone.
        """
        return secretsmanager.Secret(
            self,
            "ProcessorSecrets",
            secret_name=environment.named("processors"),
            description='Card processors: {"<name>": {"notification_secret": "..."}}',
            generate_secret_string=secretsmanager.SecretStringGenerator(
                secret_string_template="{}",  # noqa: S106 (an empty object)
                generate_string_key="none",
            ),
            removal_policy=removal_policy(environment),
        )

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
        functions = {"read": self.read, "write": self.write, "notifications": self.notifications}
        integrations = {name: gateway.integration(function) for name, function in functions.items()}
        for path, methods in ROUTES.items():
            resource = self.api.root.resource_for_path(path)
            for method, target in methods.items():
                resource.add_method(method, integrations[target])
