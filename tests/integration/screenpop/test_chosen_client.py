"""Who called is chosen on the card: the deal of the call gets this client as by every other way."""

from datetime import timedelta

from sqlalchemy import delete
from sqlmodel import select

from pbxcrm.calls.models import Call
from pbxcrm.contacts.models import Contact, Phone
from pbxcrm.deals.access import WITH_ANOTHERS_CLIENT
from pbxcrm.deals.models import Deal
from pbxcrm.reactions.intake import Intake
from pbxcrm.screenpop import card_actions
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import Outbox
from pbxcrm.tasks.models import Task
from tests.calls import NOON, FactStory, batch
from tests.office import Office

CLIENT = "+380671112233"
LATER = NOON + timedelta(minutes=5)


async def test_who_has_the_chosen_client_is_told_as_by_every_other_way(
    database: Database, office: Office, intake: Intake
) -> None:
    ids = []
    async with database.write() as session:
        for name, owner in (("Of Petro", "petro"), ("Of Ivan", "ivan")):
            contact = Contact(name=name, responsible_id=office.id(owner), created_at=NOON - timedelta(days=1))
            session.add(contact)
            await session.flush()
            ids.append(contact.id or 0)
            session.add(Phone(contact_id=ids[-1], number=CLIENT))
    await intake.apply(batch(FactStory("17.1").ring("101").answer("101")))
    for contact_id, code in ((ids[0], WITH_ANOTHERS_CLIENT), (ids[1], "owner.by_hand")):
        async with database.write() as session:
            deal = (await session.exec(select(Deal))).one()
            deal.contact_id = None
            await session.exec(delete(Outbox))
            viewer, call = await office.viewer(session, "ivan"), (await session.exec(select(Call))).one()
            await card_actions.choose_contact(session, viewer, call.id or 0, contact_id, LATER)
        async with database.read() as session:
            heard = (await session.exec(select(Outbox.ref).where(Outbox.topic == "call"))).all()
            assert heard == ([] if contact_id == ids[0] else [str(call.id)]), "lists of calls show another client"
            deal = (await session.exec(select(Deal))).one()
            assert (deal.contact_id, deal.reason["code"]) == (contact_id, code)
            told = await session.exec(select(Task.title).where(Task.assignee_id == office.id("petro")))
            assert len(told.all()) == 1, "once, of their own client"
