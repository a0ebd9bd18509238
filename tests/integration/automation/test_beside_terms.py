"""Conditions over the calendar of the team, the client, the company and the line of a call."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlmodel import select

from pbxcrm.automation.facts import load_facts, rule_terms
from pbxcrm.automation.queries import load_around
from pbxcrm.automation.triggers import DEAL
from pbxcrm.calendars.actions import CalendarChange, change_calendar
from pbxcrm.calendars.models import Calendar
from pbxcrm.calls.models import Call, Line
from pbxcrm.contacts.actions import create_contact
from pbxcrm.contacts.consent_actions import keep_consent
from pbxcrm.contacts.models import Company
from pbxcrm.deals.models import Deal, StageKind
from pbxcrm.deals.queries import load_funnel
from pbxcrm.fields.conditions import holds, parse
from pbxcrm.fields.relative_times import AskedAt
from pbxcrm.fields.rules import Checking
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.errors import Invalid
from tests.calls import FactStory, batch
from tests.integration.automation.conftest import A_TASK, REGION, RuleDesk
from tests.integration.automation.test_trial import draft_of, trial

CLIENT = "+380501110001"
NIGHT = timedelta(hours=9)  # after NOON: 23:00 in Kyiv
HOLIDAY = date(2026, 11, 19)  # a Thursday
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def client_of(desk: RuleDesk) -> int:
    """A client of a company, who speaks Ukrainian, has a birthday and agrees, with a won deal and an open one, whose id it gives."""
    async with desk.database.write() as session:
        viewer = await desk.office.viewer(session, "ivan")
        contact = await create_contact(
            session, viewer, name="Petro", phones=[CLIENT], company_name="Dnipro", birthday="24.03", language="uk",
            now=desk.now, region=REGION,
        )  # fmt: skip
        for is_given in (False, True):
            await keep_consent(session, viewer, contact.id or 0, is_given=is_given, source="by hand", now=desk.now)
        company = await session.get_one(Company, contact.company_id)
        company.responsible_id = desk.office.id("olena")
        admin = await desk.office.viewer(session, "admin")
        (calendar,) = (await session.exec(select(Calendar))).all()
        change = CalendarChange(days=[(HOLIDAY, "", "Day of the company")])
        await change_calendar(session, admin, calendar.id or 0, change, now=desk.now)
        funnel = await load_funnel(session)
        won = funnel.stage_of_kind(funnel.default_id, StageKind.WON)
    assert won is not None
    await desk.move(await desk.deal(contact_id=contact.id), won.name, login="admin")
    return await desk.deal(contact_id=contact.id, second=True)


@pytest.mark.parametrize("days", [0, 1])
async def test_each_is_asked_of_the_deal(desk: RuleDesk, days: int) -> None:
    deal_id = await client_of(desk)
    moment = desk.now + timedelta(days=days)
    asked: dict[str, tuple[Any, Any]] = {  # what holds, and what does not
        "calendar.working": ("no", "yes") if days else ("yes", "no"),
        "calendar.holiday": ("yes", "no") if days else ("no", "yes"),
        "calendar.weekday": ("thursday", "wednesday") if days else ("wednesday", "thursday"),
        "client.language": ("uk", "en"),
        "client.birthday": ("yes", "no"),
        "client.consent": ("given", "withdrawn"),
        "client.bought": ("yes", "no"),
        "client.won_deals": ("1", "2"),
        "company.name": ("Dnipro", "Lviv"),
        "company.responsible": (desk.office.id("olena"), desk.office.id("ivan")),
    }
    async with desk.database.read() as session:
        around = await load_around(session, REGION)
        facts = await load_facts(session, await session.get_one(Deal, deal_id), None)
        terms = rule_terms(around.fields, Checking("", around.people), DEAL, {})
    clock = AskedAt(moment, around.calendars.default.timezone)
    now = facts.at(moment, around.calendars)
    for name, (right, wrong) in asked.items():
        for value, answer in ((right, True), (wrong, False)):
            assert holds(parse({"field": name, "value": value}, terms), now, clock) is answer, (name, value)
    for name in ("calendar.weekday", "client.won_deals", "client.language", "company.responsible", "call.line"):
        with pytest.raises(Invalid):
            parse({"field": name, "value": "someday"}, terms)


@pytest.mark.parametrize(("after", "status"), [(timedelta(), "done"), (NIGHT, "skipped")])
async def test_a_rule_asks_them_and_its_dry_run_says_the_same(desk: RuleDesk, after: timedelta, status: str) -> None:
    """A rule hears a deal in working time and at night; the runner reads what it asks, and the past is asked by the clock of then."""
    deal_id = await client_of(desk)
    asked = [{"field": "calendar.working", "value": "yes"}, {"field": "client.won_deals", "op": ">=", "value": "1"}]
    when = {"kind": "field_changed", "fields": ["title"]}
    rule_id = await desk.rule(when, A_TASK, conditions={"all": asked})
    await desk.work()
    desk.now += after
    await desk.edit(deal_id, title="Other")
    await desk.work()
    ((found, why),) = await desk.told(rule_id)
    assert found == status
    if found == "skipped":
        assert "It is working time is no, asked: yes." in why
    desk.now += timedelta(hours=1)
    tried = await trial(desk, draft_of(desk, when, {"all": asked}))
    assert tried.result["fired"] == (1 if status == "done" else 0)


async def test_a_rule_asks_the_line_of_a_call(desk: RuleDesk, intake: Intake) -> None:
    async with desk.database.write() as session:
        session.add(Line(name="Shop", position=1))
    async with desk.database.read() as session:
        line = (await session.exec(select(Line))).one()
    asked = {"field": "call.line", "value": line.id}
    mine = await desk.rule({"kind": "call"}, A_TASK, conditions=asked)
    other = await desk.rule({"kind": "call"}, A_TASK, conditions={"none": [asked]}, name="Other")
    await intake.apply(batch(FactStory("17.0", client=CLIENT).ring("101").wait(3).answer("101").wait(9).end()))
    await desk.work()
    async with desk.database.read() as session:
        assert (await session.exec(select(Call.line_id))).all() == [line.id]
    ((one, _),) = await desk.told(mine)
    ((two, why),) = await desk.told(other)
    assert (one, two) == ("done", "skipped")
    assert "Line of the call is Shop" in why
