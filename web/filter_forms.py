"""The form of all filters of a list: what is wrong in it is said at its place, and only what can be read becomes an address."""

from collections.abc import Awaitable
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.shared.errors import Invalid
from web.answers import redirect
from web.i18n import gettext as _

APPLY = "apply"  # the parameter by which the form asks to be read


async def applied(request: Request, path: str, reading: Awaitable[object]) -> tuple[Response | None, dict[str, str]]:
    """If the form was sent: the way to the list at ``path`` with its filters, or what is wrong, by the name of the input."""
    try:
        await reading
    except Invalid as error:
        return None, {error.field: _(error.message).format(**error.params)}
    if APPLY not in request.query_params:
        return None, {}
    asked = [(name, value) for name, value in request.query_params.multi_items() if name != APPLY and value.strip()]
    return redirect(request, f"{path}?{urlencode(asked)}" if asked else path), {}
