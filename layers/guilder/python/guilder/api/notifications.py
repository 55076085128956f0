"""POST /v1/notifications/{processor}: where card processors report. No API key: the processor's signature takes its place."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel

from guilder import notifications
from guilder.api.dependencies import MAX_BODY_BYTES, runtime
from guilder.api.problems import responses
from guilder.errors import InternalError, NotFound, NotificationSignatureInvalid, RequestTooLarge, Unavailable
from guilder.processors import InvalidSignature

router = APIRouter(prefix="/v1", tags=["notifications"])


class Received(BaseModel):
    """`received` is false where the notification is genuine and concerns nothing here: sending it again changes nothing."""

    received: bool


@router.post(
    "/notifications/{processor}",
    operation_id="receive_notification",
    summary="Receive a card processor's notification",
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}},
    responses=responses(NotificationSignatureInvalid, NotFound, RequestTooLarge, InternalError, Unavailable),
)
async def receive_notification(
    request: Request, processor: Annotated[str, Path(description="The processor's name.", examples=["simulator"])]
) -> Received:
    """For card processors, not for partners. Stored first and answered at once; anything but a 200 means: send it again."""
    environment = runtime(request)
    client = environment.processors.get(processor)
    if client is None:
        raise NotFound("There is no such processor.")
    body = await request.body()
    if len(body) > MAX_BODY_BYTES:
        raise RequestTooLarge(f"A request body is at most {MAX_BODY_BYTES} bytes.")
    try:
        received = notifications.read(client, request.headers, body)
    except InvalidSignature:
        raise NotificationSignatureInvalid from None
    if received is None:
        return Received(received=False)
    database = await environment.database(received[1].tenant.slot)
    return Received(received=await notifications.store(database, client, received, body, environment.clock()))
