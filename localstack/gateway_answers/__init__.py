"""Lets LocalStack's API Gateway answer its own errors as AWS's does: with the API's gateway responses, headers and body included.

LocalStack 4.14 takes the status from a gateway response and leaves the rest (a TODO in its `gateway_exception.py`). Guilder's gateway
responses are problem+json, for an unknown path or a function that was killed, and a client should meet the same here.

Only what Guilder's templates use is understood: literal text, `$context.requestId`, and header values that are literals in quotes.
"""

from typing import Any

from localstack.runtime import hooks  # type: ignore[import-not-found]

_HEADER = "gatewayresponse.header."
_TEMPLATE = "application/json"


@hooks.on_infra_start()  # type: ignore[untyped-decorator]
def install() -> None:
    """Replace how LocalStack renders an error of the gateway itself."""
    from localstack.http import Response  # type: ignore[import-not-found]
    from localstack.services.apigateway.next_gen.execute_api.gateway_response import (  # type: ignore[import-not-found]
        get_gateway_response_or_default,
    )
    from localstack.services.apigateway.next_gen.execute_api.handlers.gateway_exception import (  # type: ignore[import-not-found]
        GatewayExceptionHandler,
    )

    original = GatewayExceptionHandler.create_exception_response

    def create_exception_response(self: Any, exception: Any, context: Any) -> Any:
        response = original(self, exception, context)
        wanted = get_gateway_response_or_default(exception.type, context.deployment.rest_api.gateway_responses)
        body = render(wanted.get("responseTemplates") or {}, str(context.context_variables.get("requestId", "")))
        if body is None:
            return response
        answer = Response(response=body, status=response.status_code, headers=dict(response.headers))
        answer.headers.update(headers(wanted.get("responseParameters") or {}))
        return answer

    GatewayExceptionHandler.create_exception_response = create_exception_response


def render(templates: dict[str, str], request_id: str) -> str | None:
    """Fill in the template. None: the API has none of its own for this error."""
    template = templates.get(_TEMPLATE)
    if template is None or "$context.error" in template:
        return None
    return template.replace("$context.requestId", request_id)


def headers(parameters: dict[str, str]) -> dict[str, str]:
    """Read the headers: literals stand in single quotes."""
    return {
        name.removeprefix(_HEADER): value[1:-1]
        for name, value in parameters.items()
        if name.startswith(_HEADER) and len(value) > 1 and value[0] == value[-1] == "'"
    }
