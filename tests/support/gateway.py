"""Requests as API Gateway hands them to a function, and the answers it gets back."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The problem's type, without the address before it; fails where the answer is no proper problem."""
        assert self.headers["content-type"] == "application/problem+json", self
        body = self.json()
        assert body["status"] == self.status
        assert body["request_id"] == self.headers["request-id"]
        return str(body["type"]).removeprefix("https://guilder.dev/problems/")


def event(method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> dict[str, Any]:
    """Make a REST API proxy event (payload 1.0). ``path`` may end with a query string, which API Gateway hands over decoded."""
    path, _, query = path.partition("?")
    parameters = parse_qs(query, keep_blank_values=True) or None
    try:
        text, encoded = (None if body is None else body.decode()), False
    except UnicodeDecodeError:
        text, encoded = base64.b64encode(body or b"").decode(), True
    return {
        "resource": "/v1/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": dict(headers),
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": parameters and {name: values[-1] for name, values in parameters.items()},
        "multiValueQueryStringParameters": parameters,
        "pathParameters": {"proxy": path.removeprefix("/v1/")},
        "stageVariables": None,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "guilder",
            "stage": "local",
            "httpMethod": method,
            "path": f"/local{path}",
            "resourcePath": "/v1/{proxy+}",
            "requestId": "00000000-0000-0000-0000-000000000000",
            "protocol": "HTTP/1.1",
            "identity": {"sourceIp": "127.0.0.1", "userAgent": "tests"},
        },
        "body": text,
        "isBase64Encoded": encoded,
    }


def answer(response: Mapping[str, Any]) -> Answer:
    """Read a proxy response."""
    body = response["body"]
    raw = base64.b64decode(body) if response["isBase64Encoded"] else body.encode()
    return Answer(response["statusCode"], response["headers"], raw)
