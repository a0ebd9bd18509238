"""The rules of distribution: who gets new deals that are nobody's yet, in their order, and a dry run on last week's calls."""

from http import HTTPStatus

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.deals.list_queries import list_figures
from pbxcrm.distribution.cases import read_query
from pbxcrm.distribution.queries import ReadyRule, access_rule, load_rules
from pbxcrm.distribution.rule_actions import (
    check_rule,
    delete_rule,
    move_rule,
    restore_rule,
    save_rule,
    switch_rule,
)
from pbxcrm.distribution.trial_queries import try_last_week
from pbxcrm.shared.errors import Conflict, Invalid
from web import distribution_form as forms
from web.answers import redirect, with_toast
from web.deal_filters import matching
from web.forms import Form, read_form
from web.i18n import gettext as _
from web.pages.common import show, version_of
from web.parts import now, parts, viewer, wants_fragment
from web.two_tabs import keep_typed

PATH = "/settings/distribution"
NOBODYS = "who=nobody&status=open"  # the list of deals that nobody has yet


async def listed(request: Request) -> Response:
    """``GET /settings/distribution``: all rules in their order, each as sentences."""
    return await _list(request)


async def _list(request: Request) -> HTMLResponse:
    async with parts(request).db.read() as session:
        rules = await load_rules(session)
        names = await forms.load_rule_names(session)
        nobodys = await list_figures(session, await matching(session, request, NOBODYS))
    return show(
        request,
        "distribution/list.html",
        fragment="distribution/_list.html",
        rows=[(ready, forms.rule_said(ready, names)) for ready in rules],
        any_on=any(ready.rule.is_on for ready in rules),
        nobodys=nobodys,
        nobodys_query=NOBODYS,
    )


async def new(request: Request) -> Response:
    """``GET /settings/distribution/new``: an empty form."""
    return await _form_page(request, forms.begun(), None)


async def one(request: Request) -> Response:
    """``GET /settings/distribution/{id}``: the form of a rule."""
    async with parts(request).db.read() as session:
        rule = await access_rule(session, request.path_params["rule_id"])
        names = await forms.load_rule_names(session)
    return await _form_page(request, forms.form_of(rule, names), rule.id)


async def save(request: Request) -> Response:
    """``POST /settings/distribution/new`` and ``/settings/distribution/{id}``."""
    form, rule_id = await read_form(request), request.path_params.get("rule_id")
    try:
        async with parts(request).db.write() as session:
            change = forms.change_typed(form)
            version = version_of(form) if rule_id is not None else None
            await save_rule(session, viewer(request), rule_id, change, version=version, now=now(request))
    except Invalid as error:
        form.refuse(error)
        return await _form_page(request, form, rule_id, HTTPStatus.UNPROCESSABLE_ENTITY)
    except Conflict as error:
        if rule_id is None:
            raise
        async with parts(request).db.read() as session:
            stored = await access_rule(session, rule_id)
        return await _form_page(request, form, rule_id, keep_typed(form, error, stored.version))
    return redirect(request, PATH, done="saved")


async def preview(request: Request) -> Response:
    """``POST /settings/distribution/preview``: the typed rule in words."""
    form = await read_form(request)
    async with parts(request).db.read() as session:
        names = await forms.load_rule_names(session)
    return show(request, "distribution/_preview.html", sentences=_said(form, names))


async def try_typed(request: Request) -> Response:
    """``POST /settings/distribution/try`` with the form, and ``rule`` (the id of a stored one): last week with what is typed."""
    form = await read_form(request)
    rule_id = form.id("rule")
    try:
        async with parts(request).db.read() as session:
            if rule_id is not None:
                await access_rule(session, rule_id)
            names = await forms.load_rule_names(session)
            draft = await _draft(session, form, names)
            draft.rule.id = rule_id
            found = await try_last_week(session, viewer(request), now(request), draft=draft)
    except Invalid as error:
        form.refuse(error)
        response = await _form_page(request, form, rule_id, HTTPStatus.UNPROCESSABLE_ENTITY)
        response.headers.update({"HX-Retarget": "#rule-form", "HX-Reswap": "outerHTML"})
        return response
    return show(request, "distribution/_trial.html", trial=found)


async def trial(request: Request) -> Response:
    """``GET /settings/distribution/trial``: who would have got last week's calls by the rules as they are, beside who did."""
    async with parts(request).db.read() as session:
        found = await try_last_week(session, viewer(request), now(request))
        rules = await load_rules(session)
    return show(request, "distribution/trial.html", trial=found, any_on=any(each.rule.is_on for each in rules))


async def move(request: Request) -> Response:
    """``POST /settings/distribution/{id}/move`` with ``up`` or ``down``."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        rule_id = request.path_params["rule_id"]
        await move_rule(session, viewer(request), rule_id, up=form["to"] == "up", now=now(request))
    return redirect(request, PATH)


async def switch(request: Request) -> Response:
    """``POST /settings/distribution/{id}/switch`` with ``to``: ``on`` or ``off``."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        rule_id = request.path_params["rule_id"]
        await switch_rule(session, viewer(request), rule_id, on=form["to"] == "on", now=now(request))
    return redirect(request, PATH)


async def delete(request: Request) -> Response:
    """``POST /settings/distribution/{id}/delete``, with undo."""
    rule_id = request.path_params["rule_id"]
    async with parts(request).db.write() as session:
        rule = await delete_rule(session, viewer(request), rule_id, now(request))
    if not wants_fragment(request):
        return redirect(request, PATH, done="deleted")
    said = _("The rule “{name}” has been deleted.").format(name=rule.name)
    return with_toast(request, await _list(request), said, undo=f"{PATH}/{rule_id}/restore")


async def restore(request: Request) -> Response:
    """``POST /settings/distribution/{id}/restore``: undo of the deletion."""
    async with parts(request).db.write() as session:
        await restore_rule(session, viewer(request), request.path_params["rule_id"], now(request))
    return redirect(request, PATH, done="saved")


async def _draft(session: AsyncSession, form: Form, names: forms.RuleNames) -> ReadyRule:
    """The typed rule, checked as one that is saved. Raises Invalid."""
    change = await check_rule(session, forms.change_typed(form))
    return ReadyRule(forms.typed_rule(change), read_query(change.query, names.terms))


def _said(form: Form, names: forms.RuleNames) -> list[str]:
    try:
        change = forms.change_typed(form)
        condition = read_query(change.query, names.terms)
    except Invalid as error:
        return [_(error.message).format(**error.params)]
    if change.method not in forms.METHODS or change.otherwise not in forms.OTHERWISE:
        return []
    return forms.rule_said(ReadyRule(forms.typed_rule(change), condition), names)


async def _form_page(request: Request, form: Form, rule_id: int | None, status: int = 200) -> HTMLResponse:
    async with parts(request).db.read() as session:
        names = await forms.load_rule_names(session)
    more = [each for each in names.inputs if "." in each.name]  # custom fields
    return show(
        request,
        "distribution/one.html",
        fragment="distribution/_form.html",
        status=status,
        form=form,
        rule_id=rule_id,
        first_inputs=[each for each in names.inputs if "." not in each.name],
        more_inputs=more,
        more_asked=any(form.all(name) or name in form.errors for each in more for name in forms.names_of(each)),
        members=forms.member_rows(form, names.people),
        methods=forms.METHODS,
        otherwise=forms.OTHERWISE,
        also=forms.also_said(form, names),
        sentences=_said(form, names),
    )
