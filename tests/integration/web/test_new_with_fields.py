"""Custom fields in the forms of new deals and clients: asked there, kept when something is wrong, stored with the row."""

import pytest
from sqlmodel import col, select

from pbxcrm.contacts.models import Contact
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.fields.actions import FieldDraft, create_field
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import load_fields
from tests.calls import NOON
from tests.integration.web.desks import HTMX, BrowserDesk, Browsers, browsers, desk

__all__ = ["browsers", "desk"]


async def add_fields(desk: BrowserDesk) -> None:
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        for entity, key, kind in (
            (FieldEntity.DEAL, "area", "number"),
            (FieldEntity.DEAL, "colour", "text"),
            (FieldEntity.CONTACT, "born", "date"),
        ):
            await create_field(
                session,
                admin,
                entity=entity,
                kind=kind,
                key=key,
                draft=FieldDraft(name=key.title()),
                currency="UAH",
                now=NOON,
            )


async def test_a_new_deal_asks_for_its_fields(browsers: Browsers, desk: BrowserDesk) -> None:
    await add_fields(desk)
    async with desk.database.write() as session:
        open_stages = select(Stage).where(Stage.kind == "open").order_by(col(Stage.position))
        first = (await session.exec(open_stages)).first()
        assert first is not None
        first.requires = {**first.requires, "fields": ["area"]}
    ivan = await browsers("ivan")
    page = (await ivan.get("/deals/new")).text
    asked, _fold, more = page.partition("More fields")
    assert 'name="fields.area"' in asked
    assert 'name="fields.colour"' in more
    data = {"title": "A hall", "stage_id": str(first.id), "fields.area": "much", "fields.colour": "Dark oak"}
    wrong = await ivan.post("/deals/new", data=data, headers=HTMX)
    assert wrong.status_code == 422
    assert 'value="Dark oak"' in wrong.text  # nothing typed is lost
    assert "Write a number" in wrong.text
    made = await ivan.post("/deals/new", data=data | {"fields.area": "12,5"})
    assert made.status_code == 303, made.text
    async with desk.database.read() as session:
        keys = (await load_fields(session)).by_key(FieldEntity.DEAL)
        deal = (await session.exec(select(Deal).where(Deal.title == "A hall"))).one()
    assert deal.custom[str(keys["area"].id)] == 12_500_000
    assert deal.custom[str(keys["colour"].id)] == "Dark oak"


@pytest.mark.parametrize(("typed", "status"), [("1980-02-03", 303), ("someday", 422)])
async def test_a_new_client_has_fields_at_once(browsers: Browsers, desk: BrowserDesk, typed: str, status: int) -> None:
    await add_fields(desk)
    ivan = await browsers("ivan")
    assert 'name="fields.born"' in (await ivan.get("/contacts/new")).text
    answer = await ivan.post("/contacts/new", data={"name": "Nadia New", "fields.born": typed})
    assert answer.status_code == status
    async with desk.database.read() as session:
        found = (await session.exec(select(Contact).where(Contact.name == "Nadia New"))).first()
    assert (found is not None) == (status == 303)
    assert found is None or "1980-02-03" in found.custom.values()
