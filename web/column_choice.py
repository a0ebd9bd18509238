"""The form that chooses the columns of a list: of deals, clients and companies."""

from collections.abc import Mapping, Sequence

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.fields.column_actions import choose_columns
from pbxcrm.fields.models import FieldEntity
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import LONGEST_REPEATED
from web.answers import redirect
from web.forms import Form
from web.list_columns import ListColumn
from web.parts import viewer
from web.rendering import render


def columns_form(
    request: Request, path: str, known: Mapping[str, ListColumn], chosen: Sequence[ListColumn]
) -> HTMLResponse:
    """The form of the list at ``path``; the first of ``chosen`` is always shown."""
    keys = {column.key for column in chosen}
    return render(
        request,
        "partials/columns.html",
        path=path,
        always=chosen[0].key,
        chosen=chosen,
        others=[column for column in known.values() if column.key not in keys],
        query=request.url.query,
    )


async def keep_columns(
    session: AsyncSession, request: Request, form: Form, entity: FieldEntity, known: Mapping[str, ListColumn]
) -> None:
    """Keep what was chosen: ``column`` for each, in order; ``as_first`` for those of the beginning. Raises Invalid."""
    names = [] if form.ticked("as_first") else form.all("column")
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise Invalid(
            "column", "columns.unknown", "There is no column “{name}” any more.", name=unknown[:LONGEST_REPEATED]
        )
    await choose_columns(session, viewer(request), entity, list(dict.fromkeys(names)))


def back_to_list(request: Request, path: str, form: Form) -> Response:
    """The list as it was filtered."""
    query = form["query"].removeprefix("?")
    return redirect(request, f"{path}?{query}" if query else path)
