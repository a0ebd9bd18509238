"""Custom fields in the forms of new deals and clients: asked there, kept when something is wrong, stored with the row."""

from decimal import Decimal

import pytest
from sqlmodel import col, select

from pbxcrm.calls.models import Call, Line
from pbxcrm.contacts.models import Company, Contact
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.deals.pipeline_rules import Requirements
from pbxcrm.fields.actions import FieldDraft, create_field
from pbxcrm.fields.models import FieldDefinition, FieldEntity
from pbxcrm.fields.queries import load_fields
from pbxcrm.reactions.intake import Intake
from pbxcrm.tasks.models import Task
from tests.calls import NOON, FactStory, batch
from tests.integration.web.desks import HTMX, BrowserDesk, Browsers, browsers, desk

__all__ = ["browsers", "desk"]


async def add_fields(desk: BrowserDesk) -> None:
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        for entity, key, kind in (
            (FieldEntity.DEAL, "area", "number"),
            (FieldEntity.DEAL, "colour", "text"),
            (FieldEntity.CONTACT, "born", "date"),
            (FieldEntity.COMPANY, "founded", "date"),
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


async def test_a_new_deal_in_a_later_stage_is_asked_what_that_stage_asks(browsers: Browsers, desk: BrowserDesk) -> None:
    """In the form of every gate; nothing that was typed is lost, and the next task comes with the deal or neither comes."""
    await add_fields(desk)
    async with desk.database.write() as session:
        open_stages = select(Stage).where(Stage.kind == "open").order_by(col(Stage.position))
        later = (await session.exec(open_stages)).all()[1]
        later.requires = Requirements(fields=("source", "area", "event_at"), next_task=True).stored()
    ivan = await browsers("ivan")
    data = {
        "title": "A hall",
        "amount": "700",
        "contact": "Nadia New",
        "stage_id": str(later.id),
        "fields.colour": "Oak",
    }
    asked = await ivan.post("/deals/new", data=data, headers=HTMX)
    assert (asked.status_code, asked.headers["hx-retarget"]) == (422, "#complete-body")
    for name in ("source", "fields.area", "next_title", "next_due_at"):
        assert f'name="{name}"' in asked.text
    for name, value in data.items():
        assert f'<input type="hidden" name="{name}" value="{value}">' in asked.text
    assert 'type="datetime-local" value="" required' in asked.text  # a moment is chosen, not typed
    answers = data | {
        "asked": "field.source field.area field.event_at next_task", "source": "Fair", "fields.area": "many",
        "event_at": "2026-12-01T10:00",
    }  # fmt: skip
    wrong = await ivan.post("/deals/new", data=answers | {"next_title": "Call", "quick": "2h"}, headers=HTMX)
    assert wrong.status_code == 422
    assert "Write a number" in wrong.text
    assert "many" in wrong.text
    unknown = await ivan.post(
        "/deals/new", data=answers | {"fields.area": "1", "amount": "x", "quick": "2h"}, headers=HTMX
    )
    assert "Write the amount as a number" in unknown.text  # although this form does not ask for it
    async with desk.database.read() as session:
        assert (await session.exec(select(Deal).where(Deal.title == "A hall"))).all() == []
        assert (await session.exec(select(Contact).where(Contact.name == "Nadia New"))).all() == []
    made = await ivan.post("/deals/new", data=answers | {"fields.area": "12", "next_title": "Call", "quick": "2h"})
    assert made.status_code == 303, made.text
    async with desk.database.read() as session:
        deal = (await session.exec(select(Deal).where(Deal.title == "A hall"))).one()
        task = (await session.exec(select(Task).where(Task.deal_id == deal.id))).one()
    assert deal.event_at is not None
    assert (deal.stage_id, deal.source, deal.amount, task.title) == (later.id, "Fair", Decimal(700), "Call")


async def test_a_stage_that_asks_for_files_says_how_a_new_deal_gets_there(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    async with desk.database.write() as session:
        open_stages = select(Stage).where(Stage.kind == "open").order_by(col(Stage.position))
        later = (await session.exec(open_stages)).all()[1]
        later.requires = Requirements(files=1).stored()
    ivan = await browsers("ivan")
    page = await ivan.post("/deals/new", data={"title": "A hall", "stage_id": str(later.id)}, headers=HTMX)
    assert page.status_code == 422
    assert "hx-retarget" not in page.headers
    assert "Make it in an earlier stage, attach them, and then move it." in page.text
    assert 'value="A hall"' in page.text


async def test_a_caller_who_is_named_with_a_deal_is_asked_too(browsers: Browsers, desk: BrowserDesk) -> None:
    """The dock's “New client and deal” goes into the first stage of work."""
    async with desk.database.write() as session:
        for stage in (await session.exec(select(Stage).where(Stage.kind == "open"))).all():
            stage.requires = Requirements(fields=("source",)).stored()
        session.add(Line(name="Questions", did="100", makes_deals=False))
    story = FactStory("9.9", client="+380501119999", at=desk.now).ring("101").answer("101").wait(9).end()
    await Intake(desk.database, desk.settings).apply(batch(story))
    async with desk.database.read() as session:
        call = (await session.exec(select(Call).where(Call.linkedid == "9.9"))).one()
    ivan = await browsers("ivan")
    data = {"contact": "Nadia New", "contact_id": "", "deal": "1"}
    asked = await ivan.post(f"/dock/{call.id}/client", data=data, headers=HTMX)
    assert (asked.status_code, asked.headers["hx-retarget"]) == (422, "#complete-body")
    assert 'name="source"' in asked.text
    answers = data | {"asked": "field.source", "source": "Fair"}
    assert (await ivan.post(f"/dock/{call.id}/client", data=answers, headers=HTMX)).status_code == 200
    async with desk.database.read() as session:
        deal = (await session.exec(select(Deal).where(Deal.title == "Nadia New"))).one()
    assert deal.source == "Fair"


@pytest.mark.parametrize(("typed", "status"), [("1994-05-06", 303), ("someday", 422)])
async def test_a_new_company_has_fields_at_once(browsers: Browsers, desk: BrowserDesk, typed: str, status: int) -> None:
    await add_fields(desk)
    ivan = await browsers("ivan")
    assert 'name="fields.founded"' in (await ivan.get("/companies/new")).text
    answer = await ivan.post("/companies/new", data={"name": "Oak works", "fields.founded": typed})
    assert answer.status_code == status, answer.text
    async with desk.database.read() as session:
        keys = (await load_fields(session)).by_key(FieldEntity.COMPANY)
        found = (await session.exec(select(Company).where(Company.name == "Oak works"))).all()
    if status == 422:
        assert 'value="someday"' in answer.text  # nothing typed is lost
        assert found == []
    else:
        assert [company.custom[str(keys["founded"].id)] for company in found] == [typed]


@pytest.mark.parametrize(
    ("path", "key", "base"),
    [
        ("/deals/new", "colour", {"title": "A hall"}),
        ("/contacts/new", "born", {"name": "Ada"}),
        ("/companies/new", "founded", {"name": "Brick"}),
    ],
)
async def test_what_was_typed_into_a_field_that_is_put_away_meanwhile_is_said(
    browsers: Browsers, desk: BrowserDesk, path: str, key: str, base: dict[str, str]
) -> None:
    await add_fields(desk)
    ivan = await browsers("ivan")
    assert f'name="fields.{key}"' in (await ivan.get(path)).text
    async with desk.database.write() as session:
        definition = (await session.exec(select(FieldDefinition).where(FieldDefinition.key == key))).one()
        definition.archived_at = NOON
    refused = await ivan.post(path, data={**base, f"fields.{key}": "1999-05-04"}, headers=HTMX)
    assert refused.status_code == 422
    assert "was put into the archive meanwhile. You had entered: 1999-05-04." in refused.text
    assert f'value="{next(iter(base.values()))}"' in refused.text
    assert f'name="fields.{key}"' not in refused.text
    again = await ivan.post(path, data=base, headers=HTMX)
    assert again.status_code in {200, 303}, again.text
