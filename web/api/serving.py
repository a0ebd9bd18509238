"""Serving an endpoint: check the request, call the function, write the answer."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from pbxcrm.fields.conditions import MOST_FILTERS
from pbxcrm.shared.columns import LARGEST_ID
from pbxcrm.shared.errors import NotFound, PbxcrmError
from web.api.custom_values import FilteredQuery
from web.api.problems import Wrong, problem, problem_of, wrong_body, wrong_query
from web.api.resource import ApiEndpoint, Ask, requires_body
from web.api.tokens import note_use
from web.parts import home, now, parts, viewer
from web.routing import api

PREFIX = "/api/v1"
MAX_BODY = 1024 * 1024  # bytes; the longest note is 10 000 letters


def routes_of(endpoints: Sequence[ApiEndpoint]) -> list[Route]:
    """Starlette routes of a resource: parameters and body are checked, errors become problems."""
    return [_route(endpoint) for endpoint in endpoints]


def _route(endpoint: ApiEndpoint) -> Route:
    path = PREFIX + endpoint.path
    for name, kind in endpoint.ids.items():
        if kind is int:
            path = path.replace(f"{{{name}}}", f"{{{name}:int}}")

    async def serve(request: Request) -> Response:
        try:
            return await _answer(endpoint, request)
        except PbxcrmError as error:
            return _said(error, endpoint)

    return api(path, serve, needs=endpoint.needs, methods=(endpoint.method,), name=f"api_{endpoint.name}")


async def _answer(endpoint: ApiEndpoint, request: Request) -> Response:
    arguments: dict[str, Any] = {**request.path_params}
    if any(isinstance(value, int) and not 1 <= value <= LARGEST_ID for value in arguments.values()):
        raise NotFound("api.not_found", "There is no such thing.")
    if endpoint.query is not None:
        arguments["query"] = _query(endpoint.query, request)
    elif request.query_params:
        raise Wrong("api.unknown_filter", "This takes no parameters.", next(iter(request.query_params))[:60])
    if endpoint.body is not None:
        arguments["body"] = await _body(endpoint.body, request)
    on = parts(request)
    await note_use(request)
    unit = on.db.read() if endpoint.method == "GET" else on.db.write()
    async with unit as session:
        answer = await endpoint.run(
            Ask(session, viewer(request), now(request), on.settings, home(request)), **arguments
        )
        if endpoint.method != "GET":
            await session.flush()
    if isinstance(answer, Response):
        return answer
    headers = {"Location": PREFIX + endpoint.location(answer)} if endpoint.location is not None else {}
    if answer is None:
        return Response(status_code=endpoint.status, headers=headers)
    return Response(answer.model_dump_json(), endpoint.status, headers, "application/json")


def _query(model: type[BaseModel], request: Request) -> BaseModel:
    given: dict[str, str] = {}
    filters: list[tuple[str, str]] = []
    for name, value in request.query_params.multi_items():
        if issubclass(model, FilteredQuery) and model.takes(name):
            filters.append((name[:100], value.replace("\x00", "")[:2000]))
            continue
        if name in given:
            raise Wrong("api.value", f"“{name[:60]}” is given twice.", name[:60])
        given[name] = value
    if len(filters) > MOST_FILTERS:
        raise Wrong("api.value", "Too many filters.", filters[0][0][:60])
    try:
        found = model.model_validate_strings(given)
    except ValidationError as error:
        raise wrong_query(error, sorted(model.model_fields)) from None
    if isinstance(found, FilteredQuery):
        found.filtered_by(filters)
    return found


async def _body(model: type[BaseModel], request: Request) -> BaseModel:
    """The checked body. Where no field is required, no body is as good as ``{}``, whatever its media type."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    refused = _Refused(415, "api.media_type", "Send the body as application/json.")
    if kind != "application/json" and requires_body(model):
        raise refused
    raw = bytearray()
    try:
        async for piece in request.stream():
            raw += piece
            if len(raw) > MAX_BODY:
                raise _Refused(413, "api.too_large", "The body is too large: at most 1 MB.")
    except ClientDisconnect:
        raise _Refused(400, "api.incomplete", "The body ended too early.") from None
    if not raw and not requires_body(model):
        raw += b"{}"
    elif kind != "application/json":
        raise refused
    try:
        return model.model_validate_json(bytes(raw))
    except ValidationError as error:
        raise wrong_body(error, sorted(model.model_fields)) from None


class _Refused(Wrong):
    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.refused = status


def _said(error: PbxcrmError, endpoint: ApiEndpoint) -> Response:
    if isinstance(error, Wrong):
        status = error.refused if isinstance(error, _Refused) else error.status
        return problem(status, error.code, error.detail, field=error.field)
    return problem_of(error, endpoint.fields)
