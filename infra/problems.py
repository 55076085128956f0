"""The errors that API Gateway answers itself, in the same form as Guilder's own: RFC 9457 problem+json.

Where Guilder has the same error, type, status and title are Guilder's. Nothing of the request and none of API Gateway's
own messages, which name internal things, is repeated. docs/errors.md explains each type.
"""

import json
from dataclasses import dataclass
from http import HTTPStatus

from aws_cdk import aws_apigateway as apigateway
from guilder import errors


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem; `slug` is its name under https://guilder.dev/problems/."""

    slug: str
    status: int
    title: str
    detail: str
    retryable: bool = False

    @classmethod
    def like(cls, error: type[errors.GuilderError], detail: str) -> "Problem":
        """The same as one of Guilder's errors, with a detail of its own."""
        return cls(error.slug, int(error.status), error.title, detail, error.retryable)


UNKNOWN_OUTCOME = "Whether the request took effect is unknown. Sending it again with the same Idempotency-Key is safe."

MALFORMED = Problem.like(errors.MalformedRequest, "Correct the request and send it again.")
UNAUTHENTICATED = Problem.like(errors.Unauthenticated, "Send `Authorization: Bearer <API key>`.")
NOT_FOUND = Problem.like(errors.NotFound, "There is no such route. The API document lists them all.")
TOO_LARGE = Problem.like(errors.RequestTooLarge, "Send a smaller body.")
INTERNAL = Problem.like(errors.InternalError, UNKNOWN_OUTCOME)
BLOCKED = Problem("request-blocked", HTTPStatus.FORBIDDEN, "The request was blocked", "This request is not accepted.")
UNSUPPORTED_MEDIA_TYPE = Problem(
    "unsupported-media-type",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "The media type is not supported",
    "Send `Content-Type: application/json`.",
)
TOO_MANY_REQUESTS = Problem(
    "quota-exceeded",
    HTTPStatus.TOO_MANY_REQUESTS,
    "Too many requests",
    "Nothing was done. Send the same request again after Retry-After seconds.",
    retryable=True,
)
BAD_GATEWAY = Problem(
    "bad-gateway", HTTPStatus.BAD_GATEWAY, "The service gave no valid answer", UNKNOWN_OUTCOME, retryable=True
)
TIMEOUT = Problem(
    "gateway-timeout", HTTPStatus.GATEWAY_TIMEOUT, "The service did not answer in time", UNKNOWN_OUTCOME, retryable=True
)

_Type = apigateway.ResponseType

# A default stands for every type that is not listed and gives it its own status; so all known ones are listed.
GATEWAY_PROBLEMS: dict[apigateway.ResponseType, Problem] = {
    _Type.DEFAULT_4_XX: MALFORMED,
    _Type.DEFAULT_5_XX: INTERNAL,
    _Type.ACCESS_DENIED: BLOCKED,
    _Type.API_CONFIGURATION_ERROR: INTERNAL,
    _Type.AUTHORIZER_CONFIGURATION_ERROR: INTERNAL,
    _Type.AUTHORIZER_FAILURE: INTERNAL,
    _Type.BAD_REQUEST_BODY: MALFORMED,
    _Type.BAD_REQUEST_PARAMETERS: MALFORMED,
    _Type.EXPIRED_TOKEN: BLOCKED,
    _Type.INTEGRATION_FAILURE: BAD_GATEWAY,
    _Type.INTEGRATION_TIMEOUT: TIMEOUT,
    _Type.INVALID_API_KEY: BLOCKED,
    _Type.INVALID_SIGNATURE: BLOCKED,
    # What API Gateway says, with 403, for a path or method that the API does not have.
    _Type.MISSING_AUTHENTICATION_TOKEN: NOT_FOUND,
    _Type.QUOTA_EXCEEDED: TOO_MANY_REQUESTS,
    _Type.REQUEST_TOO_LARGE: TOO_LARGE,
    _Type.RESOURCE_NOT_FOUND: NOT_FOUND,
    _Type.THROTTLED: TOO_MANY_REQUESTS,
    _Type.UNAUTHORIZED: UNAUTHENTICATED,
    _Type.UNSUPPORTED_MEDIA_TYPE: UNSUPPORTED_MEDIA_TYPE,
    _Type.WAF_FILTERED: BLOCKED,
}


def answer_with_problems(api: apigateway.RestApi) -> None:
    """Give the API all of them."""
    for response_type, problem in GATEWAY_PROBLEMS.items():
        api.add_gateway_response(
            response_type.response_type,
            type=response_type,
            status_code=str(int(problem.status)),
            response_headers=_headers(problem),
            # API Gateway looks the template up by `application/json`; the header says what it really is.
            templates={"application/json": _body(problem)},
        )


def _headers(problem: Problem) -> dict[str, str]:
    """Header values; the quotes inside make them literal to API Gateway."""
    headers = {"Content-Type": "'application/problem+json'", "Cache-Control": "'no-store'"}
    if problem.retryable:
        headers["Retry-After"] = "'1'"
    return headers


def _body(problem: Problem) -> str:
    return json.dumps(
        {
            "type": errors.PROBLEM_TYPES + problem.slug,
            "title": problem.title,
            "status": int(problem.status),
            "detail": problem.detail,
            "retryable": problem.retryable,
            "request_id": "$context.requestId",
        }
    )
