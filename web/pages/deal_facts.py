"""One fact of a deal (``deals/fields.py``, and who is responsible), edited where it stands, with undo and its history."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.access import Permission, can
from pbxcrm.audit.models import AuditEntry
from pbxcrm.audit.queries import list_assignments, list_edits
from pbxcrm.audit.rules import check_may_take_back
from pbxcrm.deals.actions import access_deal_for_change, edit_deal
from pbxcrm.deals.fields import BY_KEY, MOMENTS, Value
from pbxcrm.deals.models import Deal
from pbxcrm.deals.pipeline_rules import Requirements
from pbxcrm.deals.queries import access_deal, access_deal_row
from pbxcrm.deals.rules import check_may_take_back_responsible
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid, NotFound
from web.answers import redirect, with_toast
from web.forms import Form, filled, local_text, read_form
from web.i18n import N_
from web.i18n import gettext as _
from web.pages.common import choices, colleagues, show
from web.parts import now, parts, viewer, wants_fragment

RESPONSIBLE = "responsible_id"
FACTS = (*BY_KEY, RESPONSIBLE)


@dataclass(frozen=True, slots=True)
class FactChange:
    """An earlier change of a fact: the stored values before and after."""

    entry: AuditEntry
    before: Any
    after: Any


async def fact(request: Request) -> Response:
    """``GET /deals/{deal_id}/facts/{fact}``: its form; with ``?shown`` the value as it is read."""
    key = _key(request)
    async with parts(request).db.read() as session:
        if "shown" in request.query_params or not can(viewer(request), Permission.DEALS_EDIT):
            return await _shown(session, request, key)
        return await _form(session, request, key)


async def save(request: Request) -> Response:
    """``POST /deals/{deal_id}/facts/{fact}``: the value under the name of the fact, and ``seen``, the one that the form began with."""
    key, form, deal_id = _key(request), await read_form(request), request.path_params["deal_id"]
    try:
        async with parts(request).db.write() as session:
            deal = await access_deal_for_change(session, viewer(request), deal_id, None)
            _check_seen(form, deal, key)
            before = deal.version
            deal = await _set(session, request, key, form.id(key) if key == RESPONSIBLE else _typed(form, key))
            await session.flush()
            version = deal.version
    except Invalid as error:
        form.refuse(error)
        async with parts(request).db.read() as session:
            return await _form(session, request, key, form, error.status)
    return await _answer(request, key, before, version, _("“{name}” saved.").format(name=_(name_of(key))), undo=True)


async def undo(request: Request) -> Response:
    """``POST /deals/{deal_id}/facts/{fact}/undo``: take back the viewer's own latest change, if nobody has changed it since."""
    key, who, deal_id = _key(request), viewer(request), request.path_params["deal_id"]
    async with parts(request).db.write() as session:
        deal = await access_deal_for_change(session, who, deal_id, None)
        last = next(iter(await _history(session, deal, key)), None)
        was, made = (last.before, _text(last.after)) if last is not None else (None, None)
        by, is_still_so = last.entry.actor_id if last is not None else None, made == _stored(deal, key)
        if key == RESPONSIBLE:
            check_may_take_back_responsible(who, by, was, is_still_so=is_still_so)
        else:
            check_may_take_back(who, by, is_still_so=is_still_so)
        before = deal.version
        deal = await _set(session, request, key, _again(key, was))
        await session.flush()
        version = deal.version
    answer = await _answer(request, key, before, version, _("Undone."), undo=False)
    answer.headers.update({"HX-Retarget": f"#fact-{key}", "HX-Reswap": "outerHTML"})
    return answer


def name_of(key: str) -> str:
    """The name of a fact in English, which pages translate."""
    return BY_KEY[key].name if key in BY_KEY else N_("Responsible")


async def _answer(request: Request, key: str, before: int, version: int, said: str, *, undo: bool) -> Response:
    """The value as it is read, with the toast; who gave the deal away may not see it any more."""
    deal_id = request.path_params["deal_id"]
    if not wants_fragment(request):
        return redirect(request, f"/deals/{deal_id}", done="saved")
    try:
        async with parts(request).db.read() as session:
            answer = await _shown(session, request, key)
    except NotFound:
        return redirect(request, "/board", done="saved")
    if version == before + 1:
        answer.headers["X-Version"] = f"/deals/{deal_id} {before} {version}"
    return with_toast(request, answer, said, undo=f"/deals/{deal_id}/facts/{key}/undo" if undo else "")


def _check_seen(form: Form, deal: Deal, key: str) -> None:
    if "seen" in form.values and form["seen"] != _stored(deal, key):
        raise Invalid(key, "deals.fact_stale", "Somebody has changed this meanwhile: compare, then save again.")


def _key(request: Request) -> str:
    key = str(request.path_params["fact"])
    if key not in FACTS:
        raise NotFound("fields.not_found", "There is no such field.")
    return key


async def _set(session: AsyncSession, request: Request, key: str, value: Value | int) -> Deal:
    who, deal_id, at = viewer(request), request.path_params["deal_id"], now(request)
    if key == RESPONSIBLE:
        chosen = value if isinstance(value, int) else None
        if chosen is None:
            raise Invalid(key, "deals.responsible", "Choose who is responsible.")
        return await edit_deal(session, who, deal_id, version=None, now=at, responsible_id=chosen)
    assert not isinstance(value, int)
    return await edit_deal(session, who, deal_id, version=None, now=at, values={key: value})


def _typed(form: Form, key: str) -> Value:
    return form.utc_time(key) if key in MOMENTS else form[key]


def _text(value: Any) -> str:
    """A value of the audit log or of a deal as one text, for comparing."""
    if isinstance(value, datetime):
        return value.isoformat()
    return "" if value is None else str(value)


def _stored(deal: Deal, key: str) -> str:
    return _text(getattr(deal, key))


def _again(key: str, before: Any) -> Value | int:
    """A value of the audit log as it is entered."""
    if key == RESPONSIBLE:
        return int(before)
    return datetime.fromisoformat(before) if key in MOMENTS and before else before or ("" if key == "source" else None)


async def _history(session: AsyncSession, deal: Deal, key: str) -> list[FactChange]:
    if key == RESPONSIBLE:
        given = await list_assignments(session, "deal", deal.id or 0)
        return [FactChange(entry, entry.data.get("before"), entry.data.get("after")) for entry in given]
    edits = await list_edits(session, "deal", deal.id or 0, key)
    return [FactChange(edit, edit.data["changed"][key]["before"], edit.data["changed"][key]["after"]) for edit in edits]


async def _shown(session: AsyncSession, request: Request, key: str) -> HTMLResponse:
    row = await access_deal_row(session, viewer(request), request.path_params["deal_id"])
    return show(
        request,
        "deals/_fact.html",
        deal=row.deal,
        row=row,
        key=key,
        edits=can(viewer(request), Permission.DEALS_EDIT),
        required=Requirements.load(row.stage.requires).fields,
        focus=True,
    )


async def _form(
    session: AsyncSession, request: Request, key: str, form: Form | None = None, status: int = 200
) -> HTMLResponse:
    deal = await access_deal(session, viewer(request), request.path_params["deal_id"])
    value = getattr(deal, key)
    return show(
        request,
        "deals/_fact_form.html",
        status=status,
        deal=deal,
        key=key,
        fact_name=name_of(key),
        form=form or filled({key: local_text(value) if key in MOMENTS else value}),
        seen=_stored(deal, key),
        people=choices(await colleagues(session, viewer(request))),
        history=await _history(session, deal, key),
        people_of=await load_directory(session),
    )
