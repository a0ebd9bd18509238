"""API tokens: on the own profile and, for administrators, on a person's page and in the list of all."""

from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.people.api_tokens import create_token, list_tokens, revoke_token
from pbxcrm.people.queries import access_self, access_user
from pbxcrm.shared.errors import Invalid, NotFound
from web.answers import redirect
from web.forms import Form, read_form
from web.i18n import N_
from web.parts import now, parts, viewer
from web.profile_page import profile_page
from web.rendering import render

#: The offered lifetimes of a token in days; None: until it is revoked.
DAYS = {"30": N_("30 days"), "90": N_("90 days"), "365": N_("a year"), "": N_("until it is revoked")}


async def create(request: Request) -> Response:
    """``POST /profile/tokens``: make a token of one's own, which is shown only once."""
    form = await read_form(request)
    try:
        async with parts(request).db.write() as session:
            me = await access_self(session, viewer(request))
            secret = await create_token(
                session, me, name=form["token_name"], days=_days(form), actor=viewer(request), now=now(request)
            )
    except Invalid as error:
        form.refuse(error)
        return await profile_page(request, token=form, status=422)
    return await profile_page(request, secret=secret)


def _days(form: Form) -> int | None:
    if form["days"] not in DAYS:
        raise Invalid("days", "tokens.choose", "Choose one of these.")
    return form.number("days")


async def revoke_own(request: Request) -> Response:
    """``POST /profile/tokens/{id}/end``: revoke one's own token."""
    await _revoke(request, viewer(request).user_id)
    return redirect(request, "/profile", done="token_revoked")


async def revoke_of(request: Request) -> Response:
    """An administrator revokes a token on the page of its person."""
    user_id: int = request.path_params["user_id"]
    async with parts(request).db.read() as session:
        await access_user(session, viewer(request), user_id)
    await _revoke(request, user_id)
    return redirect(request, f"/people/{user_id}", done="token_revoked")


async def listed(request: Request) -> Response:
    """``GET /settings/tokens``: all tokens that are not revoked, newest first."""
    async with parts(request).db.read() as session:
        rows = await list_tokens(session)
    return render(request, "tokens/list.html", rows=rows)


async def revoke_any(request: Request) -> Response:
    """An administrator revokes a token in the list of all."""
    async with parts(request).db.write() as session:
        await revoke_token(session, viewer(request), request.path_params["token_id"], now(request))
    return redirect(request, "/settings/tokens", done="token_revoked")


async def _revoke(request: Request, user_id: int) -> None:
    async with parts(request).db.write() as session:
        if await revoke_token(session, viewer(request), request.path_params["token_id"], now(request)) != user_id:
            raise NotFound("tokens.not_found", "There is no such token, or it has been revoked already.")
