"""The form that asks for what a refused move lacks and then sends the same request again.

The board, a deal's card, the dock and the callback queue answer with it when a gate refuses (``GateRefused``). With JavaScript it
opens in the dialog ``#complete`` (``complete.js``), without one it is a page. It sends every field of the act along, and
``asked``, the needs it asks for.
"""

from collections.abc import Collection
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse

from pbxcrm.access.owners import does_work_of
from pbxcrm.contacts.queries import get_contact
from pbxcrm.deals import actions
from pbxcrm.deals.access import edits_deal
from pbxcrm.deals.creation_actions import Completed
from pbxcrm.deals.field_queries import REQUIRABLE
from pbxcrm.deals.fields import BY_KEY, MOMENTS
from pbxcrm.deals.gate_rules import GateRefused, Need
from pbxcrm.deals.merge_queries import OtherDeals, other_open_deals
from pbxcrm.deals.merge_rules import Wanted
from pbxcrm.deals.models import Deal, Stage, StageKind
from pbxcrm.deals.queries import access_deal, stage_of_kind
from pbxcrm.deals.second_deal_queries import SECOND_DEAL
from pbxcrm.fields.models import FieldDefinition, FieldEntity, ValueKind
from pbxcrm.fields.queries import load_fields
from pbxcrm.fields.rules import place_of
from pbxcrm.files.actions import On
from pbxcrm.files.queries import list_files
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.errors import Invalid, Missing
from pbxcrm.tasks.actions import create_task
from web.custom_values import check_still_there, entered
from web.deal_forms import give_number, make_typed
from web.due_dates import QUICK, due_of
from web.forms import Form, filled
from web.i18n import gettext as _
from web.pages.common import choices, colleagues, show
from web.parts import now, parts, viewer

FIELDS = REQUIRABLE  # keys of the fields that a stage may require
OWN = frozenset({"asked", "lost_reason", "usual", "board"})  # names that this form always decides about itself
_NEXT_TASK = frozenset({"next_title", "next_due_at", "quick"})
_CLIENT = frozenset({"contact", "q", "contact_id"})
#: Shown above the fields of the form, although it does not ask for them.
_SHOWN = frozenset({"", "stage_id", "version", "assignee_id"})
#: Field of the new task or client -> its name in this form.
_RENAMED = {"title": "next_title", "due_at": "next_due_at", "name": "contact"}


def is_completed(form: Form) -> bool:
    """Whether the form of this module sent it, with a next task among what it asked for."""
    return Need.NEXT_TASK.value in form["asked"].split()


async def client_of(session: AsyncSession, request: Request, form: Form, deal_id: int) -> int | None:
    """The client whom the form of this module asked for; a new one of the name typed is made. None: it did not ask."""
    asked = "field.contact_id" in form["asked"].split()
    return await make_typed(session, request, form, deal_id) if asked else None


async def answers(session: AsyncSession, form: Form, contact_id: int | None = None) -> dict[str, Any]:
    """The required fields that the form of this module asked for, as they were typed; ``contact_id`` as of ``client_of``."""
    needs = form["asked"].split()
    found: dict[str, Any] = {key: _answer(form, key) for key in FIELDS if f"field.{key}" in needs}
    if "contact_id" in found:
        found["contact_id"] = str(contact_id or "")
    if needs:
        check_still_there(form, await load_fields(session), FieldEntity.DEAL)
    return found | entered(form, await _asked_for(session, needs))


async def _asked_for(session: AsyncSession, needs: Collection[str]) -> list[FieldDefinition]:
    """The custom fields among the needs of a stage."""
    known = (await load_fields(session)).of(FieldEntity.DEAL)
    return [definition for definition in known if f"field.{definition.key}" in needs]


def _answer(form: Form, key: str) -> str:
    if key in MOMENTS:
        moment = form.utc_time(key)
        return moment.isoformat() if moment is not None else ""
    return form[key]


async def fill_in(session: AsyncSession, request: Request, form: Form, deal_id: int) -> None:
    """Store the required fields and the next task from the form, before the act itself and in its transaction."""
    contact_id = await client_of(session, request, form, deal_id)
    if typed := await answers(session, form, contact_id):
        region = parts(request).settings.region
        second = form.ticked("second")
        await actions.fill_in(session, viewer(request), deal_id, typed, now(request), region, second=second)
    if contact_id is not None:
        await give_number(session, request, form, await access_deal(session, viewer(request), deal_id))
    if is_completed(form):
        await plan_next(session, request, form, await access_deal(session, viewer(request), deal_id))


def lost_reason(form: Form) -> str:
    """The reason typed in a form, or chosen from its list."""
    return form["usual"] or form["lost_reason"]


async def plan_next(session: AsyncSession, request: Request, form: Form, deal: Deal) -> None:
    """Create the next task that the act requires, in the same transaction, for the responsible of the deal or who stands in."""
    who = viewer(request)
    owner = does_work_of(who, deal.responsible_id)
    when = filled({"due_at": form["next_due_at"], "quick": form["quick"]})
    await create_task(
        session,
        who,
        title=form["next_title"],
        due_at=await due_of(session, request, when, owner),
        assignee_id=owner,
        deal_id=deal.id,
        now=now(request),
    )


def asks(form: Form, error: Invalid) -> bool:
    """Whether ``error`` belongs to this form: a gate refused the move, or a field of this form is wrong."""
    return isinstance(error, GateRefused) or bool(form["asked"])


def _need(missing: Missing) -> str:
    return f"{missing.kind}.{missing.key}" if missing.kind == Need.FIELD else missing.kind


async def of_new(session: AsyncSession, request: Request, form: Form) -> Completed:
    """What the form asked for before a deal can be created. The client is sent as that of any new deal."""
    typed = {key: value for key, value in (await answers(session, form)).items() if key != "contact_id"}

    async def plan(deal: Deal) -> None:
        await plan_next(session, request, form, deal)

    return Completed(typed, plan if is_completed(form) else None, lost_reason(form))


async def told_of_new(session: AsyncSession, error: Invalid) -> Invalid:
    """``error`` of a new deal; where the stage asks for files, which a deal that is not there yet cannot have, it says what to do."""
    if not isinstance(error, GateRefused):
        return error
    kinds = {each.key: each.kind for each in (await load_fields(session)).of(FieldEntity.DEAL)}
    if not any(each.kind == Need.FILE or kinds.get(each.key) == ValueKind.FILE for each in error.missing):
        return error
    return Invalid(
        "stage_id",
        "deals.files_first",
        "This stage asks for files, and a new deal has none. Make it in an earlier stage, attach them, and then move it.",
    )


def _rendered(needs: Collection[str]) -> frozenset[str]:
    """The names of the fields that the form has for these needs, without custom ones."""
    own = {key for key in FIELDS if f"field.{key}" in needs}
    return OWN.union(
        own,
        _CLIENT if "contact_id" in own else {"q"},
        _NEXT_TASK if Need.NEXT_TASK.value in needs else (),
        {"second"} if Need.SECOND_DEAL.value in needs else (),
    )


def _kept(form: Form, rendered: Collection[str]) -> list[tuple[str, str]]:
    """The fields of the act itself, which the form sends along; of a list each value."""
    return [
        (name, value)
        for name, first in form.values.items()
        if name not in rendered
        for value in form.lists.get(name, [first])
    ]


async def _open_already(
    session: AsyncSession,
    request: Request,
    form: Form,
    needs: Collection[str],
    deal: Deal | None,
    to: Stage | None,
    people: Directory,
) -> OtherDeals | None:
    """The open deals beside which ``deal`` would be the second one: all that the gate found, of a colleague's only whose it is."""
    who = viewer(request)
    if Need.SECOND_DEAL.value not in needs or deal is None or not edits_deal(who, deal, people):
        return None
    contact_id = deal.contact_id
    if "field.contact_id" in needs and (chosen := form.id("contact_id")) is not None:
        if await get_contact(session, who, chosen) is None:
            return None
        contact_id = chosen
    wanted = Wanted(contact_id, deal.client_number, deal.id)
    return await other_open_deals(
        session, who, wanted, pipeline_id=to.pipeline_id if to is not None else deal.pipeline_id
    )


async def ask_missing(
    request: Request, form: Form, error: Invalid, deal_id: int | None, *, stage_id: int | None = None, target: str = ""
) -> HTMLResponse:
    """422 with the form. ``deal_id``: None for a deal that is to be created. ``stage_id``: the stage the deal should enter, else its lost
    stage. ``target``: the element that the answer replaces.
    """
    needs = form["asked"].split()
    if isinstance(error, GateRefused):
        needs += [need for missing in error.missing if (need := _need(missing)) not in needs]
    if error.code == SECOND_DEAL:  # of the client that the form asked for
        needs.append(Need.SECOND_DEAL.value)
    if form["asked"]:  # an error about a field of this form is shown at that field
        error.field = _RENAMED.get(error.field, error.field)
    async with parts(request).db.read() as session:
        deal = await session.get(Deal, deal_id) if deal_id is not None else None
        to = await session.get(Stage, stage_id) if stage_id is not None else None
        if to is None and deal is not None:
            to = await stage_of_kind(session, deal.pipeline_id, StageKind.LOST)
        custom = await _asked_for(session, needs)
        known_fields = (await load_fields(session)).by_key(FieldEntity.DEAL)
        people = choices(await colleagues(session, viewer(request)))
        files = await list_files(session, viewer(request), deal_id=deal_id)
        directory = await load_directory(session)
        known = await _open_already(session, request, form, needs, deal, to, directory)
    if not form["asked"] and not form["next_title"]:  # the original form may have had this field, left empty
        form.values["next_title"] = _("Call again")
    names = _rendered(needs) | {place_of(definition.key) for definition in custom}
    there = {place_of(each) for each in known_fields}
    gone = {name for name in form.values if name.startswith(place_of(""))} - there  # put into the archive meanwhile
    if form["asked"]:
        error.field = error.field if error.field in names | _SHOWN else ""
        form.refuse(error)
    answer = show(
        request,
        "deals/complete.html",
        fragment="deals/_complete.html",
        status=422,
        form=form,
        needs=[need for need in dict.fromkeys(needs) if need.partition(".")[0] in set(Need)],
        kept=_kept(form, names | gone),
        custom=custom,
        people=people,
        files=[(str(file.id), file.name) for file in files],
        deal=deal,
        to=to,
        is_new=deal_id is None,
        path=request.url.path,
        target=target,
        quick=QUICK,
        fields=BY_KEY,
        open_already=known,
        directory=directory,
        files_on=On(deal_id=deal_id),
        most_mb=parts(request).settings.files_max_mb,
    )
    answer.headers.update({"HX-Retarget": "#complete-body", "HX-Reswap": "innerHTML", "X-Gate": "refused"})
    return answer
