"""The errors that API Gateway answers itself, in the same form as Guilder's own: RFC 9457 problem+json.

Types, statuses and titles are those of `guilder.errors` where Guilder has the same error. Nothing of the request and
none of API Gateway's own messages, which name internal things, is repeated.
"""

import json
from dataclasses import dataclass
from http import HTTPStatus

from aws_cdk import aws_apigateway as apigateway

PROBLEM_TYPES = "https://guilder.dev/problems/"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem; `type` is its name under https://guilder.dev/problems/."""

    type: str
    status: HTTPStatus
    title: str
    detail: str
    retryable: bool = False


MALFORMED = Problem(
    "malformed-request", HTTPStatus.BAD_REQUEST, "The request cannot be read", "Correct the request and send it again."
)
UNAUTHENTICATED = Problem(
    "unauthenticated",
    HTTPStatus.UNAUTHORIZED,
    "A valid API key is required",
    "Send `Authorization: Bearer <API key>` with a key that exists and was not revoked.",
)
FORBIDDEN = Problem("forbidden", HTTPStatus.FORBIDDEN, "Not allowed", "This request is not allowed.")
NOT_FOUND = Problem("not-found", HTTPStatus.NOT_FOUND, "Not found", "There is no such route: look at the API's documentation.")
TOO_LARGE = Problem(
    "request-too-large",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "The request body is too large",
    "Send less; the documentation has the limits.",
)
UNSUPPORTED_MEDIA_TYPE = Problem(
    "unsupported-media-type",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "The media type is not supported",
    "Send `Content-Type: application/json`.",
)
TOO_MANY_REQUESTS = Problem(
    "too-many-requests",
    HTTPStatus.TOO_MANY_REQUESTS,
    "Too many requests",
    "Send the same request again after Retry-After seconds.",
    retryable=True,
)
INTERNAL = Problem(
    "internal-error",
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "Internal error",
    "Sending the same request again with the same Idempotency-Key is safe.",
    retryable=True,
)
BAD_GATEWAY = Problem(
    "bad-gateway",
    HTTPStatus.BAD_GATEWAY,
    "The service gave no valid answer",
    "Whether the request took effect is unknown. Send it again with the same Idempotency-Key: that is safe.",
    retryable=True,
)
TIMEOUT = Problem(
    "gateway-timeout",
    HTTPStatus.GATEWAY_TIMEOUT,
    "The service did not answer in time",
    "Whether the request took effect is unknown. Send it again with the same Idempotency-Key: that is safe.",
    retryable=True,
)

_Type = apigateway.ResponseType

# A default stands for every type that is not listed and gives it its own status; so all known ones are listed.
GATEWAY_PROBLEMS: dict[apigateway.ResponseType, Problem] = {
    _Type.DEFAULT_4_XX: MALFORMED,
    _Type.DEFAULT_5_XX: INTERNAL,
    _Type.ACCESS_DENIED: FORBIDDEN,
    _Type.API_CONFIGURATION_ERROR: INTERNAL,
    _Type.AUTHORIZER_CONFIGURATION_ERROR: INTERNAL,
    _Type.AUTHORIZER_FAILURE: INTERNAL,
    _Type.BAD_REQUEST_BODY: MALFORMED,
    _Type.BAD_REQUEST_PARAMETERS: MALFORMED,
    _Type.EXPIRED_TOKEN: FORBIDDEN,
    _Type.INTEGRATION_FAILURE: BAD_GATEWAY,
    _Type.INTEGRATION_TIMEOUT: TIMEOUT,
    _Type.INVALID_API_KEY: FORBIDDEN,
    _Type.INVALID_SIGNATURE: FORBIDDEN,
    # What API Gateway says, with 403, for a path or method that the API does not have.
    _Type.MISSING_AUTHENTICATION_TOKEN: NOT_FOUND,
    _Type.QUOTA_EXCEEDED: TOO_MANY_REQUESTS,
    _Type.REQUEST_TOO_LARGE: TOO_LARGE,
    _Type.RESOURCE_NOT_FOUND: NOT_FOUND,
    _Type.THROTTLED: TOO_MANY_REQUESTS,
    _Type.UNAUTHORIZED: UNAUTHENTICATED,
    _Type.UNSUPPORTED_MEDIA_TYPE: UNSUPPORTED_MEDIA_TYPE,
    _Type.WAF_FILTERED: FORBIDDEN,
}


def answer_with_problems(api: apigateway.RestApi) -> None:
    """Give the API all of them."""
    for response_type, problem in GATEWAY_PROBLEMS.items():
        api.add_gateway_response(
            f"{response_type.response_type}",
            type=response_type,
            status_code=str(problem.status.value),
            response_headers=_headers(problem),
            # API Gateway looks the template up by `application/json`; the header says what it really is.
            templates={"application/json": _body(problem)},
        )


def _headers(problem: Problem) -> dict[str, str]:
    headers = {"Content-Type": "'application/problem+json'", "Cache-Control": "'no-store'"}
    if problem.status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}:
        headers["Retry-After"] = "'1'"
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "'Bearer realm=\"guilder\"'"
    return headers


def _body(problem: Problem) -> str:
    return json.dumps(
        {
            "type": PROBLEM_TYPES + problem.type,
            "title": problem.title,
            "status": problem.status.value,
            "detail": problem.detail,
            "retryable": problem.retryable,
            "request_id": "$context.requestId",
        }
    )
