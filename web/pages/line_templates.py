"""Settings: templates of lines, written as three short lists."""

from decimal import Decimal
from http import HTTPStatus

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.calendars.queries import load_calendars
from pbxcrm.fields.rules import read_decimal
from pbxcrm.money.models import LineTemplate, Product
from pbxcrm.money.queries import access_template, formula_names, name_for_typing, product_typed
from pbxcrm.money.template_actions import (
    AskedValue,
    TemplateDraft,
    TemplateLine,
    TriedLine,
    archive_template,
    save_template,
    try_template,
)
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.core_sql import load_by_id
from pbxcrm.shared.errors import Conflict, Invalid
from web.answers import redirect
from web.forms import Form, filled, read_form
from web.i18n import gettext as _
from web.pages.common import show
from web.parts import now, parts, viewer
from web.two_tabs import keep_typed

PATH = "/settings/products"
SEPARATOR = "|"


async def new(request: Request) -> Response:
    """``GET /settings/products/templates/new``."""
    return await _page(request, Form(), None)


async def one(request: Request) -> Response:
    """``GET /settings/products/templates/{line_template_id}``."""
    async with parts(request).db.read() as session:
        template = await access_template(session, request.path_params["line_template_id"])
        form = filled(await _typed(session, template))
    return await _page(request, form, template)


async def save(request: Request) -> Response:
    """``POST`` of either form: ``name``; ``inputs``, ``values`` and ``lines``, one in each row; ``version``."""
    form, template_id = await read_form(request), request.path_params.get("line_template_id")
    template = None
    if template_id is not None:
        async with parts(request).db.read() as session:
            template = await access_template(session, template_id)
    try:
        async with parts(request).db.write() as session:
            draft = await _draft(session, form)
            await save_template(
                session, viewer(request), template_id, draft, now(request), version=form.number("version")
            )
    except Invalid as error:
        _refuse(form, error)
        return await _page(request, form, template, HTTPStatus.UNPROCESSABLE_ENTITY)
    except Conflict as error:
        return await _page(request, form, template, keep_typed(form, error, template.version if template else 0))
    return redirect(request, PATH, done="saved" if template_id is not None else "added")


async def check(request: Request) -> Response:
    """``POST /settings/products/templates/check``: what the template that is being written gives with its usual values, or what is wrong."""
    form = await read_form(request)
    lines: list[TriedLine] = []
    total = Decimal(0)
    try:
        async with parts(request).db.read() as session:
            calendars = await load_calendars(session, await load_directory(session))
            lines, total = await try_template(
                session, await _draft(session, form), calendars.of_user(viewer(request).user_id), now(request)
            )
    except Invalid as error:
        _refuse(form, error)
    currency = parts(request).settings.currency
    return show(request, "products/_template_said.html", form=form, lines=lines, total=total, currency=currency)


async def archive(request: Request) -> Response:
    """``POST /settings/products/templates/{line_template_id}/archive``: offer it no more, or with ``again`` again."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        await archive_template(
            session,
            viewer(request),
            request.path_params["line_template_id"],
            now(request),
            is_archived=not form.ticked("again"),
        )
    return redirect(request, PATH, done="saved")


async def _draft(session: AsyncSession, form: Form) -> TemplateDraft:
    return TemplateDraft(
        form["name"],
        [_input(row) for row in _rows(form["inputs"])],
        [_value(number, row) for number, row in enumerate(_rows(form["values"]))],
        [await _line(session, number, row) for number, row in enumerate(_rows(form["lines"]))],
    )


def _refuse(form: Form, error: Invalid) -> None:
    """An error of a list says which of its lines is meant."""
    field, _dot, rest = error.field.partition(".")
    error.field = field
    form.refuse(error)
    number = rest.partition(".")[0]
    if number.isdecimal():
        form.errors[field] = _("Line {n}: {problem}").format(n=int(number) + 1, problem=form.errors[field])


def _rows(text: str) -> list[str]:
    return [row.strip() for row in text.splitlines() if row.strip()]


def _parts(row: str) -> list[str]:
    return [part.strip() for part in row.split(SEPARATOR)]


def _input(row: str) -> AskedValue:
    """``key | name | unit | value``; all but the key may be left out."""
    key, name, unit, value, *_more = [*_parts(row), "", "", ""]
    return AskedValue(key, name, unit, value)


def _value(number: int, row: str) -> tuple[str, str]:
    """``key = formula``."""
    key, equals, formula = row.partition("=")
    if not equals:
        raise Invalid(
            f"values.{number}", "line_templates.value", "Write a name, = and a formula: walls = 2 * (a + b) * h"
        )
    return key.strip(), formula.strip()


async def _line(session: AsyncSession, number: int, row: str) -> TemplateLine:
    """``product | formula`` with the SKU or name of a product, or ``text | formula | price | unit | VAT``."""
    name, formula, price, unit, rate, *_more = [*_parts(row), "", "", "", ""]
    if not price:
        return TemplateLine(formula, product_id=await _product(session, number, name))
    return TemplateLine(formula, None, name, unit, _decimal(number, price), _decimal(number, rate) if rate else None)


async def _product(session: AsyncSession, number: int, named: str) -> int | None:
    found = await product_typed(session, named)
    if found is not None:
        return found.id
    raise Invalid(
        f"lines.{number}",
        "line_templates.no_product",
        "There is no product with this SKU or name. Add its price for a text of your own.",
    )


def _decimal(number: int, typed: str) -> Decimal:
    found = read_decimal(typed)
    if found is None:
        raise Invalid(f"lines.{number}", "form.decimal", "Write a number.")
    return found


async def _typed(session: AsyncSession, template: LineTemplate) -> dict[str, object]:
    """The template as the rows of its form."""
    products = await load_by_id(session, Product, [line["product_id"] for line in template.lines])
    lines: list[str] = []
    for line in template.lines:
        product = products.get(line["product_id"])
        if product is not None:
            lines.append(f"{await name_for_typing(session, product)} | {line['formula']}")
        else:
            known = [
                line["name"].replace(SEPARATOR, "/"),
                line["formula"],
                line["price"],
                line["unit"],
                line["vat_rate"] or "",
            ]
            lines.append(" | ".join(known).rstrip(" |"))
    inputs = [
        " | ".join((each["key"], each["name"], each["unit"], each["value"])).rstrip(" |") for each in template.inputs
    ]
    return {
        "name": template.name,
        "inputs": "\n".join(inputs),
        "values": "\n".join(f"{each['key']} = {each['formula']}" for each in template.values),
        "lines": "\n".join(lines),
        "version": template.version,
    }


async def _page(
    request: Request, form: Form, template: LineTemplate | None, status: int = HTTPStatus.OK
) -> HTMLResponse:
    async with parts(request).db.read() as session:
        names = await formula_names(session)
    return show(request, "products/template.html", status=status, form=form, template=template, names=names)
