"""Settings: the catalogue of products, and the rules of lines."""

from collections.abc import AsyncIterator
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.fields.rules import read_decimal
from pbxcrm.money.line_drafts import SameProduct
from pbxcrm.money.models import Product, ProductKind
from pbxcrm.money.option_actions import KEYS, change_line_options
from pbxcrm.money.product_actions import ProductDraft, add_product, change_product, retire_product
from pbxcrm.money.queries import ProductFilter, access_product, list_groups, list_products, list_templates, list_units
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.runtime_options import Options, load_options
from web import money_words
from web.answers import redirect
from web.cursors import next_of_id, read_id
from web.exports import csv_stream, xlsx_stream
from web.forms import Form, filled, read_form
from web.i18n import N_
from web.i18n import gettext as _
from web.pages.common import LISTED, address, asked_text, show, version_of
from web.parts import now, parts, viewer
from web.two_tabs import check_unchanged, drawn, keep_typed

PATH = "/settings/products"
KINDS = {ProductKind.GOODS.value: N_("Goods"), ProductKind.SERVICE.value: N_("Service")}
SAME = {
    SameProduct.SUM.value: N_("add the quantity to its line"),
    SameProduct.ADD.value: N_("add a second line"),
    SameProduct.SKIP.value: N_("leave the deal as it is"),
}
COLUMNS = (
    N_("SKU"), N_("Name of the product"), N_("Group"), N_("Kind"), N_("Unit"), N_("Price"), N_("Currency"), N_("VAT, %"),
    N_("Offered no more"),
)  # fmt: skip
BATCH = 500  # rows of a file that are read at once
UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY


async def listed(request: Request) -> Response:
    """``GET /settings/products?q=&group=&retired=&cursor=``; with ``format`` csv or xlsx a file of what is found."""
    kind = request.query_params.get("format")
    if kind in {"csv", "xlsx"}:
        make = csv_stream if kind == "csv" else xlsx_stream
        return await make(_("Products"), [_(title) for title in COLUMNS], _batches(request))
    return await _list_page(request)


async def _batches(request: Request) -> AsyncIterator[list[list[Any]]]:
    last: Product | None = None
    while True:
        async with parts(request).db.read() as session:
            rows = await list_products(session, _asked(request), after=last, limit=BATCH)
        yield [
            [
                row.sku or "",
                row.name,
                row.group_name,
                _(KINDS[row.kind]),
                row.unit,
                row.price,
                row.currency,
                row.vat_rate,
                _("yes") if row.retired_at is not None else _("no"),
            ]
            for row in rows
        ]
        if len(rows) < BATCH:
            return
        last = rows[-1]


def _asked(request: Request) -> ProductFilter:
    return ProductFilter(
        asked_text(request), asked_text(request, "group") or None, retired="retired" in request.query_params
    )


async def options(request: Request) -> Response:
    """``POST /settings/products/options``: the limits of discounts in per cent, and ``same_product``."""
    form = await read_form(request)
    try:
        values = {key: _whole(form, key) for key in ("discount_limit_seller", "discount_limit_manager")}
        async with parts(request).db.write() as session:
            check_unchanged(form, _options_form(await load_options(session)))
            await change_line_options(
                session, viewer(request), {**values, "same_product": form["same_product"]}, now(request)
            )
    except Invalid as error:
        form.refuse(error)
        return await _list_page(request, form, UNPROCESSABLE)
    return redirect(request, PATH, done="saved")


def _options_form(known: Options) -> Form:
    return drawn({key: getattr(known, key) for key in KEYS})


async def new(request: Request) -> Response:
    """``GET /settings/products/new``."""
    return await _product_page(request, filled({"kind": ProductKind.GOODS.value, "vat_rate": "20"}), None)


async def create(request: Request) -> Response:
    """``POST /settings/products/new``."""
    form = await read_form(request)
    try:
        async with parts(request).db.write() as session:
            await add_product(
                session, viewer(request), _draft(form), now(request), currency=parts(request).settings.currency
            )
    except Invalid as error:
        form.refuse(error)
        return await _product_page(request, form, None, UNPROCESSABLE)
    return redirect(request, PATH, done="added")


async def one(request: Request) -> Response:
    """``GET /settings/products/{product_id}``: its form."""
    async with parts(request).db.read() as session:
        product = await access_product(session, request.path_params["product_id"])
    values = {
        "name": product.name,
        "sku": product.sku,
        "group": product.group_name,
        "kind": product.kind,
        "unit": product.unit,
        "price": money_words.plain(product.price),
        "vat_rate": money_words.plain(product.vat_rate),
        "version": product.version,
    }
    return await _product_page(request, filled(values), product)


async def save(request: Request) -> Response:
    """``POST /settings/products/{product_id}``."""
    form, product_id = await read_form(request), request.path_params["product_id"]
    async with parts(request).db.read() as session:
        product = await access_product(session, product_id)
    try:
        version = version_of(form)
        async with parts(request).db.write() as session:
            await change_product(session, viewer(request), product_id, _draft(form), now(request), version=version)
    except Invalid as error:
        form.refuse(error)
        return await _product_page(request, form, product, UNPROCESSABLE)
    except Conflict as error:
        return await _product_page(request, form, product, keep_typed(form, error, product.version))
    return redirect(request, PATH, done="saved")


async def retire(request: Request) -> Response:
    """``POST /settings/products/{product_id}/retire``: offer it no more, or with ``again`` again."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        await retire_product(
            session,
            viewer(request),
            request.path_params["product_id"],
            now(request),
            is_retired=not form.ticked("again"),
        )
    return redirect(request, PATH, done="saved")


def _draft(form: Form) -> ProductDraft:
    return ProductDraft(
        form["name"],
        _number(form, "price"),
        form["sku"],
        form["group"],
        form["kind"],
        form["unit"],
        _number(form, "vat_rate"),
    )


def _number(form: Form, name: str) -> Decimal | None:
    found = read_decimal(form[name]) if form[name] else None
    if form[name] and found is None:
        raise Invalid(name, "form.decimal", "Write a number.")
    return found


def _whole(form: Form, name: str) -> int:
    found = form.number(name)
    if found is None:
        raise Invalid(name, "money.limit", "Write a whole number from 0 to 100.")
    return found


async def _list_page(request: Request, form: Form | None = None, status: int = HTTPStatus.OK) -> HTMLResponse:
    asked = _asked(request)
    async with parts(request).db.read() as session:
        after_id = read_id(request.query_params.get("cursor", ""))
        after = await session.get(Product, after_id) if after_id is not None else None
        rows = await list_products(session, asked, after=after, limit=LISTED + 1)
        known = await load_options(session)
        more = address(request, cursor=next_of_id(rows[LISTED - 1].id or 0)) if len(rows) > LISTED else ""
        return show(
            request,
            "products/list.html",
            fragment="products/_rows.html",
            status=status,
            rows=rows[:LISTED],
            more_href=more,
            text=asked.text,
            group=asked.group or "",
            retired=asked.retired,
            files={kind: address(request, format=kind, cursor="") for kind in ("csv", "xlsx")},
            groups=await list_groups(session),
            templates=await list_templates(session),
            archived=await list_templates(session, archived=True),
            kinds=KINDS,
            same=[(key, _(word)) for key, word in SAME.items()],
            form=form or _options_form(known),
        )


async def _product_page(
    request: Request, form: Form, product: Product | None, status: int = HTTPStatus.OK
) -> HTMLResponse:
    async with parts(request).db.read() as session:
        return show(
            request,
            "products/product.html",
            status=status,
            form=form,
            product=product,
            kinds=[(key, _(word)) for key, word in KINDS.items()],
            groups=await list_groups(session),
            units=await list_units(session),
            currency=product.currency if product is not None else parts(request).settings.currency,
        )
