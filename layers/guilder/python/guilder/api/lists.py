"""Query parameters and list answers, the same for every list.

A parameter that is unknown, malformed or given twice is a 422 that names it: one that is silently ignored answers another question than
the one asked.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Protocol
from urllib.parse import quote, urlencode
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from guilder import ids, pages
from guilder.api.card_numbers import contains_card_number
from guilder.api.dependencies import JSON
from guilder.api.problems import validation_failed
from guilder.errors import CardNumberRefused, ValidationFailed
from guilder.ids import Tenant

MAX_QUERY_BYTES = 4_000
"""API Gateway sends at most 10 KB of headers, and ``Link`` repeats the query twice."""

_METADATA = re.compile(r"metadata\[(.*)\]", re.DOTALL)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def _whole_number(text: object) -> int:
    if not (isinstance(text, str) and re.fullmatch(r"[0-9]{1,9}", text)):
        raise ValueError("is not a whole number")
    return int(text)


def _time(text: object) -> datetime:
    if not (isinstance(text, str) and _TIME.fullmatch(text.upper())):
        raise ValueError("is not an RFC 3339 time, as 2026-11-23T09:30:00Z (a + in a query is written %2B)")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is no time that exists") from None


Time = Annotated[datetime, BeforeValidator(_time)]


class Query(BaseModel):
    """Parameters of a route that takes some. Values reach the fields as text, but for ``metadata``, which is a dictionary of them."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    def texts(self) -> Iterable[object]:
        """Give what could hold a card number."""
        return ()


class ListQuery(Query):
    """What every list takes."""

    limit: Annotated[
        int, BeforeValidator(_whole_number), Field(ge=1, le=100, description="How many objects a page holds at most.")
    ] = 20
    starting_after: Annotated[
        str | None,
        Field(description="The id of an object: the page holds those older than it. Not with `ending_before`."),
    ] = None
    ending_before: Annotated[
        str | None,
        Field(description="The id of an object: the page holds those newer than it. Not with `starting_after`."),
    ] = None
    created_gte: Annotated[Time | None, Field(description="Created at this time or later (RFC 3339).")] = None
    created_lte: Annotated[Time | None, Field(description="Created at this time or earlier (RFC 3339).")] = None

    @model_validator(mode="after")
    def _one_cursor(self) -> "ListQuery":
        if self.starting_after is not None and self.ending_before is not None:
            raise ValueError("starting_after and ending_before exclude each other")
        return self

    def cut(self, prefix: str, tenant: Tenant) -> pages.Cut:
        """Say which part of the list is meant.

        Raises:
            ValidationFailed: the cursor is not an id of such an object, or cannot be this merchant's.
        """
        older = self.ending_before is None
        name, text = ("starting_after", self.starting_after) if older else ("ending_before", self.ending_before)
        cursor = None if text is None else object_id(name, text, prefix)
        if cursor is not None and cursor.slot != tenant.slot:
            raise pages.unknown_cursor(older=older)
        return pages.Cut(self.limit, cursor.uuid if cursor else None, older, self.created_gte, self.created_lte)


class Shown(Protocol):
    """An object as the API shows it."""

    def snapshot(self) -> bytes:
        """Render it."""


def object_id(name: str, text: str, prefix: str) -> ids.ObjectId:
    """Read an id given in a parameter.

    Raises:
        ValidationFailed: it is not one of this kind.
    """
    try:
        return ids.decode(prefix, text)
    except ids.InvalidId:
        raise ValidationFailed([{"pointer": name, "message": f"is not an id ({prefix}_...)"}]) from None


def parameters[Q: Query](request: Request, model: type[Q]) -> Q:
    """Read the query string.

    Raises:
        ValidationFailed: naming each parameter that is wrong.
        CardNumberRefused: a filter holds a card number.
    """
    if len(request.scope["query_string"]) > MAX_QUERY_BYTES:
        raise ValidationFailed([{"pointer": "query", "message": f"is over {MAX_QUERY_BYTES} bytes"}])
    given = _given(request.query_params.multi_items(), takes_metadata="metadata" in model.model_fields)
    try:
        query = model.model_validate(given)
    except ValidationError as error:
        raise validation_failed([_located(row) for row in error.errors(include_input=False)]) from None
    if contains_card_number(list(query.texts())):
        raise CardNumberRefused
    return query


def answer[T: Shown](request: Request, page: pages.Page[T], name: Callable[[UUID], str]) -> Response:
    """Render a page, with a ``Link`` header (RFC 8288). ``name`` writes a cursor as the API shows it."""
    body = b'{"object":"list","data":[%b],"has_more":%b}' % (
        b",".join(item.snapshot() for item in page.items),
        b"true" if page.has_more else b"false",
    )
    neighbours = {"next": ("starting_after", page.older), "prev": ("ending_before", page.newer)}
    kept = [pair for pair in request.query_params.multi_items() if pair[0] not in {"starting_after", "ending_before"}]
    links = [
        f'<?{urlencode([*kept, (parameter, name(cursor))], quote_via=quote)}>; rel="{relation}"'
        for relation, (parameter, cursor) in neighbours.items()
        if cursor is not None
    ]
    return Response(body, media_type=JSON, headers={"Link": ", ".join(links)} if links else None)


def documented(model: type[Query]) -> list[dict[str, Any]]:
    """Describe a route's parameters for the API document."""
    described = []
    for name, schema in model.model_json_schema(ref_template="#/components/schemas/{model}")["properties"].items():
        plain = {key: value for key, value in schema.items() if key not in {"title", "description", "default", "anyOf"}}
        for choice in schema.get("anyOf", ()):
            plain |= choice if choice != {"type": "null"} else {}
        if schema.get("default") is not None:
            plain["default"] = schema["default"]
        parameter = {
            "name": name,
            "in": "query",
            "required": False,
            "description": schema["description"],
            "schema": plain,
        }
        described.append(parameter | ({"style": "deepObject", "explode": True} if name == "metadata" else {}))
    return described


LINK_HEADER: dict[str, Any] = {
    "Link": {
        "description": "The neighbouring pages, `next` (older) and `prev` (newer), as relative references (RFC 8288).",
        "schema": {"type": "string"},
    }
}


class List(BaseModel):
    """A page of a list. Its sub-classes say of what."""

    object: Literal["list"]
    has_more: Annotated[
        bool, Field(description="There is more in the direction asked for; the `Link` header leads there.")
    ]


def _given(pairs: list[tuple[str, str]], *, takes_metadata: bool) -> dict[str, Any]:
    """Collect the pairs: ``metadata[key]=value`` go into one dictionary."""
    plain: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for name, value in pairs:
        entry = _METADATA.fullmatch(name) if takes_metadata else None
        target, key = (metadata, entry[1]) if entry else (plain, name)
        if key in target:
            raise ValidationFailed([{"pointer": name[:200], "message": "is given more than once"}])
        if takes_metadata and name == "metadata":
            raise ValidationFailed([{"pointer": name, "message": "is written metadata[key]=value"}])
        target[key] = value
    return plain | ({"metadata": metadata} if metadata else {})


def _located(error: Any) -> Any:
    """Name the parameter as it is written in the query."""
    match error["loc"]:
        case ("metadata", str(key), *_):
            name = f"metadata[{key}]"
        case (str(name), *_):
            pass
        case _:
            name = "starting_after"  # the model's only rule between parameters
    if error["type"] == "extra_forbidden":
        error = {**error, "type": "unknown_parameter", "msg": "is not a parameter of this route"}
    return {**error, "loc": ("query", name[:200])}
