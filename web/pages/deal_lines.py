"""The lines of a deal on its card: products found while typing, quantities, prices, discounts, templates, undo."""

from dataclasses import replace
from decimal import Decimal
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.deals.queries import access_deal
from pbxcrm.fields.rules import read_decimal
from pbxcrm.formulas.problems import FormulaError, FormulaProblem
from pbxcrm.money import line_actions as actions
from pbxcrm.money.discount_actions import decide_discount, withdraw_discount
from pbxcrm.money.line_drafts import LineDraft, WholeDraft
from pbxcrm.money.quantity_rules import quantity_by
from pbxcrm.money.queries import ProductFilter, access_template, formula_fields, formula_time, list_products
from pbxcrm.money.rules import read_discount
from pbxcrm.money.template_actions import apply_template
from pbxcrm.shared.errors import Invalid
from web.answers import redirect, with_toast
from web.deal_panels import lines_context
from web.forms import Form, read_form
from web.i18n import gettext as _
from web.pages.common import asked_id, asked_text, show
from web.parts import now, parts, viewer, wants_fragment

SUGGESTED = 12


async def panel(request: Request) -> Response:
    """``GET /deals/{deal_id}/lines``: the panel; with ``?template_id=`` the values that the template asks for."""
    return await _panel(request)


async def find(request: Request) -> Response:
    """``GET /deals/{deal_id}/lines/find?product=``: a few products, while one types."""
    text = asked_text(request, "product")
    async with parts(request).db.read() as session:
        deal = await access_deal(session, viewer(request), request.path_params["deal_id"])
        rows = await list_products(session, ProductFilter(text), limit=SUGGESTED) if text else []
    return show(request, "deals/_found_products.html", rows=rows, deal=deal)


async def compute(request: Request) -> Response:
    """``GET /deals/{deal_id}/lines/compute?quantity==…&input.NAME=``: what a formula gives, while it is typed; nothing for a plain number."""
    form = Form()
    form.values.update(request.query_params)
    formula = form["quantity"].removeprefix("=")
    found: Decimal | None = None
    problem: FormulaProblem | None = None
    async with parts(request).db.read() as session:
        deal = await access_deal(session, viewer(request), request.path_params["deal_id"])
        if form["quantity"].startswith("=") and formula:
            fields, around = await formula_fields(session, deal), await formula_time(session, deal, now(request))
            try:
                found = quantity_by(formula, _inputs(form), fields, around)
            except FormulaError as error:
                problem = replace(error.problem, at=error.problem.at + 1)  # after the sign =
    return show(request, "deals/_computed.html", quantity=found, problem=problem)


async def add(request: Request) -> Response:
    """``POST /deals/{deal_id}/lines``: ``product_id`` (chosen by js/choose.js) or ``product`` (a free text), ``quantity``,
    ``price``.
    """
    form, deal_id = await read_form(request), request.path_params["deal_id"]
    try:
        product_id = form.id("product_id")
        draft = _draft(form, product_id, name="" if product_id else form["product"])
        async with parts(request).db.write() as session:
            await actions.add_line(session, viewer(request), deal_id, draft, now(request))
    except Invalid as error:
        error.field = {"name": "product", "product_id": "product", "formula": "quantity"}.get(error.field, error.field)
        form.refuse(error)
        return await _panel(request, add_form=form, status=error.status)
    return await _answer(request, _("Added."))


async def change(request: Request) -> Response:
    """``POST /deals/{deal_id}/lines/{deal_line_id}``: ``name`` of a free text, ``quantity`` (a formula if it begins with =), ``price``,
    ``discount`` (``5 %`` or an amount), ``why``, ``version``, and ``input.NAME`` for the values of a formula.
    """
    form, line_id = await read_form(request), request.path_params["deal_line_id"]
    try:
        draft = _draft(form, None, name=form["name"])
        async with parts(request).db.write() as session:
            await actions.change_line(
                session,
                viewer(request),
                request.path_params["deal_id"],
                line_id,
                draft,
                now(request),
                version=form.number("version"),
            )
    except Invalid as error:
        error.field = {"formula": "quantity", "inputs": "quantity"}.get(error.field, error.field)
        form.refuse(error)
        return await _panel(request, typed={line_id: form}, status=error.status)
    return await _answer(request, _("Saved."))


async def remove(request: Request) -> Response:
    """``POST /deals/{deal_id}/lines/{deal_line_id}/remove``, with undo."""
    deal_id, line_id = request.path_params["deal_id"], request.path_params["deal_line_id"]
    async with parts(request).db.write() as session:
        await actions.remove_line(session, viewer(request), deal_id, line_id, now(request))
    return await _answer(request, _("The line has been removed."))


async def move(request: Request) -> Response:
    """``POST /deals/{deal_id}/lines/{deal_line_id}/move``: ``up`` or not."""
    form, deal_id, line_id = (
        await read_form(request),
        request.path_params["deal_id"],
        request.path_params["deal_line_id"],
    )
    async with parts(request).db.write() as session:
        await actions.move_line(session, viewer(request), deal_id, line_id, now(request), up=form.ticked("up"))
    return await _answer(request, _("Moved."))


async def discount(request: Request) -> Response:
    """``POST /deals/{deal_id}/lines/discount``: ``discount`` on the whole, ``why``."""
    form = await read_form(request)
    try:
        percent, money = _discount(form)
        draft = WholeDraft(percent, money, form["why"])
        async with parts(request).db.write() as session:
            await actions.set_whole(session, viewer(request), request.path_params["deal_id"], draft, now(request))
    except Invalid as error:
        form.refuse(error)
        return await _panel(request, whole_form=form, status=error.status)
    return await _answer(request, _("Saved."))


async def decide(request: Request) -> Response:
    """``POST /deals/{deal_id}/lines/decide``: ``deal_line_id`` (empty: the whole), ``act`` approve or refuse, ``why``."""
    form, line_id = await read_form(request), None
    try:
        line_id = form.id("deal_line_id")
        async with parts(request).db.write() as session:
            await decide_discount(
                session,
                viewer(request),
                request.path_params["deal_id"],
                line_id,
                now(request),
                is_approved=form["act"] == "approve",
                why=form["why"],
            )
    except Invalid as error:
        form.refuse(error)
        return await _panel(request, decided={line_id or 0: form}, status=error.status)
    return await _answer(request, _("Decided. Who asked is told."), undo=False)


async def withdraw(request: Request) -> Response:
    """``POST /deals/{deal_id}/lines/withdraw``: ``deal_line_id`` (empty: the whole)."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        await withdraw_discount(
            session, viewer(request), request.path_params["deal_id"], form.id("deal_line_id"), now(request)
        )
    return await _answer(request, _("The request has been taken back."))


async def template(request: Request) -> Response:
    """``POST /deals/{deal_id}/lines/template``: ``template_id`` and ``input.NAME`` for each value that it asks for."""
    form = await read_form(request)
    template_id = form.id("template_id") or 0
    try:
        async with parts(request).db.write() as session:
            await apply_template(
                session, viewer(request), request.path_params["deal_id"], template_id, _inputs(form), now(request)
            )
    except Invalid as error:
        error.field = "template_id" if error.field.startswith("lines.") else error.field.replace("inputs.", "input.")
        form.refuse(error)
        return await _panel(request, template_id=template_id, template_form=form, status=error.status)
    return await _answer(request, _("The lines have been added."))


async def undo(request: Request) -> Response:
    """``POST /deals/{deal_id}/lines/undo``: one's own latest change of the lines."""
    async with parts(request).db.write() as session:
        await actions.undo_lines(session, viewer(request), request.path_params["deal_id"], now(request))
    answer = await _answer(request, _("Undone."), undo=False)
    answer.headers.update({"HX-Retarget": "#deal-lines", "HX-Reswap": "outerHTML"})
    return answer


def _draft(form: Form, product_id: int | None, *, name: str) -> LineDraft:
    quantity, formula = form["quantity"], ""
    if quantity.startswith("="):
        quantity, formula = "", quantity[1:].strip()
    percent, money = _discount(form)
    return LineDraft(
        product_id=product_id,
        name=name,
        unit=form["unit"],
        quantity=_number(quantity, "quantity"),
        formula=formula,
        inputs=_inputs(form),
        price=_number(form["price"], "price"),
        percent=percent,
        money=money,
        why=form["why"],
    )


def _number(typed: str, field: str) -> Decimal | None:
    if not typed:
        return None
    found = read_decimal(typed)
    if found is None:
        raise Invalid(field, "form.decimal", "Write a number.")
    return found


def _discount(form: Form) -> tuple[Decimal | None, Decimal | None]:
    found = read_discount(form["discount"])
    if found is None:
        raise Invalid("discount", "money.discount_word", "Write the discount as 5 % or as an amount.")
    return found


def _inputs(form: Form) -> dict[str, str]:
    return {
        name.removeprefix("input."): value.strip() for name, value in form.values.items() if name.startswith("input.")
    }


async def _answer(request: Request, said: str, *, undo: bool = True) -> Response:
    deal_id = request.path_params["deal_id"]
    if not wants_fragment(request):
        return redirect(request, f"/deals/{deal_id}", done="saved")
    answer = await _panel(request)
    return with_toast(request, answer, said, undo=f"/deals/{deal_id}/lines/undo" if undo else "")


async def _panel(
    request: Request,
    *,
    status: int = HTTPStatus.OK,
    template_id: int | None = None,
    **forms: Form | dict[int, Form],
) -> HTMLResponse:
    """``forms``: what was typed and is wrong: ``typed`` and ``decided`` by id of the line (0: the whole), ``add_form``, ``whole_form``,
    ``template_form``.
    """
    async with parts(request).db.read() as session:
        deal = await access_deal(session, viewer(request), request.path_params["deal_id"])
        asked = template_id if template_id is not None else asked_id(request, "template_id")
        chosen = await access_template(session, asked) if asked else None
        context = await lines_context(session, request, deal)
    return show(request, "deals/_lines.html", status=status, deal=deal, **(context | {"chosen": chosen} | forms))
