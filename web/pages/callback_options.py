"""The rules of the callback queue: norm, pause, schedule of attempts, owner of a callback."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.callbacks.actions import change_options, minutes_after
from pbxcrm.callbacks.queries import DecisionContext, load_context
from pbxcrm.checkpoints.context import load_watching
from pbxcrm.checkpoints.preview_jobs import Look, look_at_callbacks
from pbxcrm.shared.errors import Invalid
from web.answers import redirect
from web.attempt_schedules import minutes_of
from web.forms import Form, read_form
from web.i18n import N_
from web.i18n import gettext as _
from web.pages.common import show
from web.parts import now, parts, viewer
from web.two_tabs import check_unchanged, drawn

PATH = "/settings/callbacks"
#: The rules that choose an owner, in words (C5).
OWNERS: dict[str, str] = {
    "responsible": N_("who is responsible for the client"),
    "last_talked": N_("who talked to the client last"),
    "last_rang": N_("whose phone rang last"),
    "line": N_("the default of the line"),
    "manager": N_("the manager"),
}
_MINUTES = ("callback_due_minutes", "callback_pause_minutes", "claim_minutes", "click_to_call_expiry_seconds")
MOST = 100_000  # minutes; a larger number is a typing error


async def page(request: Request) -> Response:
    """``GET /settings/callbacks``."""
    async with parts(request).db.read() as session:
        context = await load_context(session)
    return await _page(request, _form_of(context))


async def save(request: Request) -> Response:
    """``POST /settings/callbacks``: save all rules. Pending deadlines move in the same transaction."""
    form = await read_form(request)
    try:
        values = {name: _whole(form, name) for name in _MINUTES}
        changes: dict[str, object] = {
            **values,
            "retry_minutes": minutes_of(form, "retry_minutes"),
            "owner_order": _order(form),
        }
        changes["retry_outbound"] = form.ticked("retry_outbound")
        if not form["begin"]:
            async with parts(request).db.read() as session:
                look = await look_at_callbacks(session, await minutes_after(session, changes), now(request))
            if look.would_light:
                form.errors["begin"] = _("Choose what happens to them, then save.")
                return await _page(request, form, HTTPStatus.UNPROCESSABLE_ENTITY, look)
        async with parts(request).db.write() as session:
            check_unchanged(form, _form_of(await load_context(session)))
            await change_options(session, viewer(request), changes, now=now(request), begin_now=form["begin"] == "now")
    except Invalid as error:
        form.refuse(error)
        return await _page(request, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    return redirect(request, PATH, done="saved")


async def _page(request: Request, form: Form, status: int = 200, look: Look | None = None) -> HTMLResponse:
    owners = [("", "—"), *((code, _(text)) for code, text in OWNERS.items())]
    async with parts(request).db.read() as session:
        watched = (await load_watching(session)).of_callbacks
    return show(
        request,
        "callbacks/options.html",
        status=status,
        form=form,
        owners=owners,
        places=range(len(OWNERS)),
        checkpoint_id=watched.id if watched is not None else None,
        look=look,
    )


def _form_of(context: DecisionContext) -> Form:
    options = context.options
    values: dict[str, object] = {
        "callback_due_minutes": context.norm,
        "callback_pause_minutes": context.pause,
        "claim_minutes": options.claim_minutes,
        "retry_outbound": options.retry_outbound,
        "click_to_call_expiry_seconds": options.click_to_call_expiry_seconds,
    }
    values["retry_minutes"] = ", ".join(str(minutes) for minutes in options.retry_minutes)
    for place in range(len(OWNERS)):
        values[f"owner_{place}"] = options.owner_order[place] if place < len(options.owner_order) else ""
    return drawn(values)


def _whole(form: Form, name: str) -> int:
    found = form.number(name)
    if found is None or not 0 <= found <= MOST:
        raise Invalid(name, "form.number", "Write a whole number.")
    return found


def _order(form: Form) -> list[str]:
    """The chosen rules in order, each at most once. Raises Invalid if none is chosen."""
    chosen = [form[f"owner_{place}"] for place in range(len(OWNERS))]
    order = [code for code in chosen if code in OWNERS]
    for place, code in enumerate(chosen):
        if code in chosen[:place] and code in OWNERS:  # else one of the two would be dropped silently
            raise Invalid(f"owner_{place}", "options.twice", "This one is chosen above already.")
    if not order:
        raise Invalid("owner_0", "options.order", "Choose at least one.")
    return order
