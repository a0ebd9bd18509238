"""Ways in which a number comes to somebody, for the tests of whose it is."""

from datetime import datetime, timedelta

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.calls.models import Line
from pbxcrm.contacts.actions import create_contact, edit_contact, link_number
from pbxcrm.contacts.merge_actions import merge_contacts
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from tests.calls import NOON, FactStory, batch
from tests.office import Office

X = "+380671112233"
LATER_ON = NOON + timedelta(hours=1)  # calls are heard between noon and this
PATHS = ("create", "edit", "link", "merge")
FIRST = ("hand", "call", "callback", "client")
LATER = ("hand", "call", "callback", "client", "client with deal")
WHO = ("ivan", "olena", "petro")  # themselves, a colleague of the team, somebody of another team
EXTENSION = {"ivan": "101", "olena": "102", "petro": "201"}


async def answered(intake: Intake, linkedid: str = "1.1", by: str = "101") -> None:
    await intake.apply(batch(FactStory(linkedid, client=X).ring(by).answer(by).wait(9).end()))


async def missed(intake: Intake, linkedid: str = "2.1", rang: str = "101") -> None:
    await intake.apply(batch(FactStory(linkedid, client=X).ring(rang).wait(30).end()))


async def make(session: AsyncSession, viewer: Viewer, name: str, *phones: str, at: datetime = LATER_ON) -> Contact:
    made = await create_contact(session, viewer, name=name, now=at, region="UA", phones=phones)
    await session.flush()
    return made


async def add_number(session: AsyncSession, viewer: Viewer, path: str) -> int:
    """The viewer's client comes to have the number, by one of the ways to do so."""
    if path == "create":
        return (await make(session, viewer, "Stranger", X)).id or 0
    client_id = (await make(session, viewer, "Stranger")).id or 0
    if path == "edit":
        await edit_contact(session, viewer, client_id, version=None, now=LATER_ON, region="UA", phones=[X])
    elif path == "link":
        await link_number(session, viewer, client_id, X, region="UA", now=LATER_ON)
    else:
        for double in (await make(session, viewer, "Double", X), await make(session, viewer, "Double", X)):
            await session.flush()
            await merge_contacts(session, viewer, double.id or 0, client_id, now=LATER_ON, asked=True)
    await session.flush()
    return client_id


async def act(
    database: Database, office: Office, intake: Intake, kind: str, who: str, minute: int, client: str = ""
) -> None:
    """At this minute the number comes to ``who`` in this way."""
    at = NOON + timedelta(minutes=minute)
    if kind in {"call", "callback"}:
        story = FactStory(f"{minute}.1", client=X, at=at).ring(EXTENSION[who]).wait(9)
        if kind == "call":
            story = story.answer(EXTENSION[who]).wait(20)
        else:
            async with database.write() as session:
                await make_deals(session, yes=False)
        await intake.apply(batch(story.wait(30).end()))
        async with database.write() as session:
            await make_deals(session, yes=True)
        return
    async with database.write() as session:
        viewer, contact_id = await office.viewer(session, who), None
        if kind.startswith("client"):
            contact_id = (await make(session, viewer, client or f"Client of {who}", X, at=at)).id
        if kind != "client":
            await create_deal(
                session,
                viewer,
                title="T",
                now=at,
                currency="UAH",
                second=True,
                region="UA",
                client_number=X,
                contact_id=contact_id,
            )


async def make_deals(session: AsyncSession, *, yes: bool) -> None:
    for line in (await session.exec(select(Line))).all():
        line.makes_deals = yes
