"""Custom fields on pages: defined, put in order, filled in where they stand, undone; two at once; a definition changed meanwhile."""

import re

import pytest
from sqlmodel import select

from pbxcrm.deals.models import Deal
from pbxcrm.deals.seed import seed
from pbxcrm.fields.models import FieldDefinition
from pbxcrm.shared.db import Database
from tests.integration.web.conftest import Browsers

HTMX = {"hx-request": "true"}


@pytest.fixture(autouse=True)
async def _seeded(database: Database) -> None:
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")


async def fields_of(database: Database) -> dict[str, FieldDefinition]:
    async with database.read() as session:
        return {each.name: each for each in (await session.exec(select(FieldDefinition))).all()}


async def test_a_field_is_defined_filled_in_and_undone(browser: Browsers, database: Database) -> None:
    admin, iryna = await browser("admin"), await browser("iryna")
    assert (await iryna.get("/settings/fields")).status_code == 403
    assert "No fields yet" in (await admin.get("/settings/fields")).text
    form = {
        "entity": "deal",
        "name": "Material",
        "field_kind": "choice",
        "option_id": ["", "", ""],
        "option_name": ["Wood", "Steel", ""],
    }
    nameless = await admin.post("/settings/fields/new", data={**form, "name": ""}, headers=HTMX)
    assert nameless.status_code == 422
    assert 'value="Steel"' in nameless.text  # nothing typed is lost
    assert (await admin.post("/settings/fields/new", data={**form, "filterable": "1"})).status_code == 303
    assert (
        await admin.post("/settings/fields/new", data={"entity": "deal", "name": "Area", "field_kind": "number"})
    ).status_code == 303
    known = await fields_of(database)
    assert [option["name"] for option in known["Material"].options] == ["Wood", "Steel"]
    page = (await admin.get("/settings/fields")).text
    assert page.index("Material") < page.index("Area")
    await admin.post(f"/settings/fields/{known['Area'].id}/place", data={"position": "0", "section_id": ""})
    page = (await admin.get("/settings/fields")).text
    assert page.index("Area") < page.index("Material")
    await admin.post("/settings/fields/sections", data={"entity": "deal", "name": "Room"})
    page = (await admin.get("/settings/fields")).text
    [section] = re.findall(r'name="section_id" value="(\d+)"', page)
    await admin.post(f"/settings/fields/{known['Area'].id}/place", data={"position": "0", "section_id": section})

    made = await iryna.post("/deals/new", data={"title": "Kitchen"})
    path = made.headers["location"]
    page = (await iryna.get(path)).text
    assert page.index("Material") < page.index("Room")  # without a heading first
    one = f"{path}/fields/{known['Area'].id}"
    assert 'name="fields.' in (await iryna.get(one, headers=HTMX)).text
    wrong = await iryna.post(one, data={f"fields.{known['Area'].key}": "big", "seen": "null"}, headers=HTMX)
    assert wrong.status_code == 422
    assert 'value="big"' in wrong.text
    assert "Write a number" in wrong.text
    saved = await iryna.post(one, data={f"fields.{known['Area'].key}": "30,5", "seen": "null"}, headers=HTMX)
    assert saved.status_code == 200
    assert "30.5" in saved.text
    assert f"{one}/undo" in saved.text
    assert "30.5" in (await iryna.get(path)).text  # on the card, and in its timeline
    late = await iryna.post(one, data={f"fields.{known['Area'].key}": "40", "seen": "null"}, headers=HTMX)
    assert late.status_code == 409  # somebody else filled it in since the form was opened
    assert 'value="40"' in late.text
    assert "There now:" in late.text
    undone = await iryna.post(f"{one}/undo", headers=HTMX)
    assert undone.status_code == 200
    async with database.read() as session:
        deal = (await session.exec(select(Deal).where(Deal.title == "Kitchen"))).one()
        assert deal.custom == {}
    assert (await iryna.post(f"{one}/undo", headers=HTMX)).status_code == 200  # the undo of the undo
    assert "30.5" in (await iryna.get(one, headers=HTMX)).text  # its history


async def test_a_definition_that_changed_meanwhile_loses_nothing(browser: Browsers, database: Database) -> None:
    admin, iryna = await browser("admin"), await browser("iryna")
    form = {
        "entity": "deal",
        "name": "Material",
        "field_kind": "choice",
        "option_id": ["", ""],
        "option_name": ["Wood", "Steel"],
    }
    await admin.post("/settings/fields/new", data=form)
    field = (await fields_of(database))["Material"]
    path = (await iryna.post("/deals/new", data={"title": "Kitchen"})).headers["location"]
    one, name = f"{path}/fields/{field.id}", f"fields.{field.key}"
    # A form is open; meanwhile the option is retired.
    edit = {**form, "version": str(field.version), "option_id": ["1", "2"], "retired": "1"}
    assert (await admin.post(f"/settings/fields/{field.id}", data=edit)).status_code == 303
    refused = await iryna.post(one, data={name: "1", "seen": "null"}, headers=HTMX)
    assert refused.status_code == 422
    assert "no longer offered" in refused.text
    # Two administrators: the second gets the form again, with what they typed.
    second = await admin.post(f"/settings/fields/{field.id}", data={**edit, "name": "Matter"}, headers=HTMX)
    assert second.status_code == 409
    assert 'value="Matter"' in second.text
    assert "Somebody else has changed this field" in second.text
    # The field is archived: the value stays, and it can be put back.
    assert (await iryna.post(one, data={name: "2", "seen": "null"}, headers=HTMX)).status_code == 200
    assert (await admin.post(f"/settings/fields/{field.id}", data={"act": "archive"})).status_code == 303
    assert "Material" not in re.sub(r"<ol class=.timeline.*", "", (await iryna.get(path)).text, flags=re.DOTALL)
    assert (await iryna.post(one, data={name: "1", "seen": "2"}, headers=HTMX)).status_code == 404
    assert (await admin.post(f"/settings/fields/{field.id}", data={"act": "restore"})).status_code == 303
    assert "Steel" in (await iryna.get(path)).text


async def test_a_gate_asks_for_the_field_and_completes_the_move(browser: Browsers, database: Database) -> None:
    admin, iryna = await browser("admin"), await browser("iryna")
    path = (await iryna.post("/deals/new", data={"title": "Kitchen"})).headers["location"]
    target = re.findall(r'name="stage_id" value="(\d+)"', (await iryna.get(path)).text)[1]
    await admin.post(
        "/settings/fields/new",
        data={"entity": "deal", "name": "Area", "field_kind": "number", "stages_required": target},
    )
    [field] = (await fields_of(database)).values()
    refused = await iryna.post(f"{path}/move", data={"stage_id": target, "version": "1"}, headers=HTMX)
    assert refused.status_code == 422
    assert f'name="fields.{field.key}"' in refused.text
    asked = {"stage_id": target, "version": "1", "asked": f"field.{field.key}"}
    wrong = await iryna.post(f"{path}/move", data={**asked, f"fields.{field.key}": "big"}, headers=HTMX)
    assert wrong.status_code == 422
    assert 'value="big"' in wrong.text
    # The field is archived while the form is open: what was typed is said once, and the act goes on without it.
    assert (await admin.post(f"/settings/fields/{field.id}", data={"act": "archive"})).status_code == 303
    gone = await iryna.post(f"{path}/move", data={**asked, f"fields.{field.key}": "30"}, headers=HTMX)
    assert gone.status_code == 422
    assert "was put into the archive meanwhile. You had entered: 30." in gone.text
    assert f'name="fields.{field.key}"' not in gone.text
    assert (await admin.post(f"/settings/fields/{field.id}", data={"act": "restore"})).status_code == 303
    done = await iryna.post(f"{path}/move", data={**asked, f"fields.{field.key}": "30"}, headers=HTMX)
    assert done.status_code == 200
    async with database.read() as session:
        deal = (await session.exec(select(Deal).where(Deal.title == "Kitchen"))).one()
    assert (deal.stage_id, deal.custom) == (int(target), {str(field.id): 30_000_000})


async def test_hostile_text_is_shown_as_text(browser: Browsers, database: Database) -> None:
    admin, iryna = await browser("admin"), await browser("iryna")
    await admin.post("/settings/fields/new", data={"entity": "deal", "name": "<b>Bold</b>", "field_kind": "long_text"})
    [field] = (await fields_of(database)).values()
    path = (await iryna.post("/deals/new", data={"title": "Kitchen"})).headers["location"]
    evil = "<script>alert(1)</script>\n=cmd|' /C calc'!A0 שלום 🙂"
    await iryna.post(f"{path}/fields/{field.id}", data={f"fields.{field.key}": evil, "seen": "null"}, headers=HTMX)
    page = (await iryna.get(path)).text
    assert "<script>alert(1)" not in page
    assert "<b>Bold" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "שלום 🙂" in page


async def test_a_field_by_a_formula_is_checked_while_it_is_typed_and_nobody_fills_it_in(
    browser: Browsers, database: Database
) -> None:
    admin, iryna = await browser("admin"), await browser("iryna")
    new = {"entity": "deal", "field_kind": "number"}
    await admin.post("/settings/fields/new", data=new | {"name": "Area", "key": "area"})
    path = (await iryna.post("/deals/new", data={"title": "Kitchen", "fields.area": "30"})).headers["location"]
    check = "/settings/fields/check"
    said = (await admin.get(check, params=new | {"formula": "area * 1.1"}, headers=HTMX)).text
    assert "Kitchen" in said
    assert "33" in said
    assert "character 8" in (await admin.get(check, params=new | {"formula": "area * missing"}, headers=HTMX)).text
    assert (await iryna.get(check, params=new | {"formula": "1"})).status_code == 403
    wrong = await admin.post("/settings/fields/new", data=new | {"name": "Stock", "formula": "area /"}, headers=HTMX)
    assert wrong.status_code == 422
    assert "area /" in wrong.text
    made = await admin.post(
        "/settings/fields/new", data=new | {"name": "Stock", "key": "stock", "formula": "60 / area"}
    )
    assert made.status_code == 303
    known = await fields_of(database)
    one = f"{path}/fields/{known['Area'].id}"
    assert (await iryna.post(one, data={"fields.area": "20", "seen": "30000000"}, headers=HTMX)).status_code == 200
    card = (await iryna.get(path)).text
    assert f'id="field-{known["Stock"].id}"' in card
    assert f'/fields/{known["Stock"].id}"' not in card  # no way to change it
    form = (await iryna.get("/deals/new")).text
    assert 'name="fields.area"' in form
    assert 'name="fields.stock"' not in form
    refused = await iryna.post(
        f"{path}/fields/{known['Stock'].id}", data={"fields.stock": "9", "seen": "3000000"}, headers=HTMX
    )
    assert refused.status_code == 422
    await iryna.post(one, data={"fields.area": "0", "seen": "20000000"}, headers=HTMX)
    assert "division by zero" in (await iryna.get(path)).text
