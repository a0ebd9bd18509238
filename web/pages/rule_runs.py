"""One firing of a rule, and taking back what it did."""

from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.automation.run_queries import access_run, as_rows, subjects_of
from pbxcrm.automation.undo_actions import undo_run
from pbxcrm.people.directory import load_directory
from web import words
from web.answers import redirect, toast
from web.i18n import gettext as _
from web.pages.common import show
from web.parts import now, parts, viewer, wants_fragment


async def one(request: Request) -> Response:
    """``GET /runs/{run_id}``: what the rule heard, saw and did, for whoever sees the deal or the client."""
    async with parts(request).db.read() as session:
        run = await access_run(session, viewer(request), request.path_params["run_id"])
        (row,) = await as_rows(session, [run])
        deals, contacts = await subjects_of(session, [run])
        people = await load_directory(session)
    return show(request, "automation/run.html", row=row, deals=deals, contacts=contacts, people=people)


async def undo(request: Request) -> Response:
    """``POST /runs/{run_id}/undo``."""
    async with parts(request).db.write() as session:
        run = await access_run(session, viewer(request), request.path_params["run_id"])
        stay = await undo_run(session, viewer(request), run.id or 0, now(request))
    if not wants_fragment(request):
        return redirect(request, f"/deals/{run.deal_id}" if run.deal_id is not None else f"/contacts/{run.contact_id}")
    if not stay:
        return toast(request, _("What the rule did is taken back."))
    kept = " ".join(" ".join([*words.because(step.result), *words.because(why.stored())]) for step, why in stay)
    return toast(request, _("Taken back, except: {kept}").format(kept=kept), tone="")
