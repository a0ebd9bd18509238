"""A client who had bought before comes through a form: which step of the repeat sale failed last, and that the deal is flagged with it."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.contacts.actions import create_contact
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.actions import do_move_deal
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Deal, Stage, StageKind
from pbxcrm.deals.queries import load_funnel
from pbxcrm.flags.models import Flag
from pbxcrm.forms.actions import Arrival, Surroundings, receive
from pbxcrm.forms.models import FormRequest, RequestState, WebForm
from pbxcrm.forms.queries import list_requests
from pbxcrm.forms.rules import Answers
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.db import Database
from pbxcrm.shared.numbers import Written
from pbxcrm.shared.reasons import sentences
from pbxcrm.tasks.actions import create_task
from tests.calls import NOON
from tests.forms import ROBERTS_NUMBER, make_form
from tests.office import Office

DAY = timedelta(days=1)


async def client(session: AsyncSession, ivan: Viewer) -> Contact:
    return await create_contact(
        session,
        ivan,
        name="Robert",
        now=NOON - 90 * DAY,
        region="UA",
        phones=[ROBERTS_NUMBER],
        emails=["r@example.com"],
    )


async def deal_in(
    session: AsyncSession, ivan: Viewer, contact: Contact, title: str, kind: StageKind, at: datetime, why: str = ""
) -> Deal:
    deal = await create_deal(
        session, ivan, title=title, now=at, currency="UAH", region="UA", contact_id=contact.id,
        values={"amount": Decimal(100)}, client_number=ROBERTS_NUMBER,
    )  # fmt: skip
    funnel = await load_funnel(session)
    to = funnel.stage_of_kind(deal.pipeline_id, kind)
    assert to is not None
    stage = await session.get_one(Stage, to.id)
    people = await load_directory(session)
    await do_move_deal(session, deal, stage, at + DAY, actor=ivan, people=people, lost_reason=why)
    return deal


async def came(database: Database, form: WebForm) -> tuple[FormRequest, list[Flag]]:
    answers = Answers(name="Robert", numbers=[Written(ROBERTS_NUMBER)], message="Doors again")
    async with database.write() as session:
        request = await receive(session, form, Arrival(answers, "x" * 64), Surroundings("UA", "UAH", 1), NOON)
    async with database.read() as session:
        return request, list((await session.exec(select(Flag).order_by(col(Flag.id)))).all())


@pytest.mark.parametrize("step", ["nothing", "lost", "overdue", "not_begun", "unplanned"])
async def test_the_step_that_failed_last(database: Database, office: Office, step: str) -> None:
    async with database.read() as session:
        ivan, by = await office.viewer(session, "ivan"), await office.viewer(session, "admin")
    form = await make_form(database, by, NOON)
    async with database.write() as session:
        contact = await client(session, ivan)
        if step != "nothing":
            await deal_in(session, ivan, contact, "Doors", StageKind.WON, NOON - 80 * DAY)
        if step == "lost":
            await deal_in(session, ivan, contact, "More doors", StageKind.LOST, NOON - 20 * DAY, "Too dear")
        elif step in {"overdue", "unplanned"}:
            later = await deal_in(session, ivan, contact, "More doors", StageKind.UNSORTED, NOON - 20 * DAY)
            if step == "overdue":
                await create_task(
                    session,
                    ivan,
                    title="Call about the next order",
                    due_at=NOON - DAY,
                    now=NOON - 20 * DAY,
                    deal_id=later.id,
                )
    request, flags = await came(database, form)
    said = " ".join(sentences(request.fault))
    if step == "nothing":
        assert (request.is_existing, flags, said) == (False, [], "")
        return
    expected = {
        "lost": "“More doors” was lost",
        "overdue": "“Call about the next order”, Ivan Kravets",
        "not_begun": "“Doors” was won, and no repeat sale followed.",
        "unplanned": "“More doors” stands in",
    }[step]
    assert expected in said
    (flag,) = flags
    assert (flag.deal_id, flag.raised_by_id) == (request.deal_id, None)
    assert expected in flag.reason
    assert "instead of a repeat sale" in flag.reason
    assert request.contact_id == contact.id
    joined = step in {"overdue", "unplanned"}
    assert request.state == (RequestState.JOINED if joined else RequestState.DEAL)
    async with database.read() as session:
        listed = await list_requests(session, ivan, existing=True)
        deal = await session.get_one(Deal, request.deal_id)
    assert [each.request.id for each in listed] == [request.id]
    assert deal.responsible_id == office.id("ivan")  # whoever is responsible for the client
