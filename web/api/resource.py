"""Endpoints: an ordinary function, whose types declare the request and the answer.

``query`` is a model of the query string, ``body`` a model of the JSON body; the other parameters stand in the path. The
return type is the answer. The route, its permission, the checks and OpenAPI are all made from the same declaration.
"""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Self, TypeVar, get_args, get_type_hints

from pydantic import BaseModel, Field
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from pbxcrm.access import Permission, Viewer
from pbxcrm.shared.listed import RowPlace
from pbxcrm.shared.settings import Settings
from web.api.checked_cursors import next_of_id, next_of_sorted, read_id
from web.api.fields import ApiAnswer, ApiRequest, ShortListQuery

Item = TypeVar("Item", bound=BaseModel)
Handler = TypeVar("Handler", bound=Callable[..., Awaitable[BaseModel | Response | None]])


@dataclass(frozen=True, slots=True)
class Ask:
    """Who asks, when, and the transaction of the request: read-only for GET, writing for other methods."""

    session: AsyncSession
    viewer: Viewer
    now: datetime
    settings: Settings
    home: str  # the address of our pages, for links in files


class Page(ApiAnswer, Generic[Item]):
    """A page of a list."""

    items: list[Item]
    next: str | None = Field(
        description="Send it as `cursor` for the next page; null on the last page. "
        "A page of a search may hold fewer items than `limit`, or none, and still have a next one."
    )

    @classmethod
    def part_of(cls, rows: list[Item], query: ShortListQuery) -> Self:
        """The asked part of a list that is known whole. Raises Wrong for a cursor that is none."""
        begin = read_id(query.cursor) or 0
        end = len(rows) if query.limit is None else begin + query.limit
        return cls(items=rows[begin:end], next=next_of_id(end) if end < len(rows) else None)

    @classmethod
    def of(cls, rows: list[Item], limit: int, cursor: Callable[[Item], str], resume: str | None = None) -> Self:
        """The first ``limit`` of ``rows``. Pass ``limit + 1`` rows, so that it is known whether there is a next page.

        ``resume``: the cursor with which a search goes on that stopped early.
        """
        more = len(rows) > limit
        return cls(items=rows[:limit], next=cursor(rows[limit - 1]) if more else resume)

    @classmethod
    def in_places(cls, rows: list[Item], limit: int, places: Sequence[RowPlace], resume: RowPlace | None) -> Self:
        """The same of a sorted list: each row has its place."""
        behind = places[limit - 1] if len(rows) > limit else resume
        return cls(items=rows[:limit], next=None if behind is None else next_of_sorted(behind.value, behind.row_id))


@dataclass(frozen=True, slots=True)
class ApiEndpoint:
    """One method of one path with its models and the permission it needs; routes and OpenAPI derive from it."""

    method: str
    path: str  # "/deals/{deal_id}", below /api/v1
    run: Callable[..., Awaitable[BaseModel | Response | None]]
    needs: Permission
    summary: str
    tag: str
    status: int
    query: type[ApiRequest] | None
    body: type[ApiRequest] | None
    answer: type[BaseModel] | None
    ids: dict[str, type]  # parameters of the path and their types
    location: Callable[[Any], str] | None  # path of the created object, below /api/v1
    conflicts: bool  # whether it can answer 409
    fields: frozenset[str] = field(default_factory=frozenset)
    files: tuple[str, ...] = ()  # media types it may answer with besides JSON

    @property
    def name(self) -> str:
        """A unique name, used as the route's name and OpenAPI's ``operationId``."""
        return self.run.__name__

    @property
    def detail(self) -> str:
        """The description in OpenAPI: the docstring of the handler."""
        return inspect.getdoc(self.run) or ""


def requires_body(model: type[BaseModel]) -> bool:
    """Whether a request must send this body: at least one of its fields is required."""
    return any(each.is_required() for each in model.model_fields.values())


@dataclass(slots=True)
class Resource:
    """The endpoints of one kind of object. ``about`` is its description in the documentation."""

    tag: str
    about: str
    endpoints: list[ApiEndpoint] = field(default_factory=list)

    def get(
        self, path: str, *, needs: Permission, summary: str, files: tuple[str, ...] = ()
    ) -> Callable[[Handler], Handler]:
        """Declare a handler for GET on ``path``. ``files``: media types of a ``Response`` it may return instead of its model."""
        return self._endpoint("GET", path, needs, summary, 200, None, conflicts=False, files=files)

    def post(
        self,
        path: str,
        *,
        needs: Permission,
        summary: str,
        status: int = 201,
        location: Callable[[Any], str] | None = None,
        conflicts: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Declare a handler for POST on ``path``."""
        return self._endpoint("POST", path, needs, summary, status, location, conflicts=conflicts)

    def patch(self, path: str, *, needs: Permission, summary: str) -> Callable[[Handler], Handler]:
        """Declare a handler for PATCH on ``path``."""
        return self._endpoint("PATCH", path, needs, summary, 200, None, conflicts=True)

    def put(self, path: str, *, needs: Permission, summary: str) -> Callable[[Handler], Handler]:
        """Declare a handler for PUT on ``path``: the body replaces all that is there."""
        return self._endpoint("PUT", path, needs, summary, 200, None, conflicts=True)

    def delete(
        self, path: str, *, needs: Permission, summary: str, conflicts: bool = False
    ) -> Callable[[Handler], Handler]:
        """Declare a handler for DELETE on ``path``."""
        return self._endpoint("DELETE", path, needs, summary, 204, None, conflicts=conflicts)

    def _endpoint(
        self,
        method: str,
        path: str,
        needs: Permission,
        summary: str,
        status: int,
        location: Callable[[Any], str] | None,
        *,
        conflicts: bool,
        files: tuple[str, ...] = (),
    ) -> Callable[[Handler], Handler]:
        def declare(run: Handler) -> Handler:
            hints = get_type_hints(run)
            answer = hints.pop("return")
            if files:  # the model or a file
                answer = next(each for each in get_args(answer) if issubclass(each, BaseModel))
            hints.pop("ask")
            query, body = hints.pop("query", None), hints.pop("body", None)
            names = frozenset((query.model_fields if query else {}) | (body.model_fields if body else {}))
            self.endpoints.append(
                ApiEndpoint(
                    method,
                    path,
                    run,
                    needs,
                    summary,
                    self.tag,
                    status,
                    query,
                    body,
                    None if answer is type(None) else answer,
                    hints,
                    location,
                    conflicts,
                    names,
                    files,
                )
            )
            return run

        return declare
