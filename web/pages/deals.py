"""Deals: the card with its timeline, and the actions on a deal."""

from datetime import timedelta
from http import HTTPStatus
from urllib.parse import quote

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.access import Permission, can
from pbxcrm.access.owners import does_work_of
from pbxcrm.callbacks.queries import failed_without_task
from pbxcrm.contacts.queries import (
    ContactRow,
    edits_contact,
    get_contact,
    with_numbers,
)
from pbxcrm.deals import actions
from pbxcrm.deals.board_queries import path_of
from pbxcrm.deals.fields import MOMENTS, values_of
from pbxcrm.deals.gate_rules import Need
from pbxcrm.deals.merge_queries import OtherDeals, other_open_deals
from pbxcrm.deals.models import Deal, Stage, StageMove
from pbxcrm.deals.pipeline_rules import Requirements
from pbxcrm.deals.queries import (
    DealRow,
    access_deal,
    access_deal_row,
    list_pipelines,
    load_funnel,
    moves_of,
)
from pbxcrm.deals.second_deal_queries import open_there
from pbxcrm.deals.tag_queries import list_tags, tags_of
from pbxcrm.distribution.queries import any_rules, choice_of_deal
from pbxcrm.fields.models import FieldEntity
from pbxcrm.files.actions import On
from pbxcrm.files.queries import list_files
from pbxcrm.flags.queries import FlagFilter, list_flags
from pbxcrm.messages.queries import reached_at, stops_among
from pbxcrm.notes.actions import add_note
from pbxcrm.notes.mention_actions import named_in_vain, names_to_mention
from pbxcrm.notes.queries import pinned_notes
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid
from pbxcrm.tasks.list_queries import open_tasks_of_deal
from pbxcrm.tasks.queries import editable_among
from pbxcrm.timeline.entries import EntryKind, Timeline
from pbxcrm.timeline.queries import timeline
from web import gate_dialog
from web.answers import redirect, toast, with_toast
from web.cursors import read_entry
from web.custom_values import shown_fields
from web.deal_cards import drawn_anew
from web.deal_forms import give_number, make_typed, values_in
from web.deal_panels import lines_context, people_context, watchers_context
from web.due_dates import QUICK
from web.forms import Form, filled, local_text, read_form
from web.i18n import N_
from web.i18n import gettext as _
from web.pages.common import choices, colleagues, show, version_of
from web.parts import now, parts, viewer, wants_fragment
from web.pauses import standing_of

#: The filter of the timeline: word in the address -> kinds of entries that are shown, and its name.
KINDS: dict[str, tuple[frozenset[EntryKind], str]] = {
    "": (frozenset(EntryKind), N_("All")),
    "calls": (frozenset({EntryKind.CALL}), N_("Calls")),
    "notes": (frozenset({EntryKind.NOTE}), N_("Notes")),
    "tasks": (frozenset({EntryKind.TASK}), N_("Tasks")),
    "files": (frozenset({EntryKind.FILE}), N_("Files")),
    "requests": (frozenset({EntryKind.REQUEST}), N_("Requests")),
    "messages": (frozenset({EntryKind.MESSAGE}), N_("Messages")),
    "moves": (frozenset({EntryKind.MOVE, EntryKind.CHANGE}), N_("Changes")),
}
UNDO_SHOWN = timedelta(seconds=20)  # how long after a move a newly opened page offers to undo it
UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY


async def deal(request: Request) -> Response:
    """``GET /deals/{id}?kind=&edit=``."""
    form = None
    if "edit" in request.query_params:
        async with parts(request).db.read() as session:
            form = _facts(await access_deal_row(session, viewer(request), request.path_params["deal_id"]))
    return await _deal_page(request, form)


async def _deal_page(request: Request, form: Form | None = None, status: int = 200) -> Response:
    """The whole card; ``form``: the form of its fields, if it is open."""
    who = viewer(request)
    async with parts(request).db.read() as session:
        row = await access_deal_row(session, who, request.path_params["deal_id"])
        found = row.deal
        if found.id != request.path_params["deal_id"]:  # it was merged into this one
            return redirect(request, f"/deals/{found.id}")
        funnel = await load_funnel(session)
        stages = funnel.stages_of(found.pipeline_id)
        told = await _timeline(session, request, found.id or 0)
        moves = await moves_of(session, found.id or 0)
        contact: ContactRow | None = None
        if row.contact is not None:
            contact = (await with_numbers(session, [row.contact]))[0]
        tasks = await open_tasks_of_deal(session, found.id or 0)
        return show(
            request,
            "deals/deal.html",
            fragment="deals/_facts.html",
            status=status,
            row=row,
            deal=found,
            must_plan=found.responsible_id == who.user_id and await failed_without_task(session, found),
            stages=stages,
            steps=path_of(found, funnel.stages_ever_of(found.pipeline_id), moves, now(request)),
            undo=_undo_of(request, moves, stages),
            told=told,
            kinds=KINDS,
            kind=_kind(request),
            contact=contact,
            numbers={phone.number for phone in contact.phones} if contact is not None else set(),
            edits_client=contact is not None and await edits_contact(session, who, contact.contact.id or 0),
            stops=await stops_among(session, reached_at(contact)) if contact is not None else (),
            tasks=tasks,
            plan_days=funnel.pipelines[found.pipeline_id].longest_plan_days,
            others=await other_open_deals(session, who, found, pipeline_id=found.pipeline_id)
            if found.closed_at is None
            else None,
            editable_tasks=await editable_among(session, who, (each.task for each in tasks)),
            people=choices(await colleagues(session, who)),
            pipelines=await list_pipelines(session),
            form=form,
            open_already=await _second_to_ask(session, request, form, found),
            directory=await load_directory(session),
            task_form=filled({"deal_id": found.id, "assignee_id": does_work_of(who, found.responsible_id)}),
            quick=QUICK,
            flags=[each.flag for each in await list_flags(session, who, FlagFilter(deal_id=found.id))],
            choice=await choice_of_deal(session, found.id or 0),
            by_rules=await any_rules(session),
            flag_people=await load_directory(session),
            people_of=await load_directory(session),
            **await standing_of(session, found.id or 0, now(request)),
            no_form=Form(),
            custom_fields=await shown_fields(
                session,
                who,
                FieldEntity.DEAL,
                found.custom,
                place=(found.pipeline_id, found.stage_id),
                required=Requirements.load(row.stage.requires).fields,
                row=found,
            ),
            pinned=await pinned_notes(session, found.id or 0),
            names_to_mention=await names_to_mention(session, who, found),
            people_form=Form(),
            **await people_context(session, request, found)
            | await watchers_context(session, request, found)
            | await lines_context(session, request, found),
            tags=await tags_of(session, found.id or 0),
            known_tags=await list_tags(session),
            tag_form=Form(),
            files=await list_files(session, who, deal_id=found.id),
            files_on=On(deal_id=found.id),
            files_people=await load_directory(session),
            files_error="",
            may_attach=can(who, Permission.DEALS_EDIT),
            most_mb=parts(request).settings.files_max_mb,
        )


async def _second_to_ask(session: AsyncSession, request: Request, form: Form | None, deal: Deal) -> OtherDeals | None:
    """The open deals of the client who is chosen in the form of the fields, if that is not the deal's own client."""
    contact_id = form.id("contact_id") if form is not None else None
    if contact_id is None or contact_id == deal.contact_id or deal.closed_at is not None:
        return None
    if await get_contact(session, viewer(request), contact_id) is None:
        return None
    return await open_there(session, viewer(request), deal.pipeline_id, contact_id, None, deal_id=deal.id)


def _undo_of(request: Request, moves: list[StageMove], stages: list[Stage]) -> Stage | None:
    """The stage to which the viewer can undo their own recent move; None if there is none."""
    last = moves[-1] if moves else None
    if last is None or last.by_id != viewer(request).user_id or now(request) - last.at > UNDO_SHOWN:
        return None
    return next((stage for stage in stages if stage.id == last.from_stage_id), None)


async def more(request: Request) -> Response:
    """``GET /deals/{id}/timeline?kind=&after=``: the next, older entries."""
    async with parts(request).db.read() as session:
        found = await access_deal(session, viewer(request), request.path_params["deal_id"])
        told = await _timeline(session, request, found.id or 0)
    return show(request, "deals/_timeline.html", told=told, deal=found, kind=_kind(request))


async def move(request: Request) -> Response:
    """``POST /deals/{id}/move``: ``stage_id``, ``version`` and, if required, ``lost_reason`` and the next task
    (``next_title`` with ``next_due_at`` or ``quick``), which is created with the move or not at all. With ``undo`` it
    takes back the viewer's own recent move.

    The board gets the current card, and so does whoever asks to ``stay`` (the list of deals that were refused). 409 if somebody else changed it first; 422 with a form that asks for what is missing.
    """
    form = await read_form(request)
    deal_id = request.path_params["deal_id"]
    if "next_title" in form.values:
        form.values.setdefault("asked", Need.NEXT_TASK.value)
    try:
        async with parts(request).db.write() as session:
            if gate_dialog.is_completed(form):
                await gate_dialog.plan_next(
                    session, request, form, await access_deal(session, viewer(request), deal_id)
                )
            contact_id = await gate_dialog.client_of(session, request, form, deal_id)
            found = await actions.move_deal(
                session,
                viewer(request),
                deal_id,
                form.id("stage_id") or 0,
                version=version_of(form),
                now=now(request),
                lost_reason=gate_dialog.lost_reason(form),
                undo=form.ticked("undo"),
                answers=await gate_dialog.answers(session, form, contact_id),
                region=parts(request).settings.region,
                second=form.ticked("second"),
            )
            if contact_id is not None:
                await give_number(session, request, form, found)
            cards = await drawn_anew(session, request, found)
    except Invalid as error:
        if not gate_dialog.asks(form, error):
            raise
        return await gate_dialog.ask_missing(request, form, error, deal_id, stage_id=form.id("stage_id"))
    if form.values.keys() & {"board", "stay"}:
        return show(request, "deals/_cards.html", cards=cards, more="")
    return redirect(request, f"/deals/{deal_id}")


async def assign(request: Request) -> Response:
    """``POST /deals/{id}/assign``: ``responsible_id`` and ``version``; the board gets the current card."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        found = await actions.edit_deal(
            session,
            viewer(request),
            request.path_params["deal_id"],
            version=version_of(form),
            now=now(request),
            responsible_id=form.id("responsible_id"),
        )
        cards = await drawn_anew(session, request, found)
        name = (await load_directory(session)).name(found.responsible_id) or _("nobody")
    page = show(request, "deals/_cards.html", cards=cards, more="")
    page.headers["x-said"] = quote(_("Given to {name}.").format(name=name))
    return page


async def edit(request: Request) -> Response:
    """``POST /deals/{id}/edit``: change the fields of the deal; ``version`` is the one that the form was filled in for."""
    form = await read_form(request)
    deal_id = request.path_params["deal_id"]
    try:
        async with parts(request).db.write() as session:
            contact_id = await make_typed(session, request, form, deal_id)
            found = await actions.edit_deal(
                session,
                viewer(request),
                deal_id,
                version=version_of(form),
                now=now(request),
                values=values_in(form),
                responsible_id=form.id("responsible_id"),
                contact_id=contact_id,
                keep_contact="contact_id" not in form.values,
                second=form.ticked("second"),
            )
            await give_number(session, request, form, found)
    except Invalid as error:
        error.field = {"contact_id": "contact", "name": "contact"}.get(error.field, error.field)
        form.refuse(error)
        return await _deal_page(request, form, UNPROCESSABLE)
    return redirect(request, f"/deals/{deal_id}", done="saved")


async def note(request: Request) -> Response:
    """``POST /deals/{id}/note``."""
    form = await read_form(request)
    deal_id = request.path_params["deal_id"]
    try:
        async with parts(request).db.write() as session:
            found = await access_deal(session, viewer(request), deal_id)
            await add_note(session, viewer(request), form["text"], now(request), deal=found)
    except Invalid as error:
        return toast(request, _(error.message).format(**error.params), tone="red", status=error.status)
    if not wants_fragment(request):
        return redirect(request, f"/deals/{deal_id}")
    async with parts(request).db.read() as session:
        found = await access_deal(session, viewer(request), deal_id)
        told = await _timeline(session, request, deal_id)
        in_vain = await named_in_vain(session, viewer(request), form["text"], found)
        page = show(
            request,
            "deals/_timeline_region.html",
            told=told,
            deal=found,
            kind="",
            kinds=KINDS,
            pinned=await pinned_notes(session, deal_id),
            people_of=await load_directory(session),
            edits=can(viewer(request), Permission.DEALS_EDIT),
        )
    if not in_vain:
        return page
    names = ", ".join(user.name for user in in_vain)
    said = _("Not told, because they do not see this deal: {names}.").format(names=names)
    return with_toast(request, page, said, tone="red")


def _kind(request: Request) -> str:
    asked = request.query_params.get("kind", "")
    return asked if asked in KINDS else ""


async def _timeline(session: AsyncSession, request: Request, deal_id: int) -> Timeline:
    after = read_entry(request.query_params.get("after", ""))
    return await timeline(session, viewer(request), deal_id=deal_id, kinds=KINDS[_kind(request)][0], after=after)


def _facts(row: DealRow) -> Form:
    found = row.deal
    return filled(
        {
            **values_of(found),
            **{key: local_text(getattr(found, key)) for key in MOMENTS},
            "responsible_id": found.responsible_id,
            "contact_id": found.contact_id,
            "contact": row.contact.name if row.contact is not None else "",
            "version": found.version,
        }
    )
