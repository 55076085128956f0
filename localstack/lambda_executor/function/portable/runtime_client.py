# ruff: noqa: INP001  (found by its name alone, in the functions' interpreter)
"""The native part of `awslambdaric` in plain Python, for systems that it is not made for (macOS).

Same functions, same arguments. See awslambdaric/runtime_client.cpp.
"""

import http.client
import os

_API = "/2018-06-01/runtime/invocation"
_connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
_user_agent = ""

_HEADERS = (
    "Lambda-Runtime-Aws-Request-Id",
    "Lambda-Runtime-Trace-Id",
    "Lambda-Runtime-Invoked-Function-Arn",
    "Lambda-Runtime-Client-Context",
    "Lambda-Runtime-Cognito-Identity",
    "Content-Type",
)


def initialize_client(user_agent: str) -> None:
    """Set what the client calls itself."""
    global _user_agent
    _user_agent = user_agent


def next() -> tuple[bytes, dict[str, str | int | None]]:  # noqa: A001
    """Wait for an event, for as long as it takes: an environment has no other purpose."""
    _connection.request("GET", f"{_API}/next", headers={"User-Agent": _user_agent})
    response = _connection.getresponse()
    body = response.read()
    _check(response, http.HTTPStatus.OK, "Failed to get next")
    headers: dict[str, str | int | None] = {name: response.getheader(name) for name in _HEADERS}
    headers["Lambda-Runtime-Deadline-Ms"] = int(response.getheader("Lambda-Runtime-Deadline-Ms") or 0)
    return body, headers


def post_invocation_result(
    request_id: str, payload: bytes, content_type: str, _invocation_id: str | None = None
) -> None:
    """Give the handler's answer."""
    _post(
        f"{_API}/{request_id}/response", payload, {"Content-Type": content_type}, "Failed to post invocation response"
    )


def post_error(request_id: str, payload: str, xray_fault: str, _invocation_id: str | None = None) -> None:
    """Give the handler's exception."""
    headers = {"Content-Type": "application/json", "Lambda-Runtime-Function-XRay-Error-Cause": xray_fault}
    _post(f"{_API}/{request_id}/error", payload.encode(), headers, "Failed to post invocation error")


def _post(path: str, body: bytes, headers: dict[str, str], complaint: str) -> None:
    _connection.request("POST", path, body, {"User-Agent": _user_agent, **headers})
    response = _connection.getresponse()
    response.read()
    _check(response, http.HTTPStatus.ACCEPTED, complaint)


def _check(response: http.client.HTTPResponse, expected: int, complaint: str) -> None:
    if response.status != expected:
        message = f"{complaint}: {response.status}"
        raise RuntimeError(message)
