"""The API stack: the REST API and the functions that answer it."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.data import DataStack
from infra.environments import Environment
from infra.function import Function, Placement, removal_policy, retention
from infra.layers import Layers
from infra.problems import answer_with_problems
from infra.stack import GuilderStack
from infra.variables import Variables

GATEWAY_TIMEOUT = cdk.Duration.seconds(29)
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
        cdk.CfnOutput(self, "ApiUrl", value=self.api.url.removesuffix("/"))

    def _make_api(self, environment: Environment) -> apigateway.RestApi:
        api = apigateway.RestApi(
            self,
            "Api",
            rest_api_name=environment.named("api"),
            description="Guilder: payments",
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            deploy_options=self._stage(environment),
            cloud_watch_role=environment.cloud is not None,  # API Gateway writes logs with a role of the account
            cloud_watch_role_removal_policy=cdk.RemovalPolicy.RETAIN if environment.cloud else None,
            endpoint_export_name=None,
        )
        if not environment.cloud:
            cdk.Tags.of(api).add("_custom_id_", LOCAL_API_ID)
        return api

    def _stage(self, environment: Environment) -> apigateway.StageOptions:
        if not environment.cloud:
            return apigateway.StageOptions(stage_name=environment.name)
        group = logs.LogGroup(
            self,
            "AccessLogs",
            log_group_name=f"/aws/apigateway/{environment.named('api')}",
            retention=retention(environment),
            removal_policy=removal_policy(environment),
        )
        return apigateway.StageOptions(
            stage_name=environment.name,
            access_log_destination=apigateway.LogGroupLogDestination(group),
            access_log_format=apigateway.AccessLogFormat.json_with_standard_fields(
                caller=False,
                http_method=True,
                ip=True,
                protocol=True,
                request_time=True,
                resource_path=True,
                response_length=True,
                status=True,
                user=False,
            ),
            logging_level=apigateway.MethodLoggingLevel.ERROR,
            data_trace_enabled=False,  # would log bodies and API keys
            metrics_enabled=True,
            tracing_enabled=True,
            throttling_rate_limit=environment.requests_per_second,
            throttling_burst_limit=environment.burst,
        )

    def _route(self) -> None:
        integrations = {"read": self._integration(self.read), "write": self._integration(self.write)}
        for path, methods in ROUTES.items():
            resource = self.api.root.resource_for_path(path)
            for method, target in methods.items():
                resource.add_method(method, integrations[target])

    @staticmethod
    def _integration(function: Function) -> apigateway.LambdaIntegration:
        """Through the alias; one permission for the whole API, and none for the console's test button."""
        return apigateway.LambdaIntegration(
            function.live, timeout=GATEWAY_TIMEOUT, allow_test_invoke=False, scope_permission_to_method=False
        )
