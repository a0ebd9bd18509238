"""Clients to merge, with everything that can name them, and a picture of who has what."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select as select_columns
from sqlalchemy import update
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.callbacks.models import Attempt, Episode, EpisodeCall
from pbxcrm.contacts.actions import create_contact
from pbxcrm.contacts.merge_actions import merge_contacts
from pbxcrm.contacts.merge_queries import CLIENTS
from pbxcrm.contacts.models import Contact, Email, Phone
from pbxcrm.contacts.unmerge_actions import undo_merge
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.notes.actions import add_note
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.tasks.actions import create_task
from tests.calls import NOON, FactStory, batch
from tests.office import Office

MONTH = timedelta(days=31)


@dataclass
class Clients:
    """Makes, merges and looks at clients as ``login`` does, unless somebody else is named."""

    database: Database
    office: Office
    login: str = "maria"
    calls: int = 0

    async def make(self, name: str, *phones: str, emails: tuple[str, ...] = (), login: str = "", **more: Any) -> int:
        async with self.database.write() as session:
            viewer = await self.office.viewer(session, login or self.login)
            made = await create_contact(
                session, viewer, name=name, phones=phones, emails=emails, now=NOON, region="UA", **more
            )
        assert made.id is not None
        return made.id

    async def deal(self, contact_id: int, title: str) -> int:
        async with self.database.write() as session:
            viewer = await self.office.viewer(session, self.login)
            made = await create_deal(
                session, viewer, title=title, now=NOON, currency="UAH", second=True, region="UA", contact_id=contact_id
            )
        assert made.id is not None
        return made.id

    async def task(self, contact_id: int, title: str) -> int:
        async with self.database.write() as session:
            viewer = await self.office.viewer(session, self.login)
            made = await create_task(session, viewer, title=title, due_at=NOON, now=NOON, contact_id=contact_id)
        assert made.id is not None
        return made.id

    async def note(self, contact_id: int, text: str) -> None:
        async with self.database.write() as session:
            viewer = await self.office.viewer(session, self.login)
            await add_note(session, viewer, text, NOON, contact=await session.get_one(Contact, contact_id))

    async def missed(self, intake: Intake, number: str, at: datetime = NOON) -> None:
        await self._call(intake, FactStory(self._linkedid(), client=number, at=at).ring("101").wait(20).end())

    async def talk(self, intake: Intake, number: str, at: datetime = NOON) -> None:
        story = FactStory(self._linkedid(), client=number, at=at).ring("101").wait(5)
        await self._call(intake, story.answer("101").wait(60).end())

    def _linkedid(self) -> str:
        self.calls += 1
        return f"1700000000.{self.calls}"

    async def _call(self, intake: Intake, story: FactStory) -> None:
        await intake.apply(batch(story, position=self.calls))

    async def merge(
        self, this: int, into: int, *, login: str = "", now: datetime = NOON, asked: bool = True, **more: Any
    ) -> int:
        """As on the page; with ``asked`` false as a program does it."""
        async with self.database.write() as session:
            viewer = await self.office.viewer(session, login or self.login)
            merge = await merge_contacts(session, viewer, this, into, now=now, asked=asked, **more)
        assert merge.id is not None
        return merge.id

    async def undo(self, merge_id: int, *, login: str = "", now: datetime = NOON + MONTH) -> list[dict[str, Any]]:
        async with self.database.write() as session:
            viewer = await self.office.viewer(session, login or self.login)
            return (await undo_merge(session, viewer, merge_id, now=now)).left

    async def get(self, contact_id: int) -> Contact:
        async with self.database.read() as session:
            return await session.get_one(Contact, contact_id)

    async def numbers(self, contact_id: int) -> list[str]:
        async with self.database.read() as session:
            found = await session.exec(select(Phone).where(Phone.contact_id == contact_id).order_by(col(Phone.number)))
            return [f"{phone.written} {phone.label}".strip() for phone in found.all()]

    async def set(self, table: type[SQLModel], row_id: int, **values: Any) -> None:
        """As somebody else's edit would: with a new version where there is one."""
        async with self.database.write() as session:
            row = await session.get_one(table, row_id)
            for name, value in values.items():
                setattr(row, name, value)
            if hasattr(row, "version"):
                row.version += 1

    async def picture(self) -> dict[str, Any]:
        """Who has what: enough to tell whether two states are the same. Ids of numbers and addresses do not count."""
        async with self.database.read() as session:
            return await picture_of(session)


async def picture_of(session: AsyncSession) -> dict[str, Any]:
    found: dict[str, Any] = {}
    connection = await session.connection()
    for link in CLIENTS.links:
        rows = await connection.execute(select_columns(link.table.c.id, link.column))
        found[link.name] = sorted((row[0], row[1]) for row in rows)
    contacts = (await session.exec(select(Contact).order_by(col(Contact.id)))).all()
    found["contacts"] = [
        (each.id, each.name, each.company_id, each.responsible_id, each.note, each.merged_into_id) for each in contacts
    ]
    phones = (await session.exec(select(Phone))).all()
    found["phones"] = sorted(
        (each.contact_id, each.number, each.extension, each.label, each.kind, each.is_main) for each in phones
    )
    emails = (await session.exec(select(Email))).all()
    found["emails"] = sorted((each.contact_id, each.address, each.label, each.kind, each.is_main) for each in emails)
    episodes = (await session.exec(select(Episode).order_by(col(Episode.id)))).all()
    found["callbacks"] = [
        (
            each.id,
            each.client_key,
            each.status,
            each.missed_count,
            each.attempts,
            each.first_missed_at,
            each.last_missed_at,
        )
        for each in episodes
    ]
    calls = (await session.exec(select(EpisodeCall))).all()
    found["missed"] = sorted((each.episode_id, each.call_id) for each in calls)
    found["attempts"] = sorted((each.id, each.episode_id) for each in (await session.exec(select(Attempt))).all())
    return found


async def steal_number(session: AsyncSession, number: str, to: int) -> None:
    await session.exec(
        update(Phone)
        .where(col(Phone.number) == number)
        .values(contact_id=to)
        .execution_options(synchronize_session=False)
    )
