"""Data of a working office: clients with names in three languages, deals in most stages, calls, tasks and notes."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from sqlmodel import select

from pbxcrm.calls.facts import Direction, MissedReason, Outcome
from pbxcrm.calls.models import Call
from pbxcrm.contacts.actions import create_contact
from pbxcrm.deals.actions import move_deal
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.deals.queries import default_pipeline, stages_of
from pbxcrm.notes.actions import add_note
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from pbxcrm.tasks.actions import create_task
from tests.calls import FactStory, batch
from tests.office import Office

CLIENTS = (
    ("Олена Григоренко", "+380671112233", "Зоря ТОВ", "ivan"),
    ("Stepan Koval", "+380931234567", "Koval Furniture", "ivan"),
    ("Ірина Мельник", "+380672223344", "Dental Plus", "ivan"),
    ("Marta Bilyk", "+380503334455", "", "olena"),
    ("Анна-Марія Костянтинопольська-Загоруйко", "+380674445566", "Всеукраїнське об'єднання виробників меблів", "ivan"),
    ("Petro Other's Client", "+380991110000", "Foreign Ltd", "petro"),
)
# title, client (index in CLIENTS), owner, stage name, amount, hours in the stage
DEALS = (
    ("School chairs, 120 pcs", 0, "ivan", "Call held", "48000", 26),
    ("Reception desk", 2, "ivan", "Proposal sent", "22400", 175),
    ("Office, two floors", 1, "olena", "Call held", "31500.50", 5),
    ("Kitchen for Marta", 3, "olena", "Proposal sent", "64000", 2),
    ("Меблі для конференц-зали на дванадцять осіб", 4, "ivan", "Invoice issued", "186000", 30),
    ("Warehouse shelves", 1, "ivan", "Invoice agreed", "120000", 80),
    ("Won table", 0, "ivan", "Received", "9900", 100),
    ("Foreign deal", 5, "petro", "Call held", "1000", 3),
)


@dataclass
class Busy:
    """The ids of the created rows, and the stages, by name."""

    contacts: dict[str, int] = field(default_factory=dict)
    deals: dict[str, int] = field(default_factory=dict)
    stages: dict[str, Stage] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)  # linkedid -> id
    tasks: dict[str, int] = field(default_factory=dict)


async def fill(database: Database, settings: Settings, office: Office, now: datetime) -> Busy:
    busy = Busy()
    async with database.write() as session:
        pipeline = await default_pipeline(session)
        assert pipeline is not None
        assert pipeline.id is not None
        busy.stages = {stage.name: stage for stage in await stages_of(session, pipeline.id)}
        for name, number, company, owner in CLIENTS:
            viewer = await office.viewer(session, owner)
            made = await create_contact(
                session, viewer, name=name, phones=[number], company_name=company, region="UA", now=now
            )
            busy.contacts[name] = made.id or 0
        names = list(busy.contacts)
        for title, client, owner, stage, amount, hours in DEALS:
            viewer = await office.viewer(session, "admin")
            entered = now - timedelta(hours=hours)
            deal = await create_deal(
                session,
                viewer,
                title=title,
                now=entered - timedelta(days=2),
                currency="UAH",
                region="UA",
                values={"amount": Decimal(amount), "source": "Sales"},
                contact_id=busy.contacts[names[client]],
                responsible_id=office.id(owner),
                second=True,
            )
            await move_deal(session, viewer, deal.id or 0, busy.stages[stage].id or 0, version=None, now=entered)
            busy.deals[title] = deal.id or 0
        ivan = await office.viewer(session, "ivan")
        for title, due, deal_title in (
            ("Send the drawings", timedelta(hours=-20), "Reception desk"),
            ("Ask about the oak", timedelta(hours=3), "School chairs, 120 pcs"),
            ("Call about the invoice", timedelta(hours=23), "Меблі для конференц-зали на дванадцять осіб"),
            ("Prepare the act", timedelta(days=4), "Warehouse shelves"),
        ):
            task = await create_task(
                session,
                ivan,
                title=title,
                due_at=now + due,
                now=now - timedelta(days=1),
                deal_id=busy.deals[deal_title],
            )
            busy.tasks[title] = task.id or 0
        desk = await session.get(Deal, busy.deals["Reception desk"])
        assert desk is not None
        text = "Wants it in oak, asks for a discount from two pieces."
        await add_note(session, ivan, text, now - timedelta(hours=3), deal=desk)
    await Intake(database, settings).apply(batch(*_stories(now)))
    async with database.read() as session:
        for call in (await session.exec(select(Call))).all():
            busy.calls[call.linkedid] = call.id or 0
    return busy


def _stories(now: datetime) -> list[FactStory]:
    def at(hours: float) -> datetime:
        return now - timedelta(hours=hours)

    talked = FactStory(linkedid="1700000000.2", client="+380672223344", name="Iryna", queue="sales", at=at(26))
    talked.ring("101", "102").wait(14).answer("101").wait(372).end()
    missed = FactStory(linkedid="1700000000.3", client="+380672223344", at=at(30)).ring("101", "103").wait(31)
    missed.end(Outcome.MISSED, MissedReason.ABANDONED_IN_QUEUE)
    new = FactStory(linkedid="1700000000.4", client="+380630000001", name="<script>alert(1)</script>", at=at(2))
    new.ring("101", "102").wait(6).answer("102").wait(95).end()
    lost = FactStory(linkedid="1700000000.5", client="+380630000002", at=at(1.5)).ring("101").wait(18).end()
    again = FactStory(linkedid="1700000000.6", client="+380630000002", at=at(1.1)).ring("101", "102").wait(22).end()
    hidden = (
        FactStory(linkedid="1700000000.7", client=None, at=at(0.7)).ring("102").wait(9).answer("102").wait(41).end()
    )
    out = FactStory(
        linkedid="1700000000.8",
        client="+380931234567",
        direction=Direction.OUTBOUND,
        did=None,
        made_by="101",
        at=at(0.4),
    )
    out.answer("101").wait(200).end()
    other = (
        FactStory(linkedid="1700000000.9", client="+380991110000", at=at(0.3))
        .ring("201")
        .wait(4)
        .answer("201")
        .wait(60)
        .end()
    )
    internal = FactStory(
        linkedid="1700000000.10", client=None, direction=Direction.INTERNAL, did=None, made_by="101", at=at(0.2)
    )
    internal.ring("102").wait(5).answer("102").wait(20).end()
    return [talked, missed, new, lost, again, hidden, out, other, internal]
