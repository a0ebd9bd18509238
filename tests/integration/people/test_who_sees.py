"""What the access module says of a loaded row is what it says to the database."""

from datetime import timedelta

import pytest
from sqlmodel import select

from pbxcrm.calendars.leave_actions import NewLeave, create_leave
from pbxcrm.callbacks.models import Episode
from pbxcrm.callbacks.queries import access_episode_row
from pbxcrm.deals.access import sees_deal, visible_deals
from pbxcrm.deals.models import Deal
from pbxcrm.people.access import sees_user, visible_users
from pbxcrm.people.directory import load_directory
from pbxcrm.people.models import Team, User
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import NotFound
from tests.calls import NOON, FactStory, batch
from tests.lamps import lamp_of_callback
from tests.office import STAFF, Office

LOGINS = [login for login, *_ in STAFF]


async def deals_of_everybody(database: Database, intake: Intake, office: Office) -> None:
    """One of each person, and one that is nobody's."""
    stories = [
        FactStory(f"17.{n}", client=f"+38050111000{n}").ring("101").answer("101").end() for n in range(len(LOGINS) + 1)
    ]
    await intake.apply(batch(*stories))
    async with database.write() as session:
        deals = (await session.exec(select(Deal))).all()
        for deal, owner in zip(deals, [None, *(office.id(login) for login in LOGINS)], strict=True):
            deal.responsible_id = owner


async def disagreements(database: Database, office: Office) -> list[str]:
    wrong: list[str] = []
    async with database.read() as session:
        people = await load_directory(session)
        deals = (await session.exec(select(Deal))).all()
        for login in LOGINS:
            viewer = await office.viewer(session, login)
            seen = set((await session.exec(select(Deal.id).where(visible_deals(viewer)))).all())
            wrong += [
                f"{login} {deal.responsible_id}"
                for deal in deals
                if sees_deal(viewer, deal, people) != (deal.id in seen)
            ]
            shown = set((await session.exec(select(User.id).where(visible_users(viewer)))).all())
            wrong += [f"{login} {mate}" for mate in people.users if sees_user(viewer, mate, people) != (mate in shown)]
    return wrong


async def test_the_same_deals_and_people_are_seen(database: Database, office: Office, intake: Intake) -> None:
    await deals_of_everybody(database, intake, office)
    assert await disagreements(database, office) == []


async def test_also_by_who_manages_two_teams_or_is_in_none(database: Database, office: Office, intake: Intake) -> None:
    await deals_of_everybody(database, intake, office)
    async with database.write() as session:
        for name in ("Sales", "Other"):
            (await session.exec(select(Team).where(Team.name == name))).one().manager_id = office.id("oksana")
        session.add(Team(name="Empty", manager_id=office.id("maria")))
        for login in ("maria", "ivan"):
            office.users[login] = await session.get_one(User, office.id(login))
            office.users[login].team_id = None
    assert await disagreements(database, office) == []


async def test_also_by_who_stands_in(database: Database, office: Office, intake: Intake) -> None:
    await deals_of_everybody(database, intake, office)
    async with database.write() as session:
        for login, deputy in (("ivan", "petro"), ("maria", "oksana"), ("olena", "oksana")):
            new = NewLeave(office.id(login), NOON, NOON + timedelta(days=1), office.id(deputy))
            await create_leave(session, await office.viewer(session, "admin"), new, now=NOON)
        oksana, people = await office.viewer(session, "oksana"), await load_directory(session)
        assert oksana.stands_in_for == (office.id("maria"), office.id("olena"))
        assert oksana.managed_team_ids == (office.users["oksana"].team_id, office.users["maria"].team_id)
        assert people.managing(office.id("olena")) == {
            office.id("maria"),
            office.id("oksana"),
        }  # a manager for a manager
    assert await disagreements(database, office) == []


async def test_a_seller_who_stands_in_for_a_manager_does_not_lead(
    database: Database, office: Office, intake: Intake
) -> None:
    await deals_of_everybody(database, intake, office)
    async with database.write() as session:
        for login, deputy in (("maria", "petro"), ("olena", "oksana")):
            new = NewLeave(office.id(login), NOON, NOON + timedelta(days=1), office.id(deputy))
            await create_leave(session, await office.viewer(session, "admin"), new, now=NOON)
        petro, people = await office.viewer(session, "petro"), await load_directory(session)
        assert (petro.stands_in_for, petro.managed_team_ids) == ((office.id("maria"),), ())
        assert people.managing(office.id("olena")) == {office.id("maria")}
    assert await disagreements(database, office) == []


async def test_what_was_escalated_to_a_manager_they_may_open(
    database: Database, office: Office, intake: Intake
) -> None:
    await intake.apply(batch(FactStory("18.1", client="+380501110099").ring("201").wait(9).end()))
    async with database.write() as session:
        episode = (await session.exec(select(Episode))).one()
        assert episode.id is not None
        assert episode.owner_id == office.id("petro")
        maria = await office.viewer(session, "maria")
        with pytest.raises(NotFound):
            await access_episode_row(session, maria, episode.id)
        await lamp_of_callback(session, episode, NOON, addressee_id=office.id("maria"))
        assert (await access_episode_row(session, maria, episode.id)).episode.id == episode.id
        with pytest.raises(NotFound):
            await access_episode_row(session, await office.viewer(session, "ivan"), episode.id)
