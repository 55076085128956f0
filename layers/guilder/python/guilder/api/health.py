"""GET /healthz: the function runs. It asks neither database nor cache, so that a monitor's question costs them nothing."""

from fastapi import APIRouter
from pydantic import BaseModel

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The function is there."""

    status: str


@router.get("/healthz", operation_id="get_health", summary="Ask whether the API is there")
async def get_health() -> Health:
    """Answer `ok`."""
    return Health(status="ok")
