"""The API: its routes and their functions, and what API Gateway answers itself."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from guilder.errors import kinds

from infra.problems import GATEWAY_PROBLEMS
from tests.infra.templates import Assembly

ERRORS = Path(__file__).resolve().parents[2] / "docs" / "errors.md"
ROUTES = {
    "GET /healthz": "paymentsread",
    "GET /openapi.json": "paymentsread",
    "GET /docs": "paymentsread",
    "GET /docs/{proxy+}": "paymentsread",
    "GET /v1/{proxy+}": "paymentsread",
    "POST /v1/{proxy+}": "paymentswrite",
    "POST /v1/notifications/{proxy+}": "notifications",
    "PUT /v1/{proxy+}": "paymentswrite",
    "PATCH /v1/{proxy+}": "paymentswrite",
    "DELETE /v1/{proxy+}": "paymentswrite",
}

# Statuses and types by what goes wrong; the rest of API Gateway's response types are below one of these.
ANSWERS = [
    ("MISSING_AUTHENTICATION_TOKEN", 404, "not-found"),
    ("RESOURCE_NOT_FOUND", 404, "not-found"),
    ("THROTTLED", 429, "quota-exceeded"),
    ("REQUEST_TOO_LARGE", 413, "request-too-large"),
    ("INTEGRATION_TIMEOUT", 504, "gateway-timeout"),
    ("INTEGRATION_FAILURE", 502, "bad-gateway"),
    ("DEFAULT_4XX", 400, "malformed-request"),
    ("DEFAULT_5XX", 500, "internal-error"),
    ("WAF_FILTERED", 403, "request-blocked"),
    ("UNAUTHORIZED", 401, "unauthenticated"),
]

# https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
RESPONSE_TYPES = {
    "ACCESS_DENIED", "API_CONFIGURATION_ERROR", "AUTHORIZER_CONFIGURATION_ERROR", "AUTHORIZER_FAILURE", "BAD_REQUEST_BODY",
    "BAD_REQUEST_PARAMETERS", "DEFAULT_4XX", "DEFAULT_5XX", "EXPIRED_TOKEN", "INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT",
    "INVALID_API_KEY", "INVALID_SIGNATURE", "MISSING_AUTHENTICATION_TOKEN", "QUOTA_EXCEEDED", "REQUEST_TOO_LARGE",
    "RESOURCE_NOT_FOUND", "THROTTLED", "UNAUTHORIZED", "UNSUPPORTED_MEDIA_TYPE", "WAF_FILTERED",
}  # fmt: skip


def routes(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """`METHOD /path` -> the method's properties."""
    resources = template["Resources"]

    def path(reference: dict[str, Any]) -> str:
        if "Fn::GetAtt" in reference:
            return ""
        properties = resources[reference["Ref"]]["Properties"]
        return f"{path(properties['ParentId'])}/{properties['PathPart']}"

    methods = [r["Properties"] for r in resources.values() if r["Type"] == "AWS::ApiGateway::Method"]
    return {f"{m['HttpMethod']} {path(m['ResourceId'])}": m for m in methods}


def responses(assembly: Assembly) -> dict[str, dict[str, Any]]:
    return {r["ResponseType"]: r for r in assembly.resources("AWS::ApiGateway::GatewayResponse")}


def test_each_route_goes_to_its_function(any_environment: Assembly) -> None:
    found = routes(any_environment.templates["api"])
    assert sorted(found) == sorted(ROUTES)
    for route, target in ROUTES.items():
        integration = found[route]["Integration"]
        assert integration["Type"] == "AWS_PROXY"
        assert integration["TimeoutInMillis"] == 29_000
        assert f"{target}Live" in json.dumps(integration["Uri"]), route


def test_a_new_route_or_error_is_a_new_deployment(any_environment: Assembly) -> None:
    (deployment,) = [
        r for r in any_environment.templates["api"]["Resources"].values() if r["Type"] == "AWS::ApiGateway::Deployment"
    ]
    waits_for = " ".join(deployment["DependsOn"])
    assert len([name for name in deployment["DependsOn"] if "v1proxy" in name]) >= 5
    assert "ApiTHROTTLED" in waits_for


def test_the_stage_is_named_as_the_environment(any_environment: Assembly) -> None:
    template = any_environment.templates["api"]
    (stage,) = [r["Properties"] for r in template["Resources"].values() if r["Type"] == "AWS::ApiGateway::Stage"]
    assert stage["StageName"] == any_environment.environment


def test_the_local_api_keeps_its_address(local: Assembly) -> None:
    (api,) = local.resources("AWS::ApiGateway::RestApi")
    assert {"Key": "_custom_id_", "Value": "guilder"} in api["Tags"]


def test_the_stage_logs_traces_and_throttles(prod: Assembly) -> None:
    (stage,) = prod.resources("AWS::ApiGateway::Stage")
    (every_method,) = stage["MethodSettings"]
    logged = json.loads(stage["AccessLogSetting"]["Format"])
    assert stage["TracingEnabled"] is True
    assert (every_method["ThrottlingRateLimit"], every_method["ThrottlingBurstLimit"]) == (10_000, 5_000)
    assert every_method["DataTraceEnabled"] is False
    assert logged["route"] == "$context.resourcePath"  # the pattern: no id of a payment, no query


def test_the_simulators_api_is_private(dev: Assembly) -> None:
    apis = {api["Name"]: api for api in dev.resources("AWS::ApiGateway::RestApi")}
    simulator = apis["guilder-dev-simulator"]
    assert simulator["EndpointConfiguration"]["Types"] == ["PRIVATE"]
    assert "aws:SourceVpce" in json.dumps(simulator["Policy"])
    assert apis["guilder-dev-api"]["EndpointConfiguration"]["Types"] == ["REGIONAL"]


@pytest.mark.parametrize(("response_type", "status", "slug"), ANSWERS)
def test_what_the_gateway_answers(any_environment: Assembly, response_type: str, status: int, slug: str) -> None:
    response = responses(any_environment)[response_type]
    body = json.loads(response["ResponseTemplates"]["application/json"])
    assert response["StatusCode"] == str(status)
    assert body["type"] == f"https://guilder.dev/problems/{slug}"


def test_every_gateway_response_is_a_problem(any_environment: Assembly) -> None:
    found = responses(any_environment)
    assert set(found) == RESPONSE_TYPES
    for response in found.values():
        body = json.loads(response["ResponseTemplates"]["application/json"])
        headers = response["ResponseParameters"]
        assert headers["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
        assert ("gatewayresponse.header.Retry-After" in headers) == body["retryable"]
        assert str(body["status"]) == response["StatusCode"]
        assert body["request_id"] == "$context.requestId"
        assert set(body) == {"type", "title", "status", "detail", "retryable", "request_id"}
        assert "$context.error" not in json.dumps(body)


def test_a_type_means_the_same_as_in_guilder_and_is_documented() -> None:
    ours = {kind.slug: (int(kind.status), kind.title) for kind in kinds()}
    documented = set(re.findall(r"^###? ([a-z-]+)$", ERRORS.read_text(), re.MULTILINE))
    gateways: dict[str, set[tuple[int, str]]] = {}
    for problem in GATEWAY_PROBLEMS.values():
        gateways.setdefault(problem.slug, set()).add((int(problem.status), problem.title))
        assert problem.slug in documented
    assert all(len(meanings) == 1 for meanings in gateways.values())
    assert all(gateways[slug] == {ours[slug]} for slug in gateways.keys() & ours.keys())
