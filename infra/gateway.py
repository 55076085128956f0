"""API Gateway: the stage of the API, and the way from a route to a function."""

import json

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.environments import Environment
from infra.function import Function, removal_policy, retention

TIMEOUT = cdk.Duration.seconds(29)


def stage(scope: Construct, environment: Environment) -> apigateway.StageOptions:
    """The API's stage, named as its environment. LocalStack's neither logs nor throttles."""
    if not environment.cloud:
        return apigateway.StageOptions(stage_name=environment.name)
    group = logs.LogGroup(
        scope,
        "AccessLogs",
        log_group_name=f"/aws/apigateway/{environment.named('api')}",
        retention=retention(environment),
        removal_policy=removal_policy(environment),
    )
    return apigateway.StageOptions(
        stage_name=environment.name,
        access_log_destination=apigateway.LogGroupLogDestination(group),
        access_log_format=_access_log_format(),
        logging_level=apigateway.MethodLoggingLevel.ERROR,
        data_trace_enabled=False,  # it would log bodies and API keys
        metrics_enabled=True,
        tracing_enabled=True,
        throttling_rate_limit=environment.requests_per_second,
        throttling_burst_limit=environment.burst,
    )


def integration(function: Function) -> apigateway.LambdaIntegration:
    """Through the alias, with one permission for the whole API instead of two for each method."""
    return apigateway.LambdaIntegration(function.live, timeout=TIMEOUT, scope_permission_to_method=False)


def _access_log_format() -> apigateway.AccessLogFormat:
    """One JSON line a request. Neither path parameters nor headers: ids stay out, keys by all means."""
    field = apigateway.AccessLogField
    fields = {
        "request_id": field.context_request_id(),
        "time": field.context_request_time(),
        "method": field.context_http_method(),
        "route": field.context_resource_path(),
        "status": field.context_status(),
        "latency_ms": field.context_response_latency(),
        "integration_latency_ms": field.context_integration_latency(),
        "error": field.context_error_response_type(),
        "ip": field.context_identity_source_ip(),
    }
    return apigateway.AccessLogFormat.custom(json.dumps(fields))
