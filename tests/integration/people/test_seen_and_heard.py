"""Of every kind of row and for every role: who sees it hears that it changed, nobody else does, and who changes it sees it.

A row is said to have changed by the function that every change goes through; who sees it is asked of the database.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.callbacks.access import editable_episodes, visible_episodes
from pbxcrm.callbacks.actions import say_episode_changed
from pbxcrm.callbacks.models import Episode
from pbxcrm.calls.access import own_calls, visible_calls
from pbxcrm.calls.models import Call
from pbxcrm.checkpoints.access import editable_escalations, visible_lamps
from pbxcrm.checkpoints.lighting import say_lamp_changed
from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.contacts.access import editable_companies, editable_contacts, visible_companies, visible_contacts
from pbxcrm.contacts.actions import say_company_changed, say_contact_changed
from pbxcrm.contacts.models import Company, Contact, Phone
from pbxcrm.deals.access import editable_deals, visible_deals
from pbxcrm.deals.actions import say_deal_changed
from pbxcrm.deals.models import Deal
from pbxcrm.people.access import visible_users
from pbxcrm.people.actions import add_user
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.people.models import Team, User
from pbxcrm.people.passwords import hash_password
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import Outbox
from pbxcrm.tasks.access import editable_tasks, visible_tasks
from pbxcrm.tasks.actions import say_task_changed
from pbxcrm.tasks.models import Task
from tests.calls import NOON, FactStory, batch, outbound
from tests.lamps import lamp_of_callback
from tests.office import Office

Condition = Callable[[Viewer], ColumnElement[bool]]


@dataclass(frozen=True)
class Kind:
    topic: str
    model: type[SQLModel]
    visible: Condition
    editable: Condition
    say: Callable[[AsyncSession, Any, Directory], Awaitable[None]]


async def say_deal(session: AsyncSession, row: Deal, people: Directory) -> None:
    say_deal_changed(session, row, NOON, people)


async def say_task(session: AsyncSession, row: Task, people: Directory) -> None:
    await say_task_changed(session, row, NOON, people)


async def say_contact(session: AsyncSession, row: Contact, people: Directory) -> None:
    del people
    await say_contact_changed(session, row, NOON)


async def say_company(session: AsyncSession, row: Company, people: Directory) -> None:
    del people
    await say_company_changed(session, row, NOON)


async def say_episode(session: AsyncSession, row: Episode, people: Directory) -> None:
    await say_episode_changed(session, row, NOON, people)


async def say_lamp(session: AsyncSession, row: Lamp, people: Directory) -> None:
    say_lamp_changed(session, row, NOON, people)


KINDS = (
    Kind("deal", Deal, visible_deals, editable_deals, say_deal),
    Kind("task", Task, visible_tasks, editable_tasks, say_task),
    Kind("contact", Contact, visible_contacts, editable_contacts, say_contact),
    Kind("company", Company, visible_companies, editable_companies, say_company),
    Kind("callback", Episode, visible_episodes, editable_episodes, say_episode),
    Kind("lamp", Lamp, visible_lamps, editable_escalations, say_lamp),
)


async def two_more_managers(session: AsyncSession, office: Office) -> None:
    """``vira`` is a manager in team Sales that another leads; ``pavlo`` leads a team he is not in; ``yurii`` is in no team."""
    hashed = await hash_password("correct horse")
    for login, role, team in (("vira", "manager", "Sales"), ("pavlo", "manager", None), ("yurii", "seller", None)):
        office.users[login] = await add_user(
            session, None, login=login, name=login.title(), role=role, password_hash=hashed, extensions=(), team=team, now=NOON
        )  # fmt: skip
    (await session.exec(select(Team).where(Team.name == "Other"))).one().manager_id = office.id("pavlo")


async def rows_of_everybody(database: Database, office: Office, intake: Intake) -> None:
    """One of each kind for each person and for nobody, and those that are seen by others than whose they are."""
    async with database.write() as session:
        await two_more_managers(session, office)
    await intake.apply(
        batch(
            FactStory("1.1", client="+380671110001").ring("101", "102").answer("101").wait(20).end(),
            FactStory("1.2", client="+380671110002").ring("201").wait(20).end(),
            FactStory("1.3", client="+380671110003").ring("102").wait(20).end(),
            outbound("1.4", "202", client="+380671110004").answer("202").wait(9).end(),
        )
    )
    async with database.write() as session:
        deal = (await session.exec(select(Deal))).first()
        assert deal is not None
        for n, owner in enumerate([None, *(office.id(login) for login in office.users)]):
            company = Company(name=f"Company {n}", responsible_id=owner, created_at=NOON)
            session.add(company)
            await session.flush()
            contacts = [
                Contact(name=f"{what} {n}", created_at=NOON) for what in ("own", "deal", "task", "call", "given")
            ]
            contacts[0].responsible_id = owner
            contacts[0].company_id = contacts[3].company_id = company.id
            for contact in contacts[1:]:
                contact.responsible_id = office.id("petro")
            session.add_all(contacts)
            await session.flush()
            made = Deal(
                title=f"Deal {n}", pipeline_id=deal.pipeline_id, stage_id=deal.stage_id, currency="UAH", created_at=NOON,
                stage_since=NOON, responsible_id=owner, contact_id=contacts[1].id,
            )  # fmt: skip
            session.add(made)
            await session.flush()
            session.add_all(
                [
                    Task(kind="todo", title="own", due_at=NOON, created_at=NOON, assignee_id=owner, created_by_id=owner, contact_id=contacts[2].id),
                    Task(kind="todo", title="given", due_at=NOON, created_at=NOON, assignee_id=owner, contact_id=contacts[4].id),
                    Task(kind="todo", title="deal", due_at=NOON, created_at=NOON, assignee_id=office.id("olena"), created_by_id=office.id("maria"), deal_id=made.id),
                    Phone(contact_id=contacts[0].id or 0, number=f"+3805011100{n:02}"),
                    Episode(client_key=f"number:{n}", owner_id=owner, first_missed_at=NOON, last_missed_at=NOON),
                    Call(pbx="default", linkedid=f"7.{n}", direction="inbound", outcome="answered", started_at=NOON, responsible_id=owner, contact_id=contacts[3].id),
                ]
            )  # fmt: skip
        await session.flush()
        episodes = (await session.exec(select(Episode).order_by(col(Episode.id)))).all()
        episodes[0].claimed_by_id, episodes[0].claimed_at = office.id("petro"), NOON
        for n, episode in enumerate(episodes):
            manager = (None, office.id("maria"), office.id("oksana"), office.id("olena"))[n % 4]
            state, at = LampState.BURNING if n % 2 else LampState.OUT, NOON + timedelta(minutes=1)
            await lamp_of_callback(session, episode, at, state=state, addressee_id=manager)
            await lamp_of_callback(session, episode, at, step=0, addressee_id=episode.owner_id)
        calls = (await session.exec(select(Call).where(Call.contact_id.is_(None)))).all()  # type: ignore[union-attr]
        for call in calls:  # also by a phone that rang
            contact = Contact(name="heard", responsible_id=office.id("petro"), created_at=NOON)
            session.add(contact)
            await session.flush()
            call.contact_id = contact.id


async def seers(session: AsyncSession, model: Any, office: Office, condition: Condition) -> dict[int, set[str]]:
    """Who sees (or changes) each row, by its id."""
    found: dict[int, set[str]] = {row_id: set() for row_id in (await session.exec(select(model.id))).all()}
    for login in office.users:
        viewer = await office.viewer(session, login)
        for row_id in (await session.exec(select(model.id).where(condition(viewer)))).all():
            found[row_id].add(login)
    return found


def hearers(hint: Outbox, office: Office) -> set[str]:
    return {login for login, user in office.users.items() if user.id in hint.users or user.role in hint.roles}


async def test_who_sees_a_row_hears_it_and_who_changes_it_sees_it(
    database: Database, office: Office, intake: Intake
) -> None:
    await rows_of_everybody(database, office, intake)
    wrong: list[str] = []
    asked = 0
    for kind in KINDS:
        async with database.read() as session:
            seen = await seers(session, kind.model, office, kind.visible)
            changed = await seers(session, kind.model, office, kind.editable)
        for row_id, logins in seen.items():
            async with database.write() as session:
                row = await session.get_one(kind.model, row_id)
                await kind.say(session, row, await load_directory(session))
            async with database.write() as session:
                told = (await session.exec(select(Outbox))).all()
                heard = set().union(
                    *(hearers(hint, office) for hint in told if (hint.topic, hint.ref) == (kind.topic, str(row_id)))
                )
                for hint in told:
                    await session.delete(hint)
            asked += 1
            if heard != logins:
                wrong.append(
                    f"{kind.topic} {row}: sees and hears not {logins - heard}, hears and sees not {heard - logins}"
                )
            if not changed[row_id] <= logins:
                wrong.append(f"{kind.topic} {row}: changes and sees not {changed[row_id] - logins}")
            if "kira" in changed[row_id]:
                wrong.append(f"{kind.topic} {row}: quality control changes it")
    assert asked > 60
    assert not wrong, "\n".join(wrong)


async def test_a_call_is_heard_by_who_sees_it(database: Database, office: Office, intake: Intake) -> None:
    """What the listener says of calls: of somebody's, of nobody's, and of one that belongs to another's deal."""
    await rows_of_everybody(database, office, intake)
    client = "+380671110077"
    await intake.apply(batch(FactStory("9.1", client=client).ring("101").answer("101").wait(9).end()))
    async with database.write() as session:
        deal = (await session.exec(select(Deal).where(Deal.client_number == client))).one()
        deal.responsible_id = office.id("petro")
    async with database.write() as session:
        for hint in (await session.exec(select(Outbox))).all():
            await session.delete(hint)
    await intake.apply(
        batch(FactStory("9.2", client=client, at=NOON + timedelta(hours=1)).ring("101").answer("101").wait(9).end())
    )
    async with database.read() as session:
        call = (await session.exec(select(Call).where(Call.linkedid == "9.2"))).one()
        assert call.id is not None
        assert call.deal_id == deal.id
        seen = (await seers(session, Call, office, visible_calls))[call.id]
        heard = [h for h in (await session.exec(select(Outbox))).all() if (h.topic, h.ref) == ("call", str(call.id))]
        last = hearers(max(heard, key=lambda hint: hint.id or 0), office)
        own = (await seers(session, Call, office, own_calls))[call.id]
    assert last == seen
    assert "petro" in seen
    assert own == {"ivan"} <= seen


async def test_what_one_sees_by_a_call_alone_one_does_not_change(
    database: Database, office: Office, intake: Intake
) -> None:
    await rows_of_everybody(database, office, intake)
    async with database.read() as session:
        by_call = {c.id for c in (await session.exec(select(Contact).where(Contact.name == "heard"))).all()}
        seen = await seers(session, Contact, office, visible_contacts)
        changed = await seers(session, Contact, office, editable_contacts)
        assert any("ivan" in seen[row_id or 0] for row_id in by_call)
        assert not any("ivan" in changed[row_id or 0] for row_id in by_call)
        users = await seers(session, User, office, visible_users)
        assert all(login in users[office.id(login)] for login in office.users)
