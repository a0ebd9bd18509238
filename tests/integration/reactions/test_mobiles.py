"""A colleague's mobile answers over the trunk (recorded with Asterisk 22): what it makes of deals and callbacks, on both databases."""

from dataclasses import replace
from pathlib import Path

import pytest

from ami.inherited_calls import Inherited
from ami.replay import facts_in
from ami.tracker import TrackerSettings
from pbxcrm.callbacks.models import Episode
from pbxcrm.calls.facts import Batch
from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.deals.models import Deal
from pbxcrm.pbx.state import JournalPosition
from pbxcrm.people.actions import edit_user
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared import reasons
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Invalid
from pbxcrm.tasks.models import Task
from tests.calls import NOON, FactStory, batch
from tests.integration.reactions.test_intake import one, rows, stage_name
from tests.office import Office

RECORDED = Path(__file__).parents[2] / "scenarios"
MOBILE = "+380509990001"


def recorded(name: str) -> Batch:
    facts = tuple(facts_in([(RECORDED / f"{name}.ami").read_bytes()], TrackerSettings()))
    return Batch("default", facts, JournalPosition(0, 0))


async def give_mobile(database: Database, office: Office, login: str, *numbers: str) -> None:
    async with database.write() as session:
        user = office[login]
        await edit_user(
            session,
            await office.viewer(session, "admin"),
            office.id(login),
            name=user.name,
            role=user.role,
            extensions={"maria": ["103"], "olena": ["102"], "ivan": ["101"]}[login],
            mobiles=numbers,
            team=user.team_id,
            now=NOON,
        )


@pytest.mark.parametrize(
    "stream",
    [
        "reported/mobile_answers",
        "asterisk-22/mobile_in_the_ring_group_answers",
        "asterisk-16/mobile_over_the_trunk_answers",
    ],
)
async def test_a_mobile_of_nobody_answers(database: Database, office: Office, intake: Intake, stream: str) -> None:
    await intake.apply(recorded(stream))
    deal = await one(database, Deal)
    assert await stage_name(database, deal) == "Unsorted"
    assert "nobody's mobile" in reasons.text(deal.reason)
    assert not await rows(database, Episode)
    assert not await rows(database, Task)


async def test_an_open_episode_of_the_client_is_closed(database: Database, office: Office, intake: Intake) -> None:
    await intake.apply(batch(FactStory("17.1", client="+380671112233").ring("101").wait(9).end()))
    await intake.apply(recorded("asterisk-22/mobile_in_the_ring_group_answers"))
    episode, task = await one(database, Episode), await one(database, Task)
    assert (episode.status, task.status) == ("recovered", "done")
    assert "+380 50 999 00 01" in reasons.text(episode.closed_reason)
    assert await stage_name(database, await one(database, Deal)) == "Unsorted"


async def test_a_mapped_mobile_makes_its_owner_the_one_who_talked(
    database: Database, office: Office, intake: Intake
) -> None:
    await give_mobile(database, office, "maria", MOBILE)
    await intake.apply(recorded("asterisk-22/mobile_in_the_ring_group_answers"))
    call, deal = await one(database, Call), await one(database, Deal)
    assert (call.answered_by, call.talked, call.rang) == ("103", ["103"], ["101", "102", "103"])
    assert deal.responsible_id == call.responsible_id == office.id("maria")
    legs = {leg.extension: leg.user_id for leg in await rows(database, CallLeg) if leg.answered_at is not None}
    assert legs == {"103": office.id("maria")}


async def test_forwarded_to_a_mapped_mobile_is_answered_by_its_owner(
    database: Database, office: Office, intake: Intake
) -> None:
    await give_mobile(database, office, "maria", MOBILE)
    await intake.apply(recorded("asterisk-22/forwarded_to_a_mobile"))  # by 101's telephone
    call = await one(database, Call)
    assert (call.answered_by, call.talked) == ("103", ["103"])
    assert (await one(database, Deal)).responsible_id == office.id("maria")


async def test_the_one_phone_answers_before_the_mapped_mobile(
    database: Database, office: Office, intake: Intake
) -> None:
    await give_mobile(database, office, "maria", MOBILE)
    await intake.apply(recorded("asterisk-22/phone_answers_before_the_mobile"))
    call = await one(database, Call)
    assert (call.answered_by, call.talked) == ("101", ["101"])


async def test_who_calls_from_a_colleagues_mobile_is_no_client(
    database: Database, office: Office, intake: Intake
) -> None:
    await give_mobile(database, office, "maria", "+380671112233")
    await intake.apply(batch(FactStory(client="0671112233").ring("101").wait(20).end()))
    assert not await rows(database, Deal)
    assert not await rows(database, Episode)


async def test_from_the_desk_to_a_colleagues_mobile_is_internal(
    database: Database, office: Office, intake: Intake
) -> None:
    await give_mobile(database, office, "maria", "+380509998877")
    await intake.apply(recorded("asterisk-22/outbound_answered"))
    call = await one(database, Call)
    assert (call.direction, call.outcome, call.client_number, call.answered_by) == ("internal", "answered", None, "103")
    assert call.talked == ["101", "103"]


async def test_a_program_calls_the_sellers_mobile_first(database: Database, office: Office, intake: Intake) -> None:
    await give_mobile(database, office, "maria", "+380509998877")
    await intake.apply(recorded("asterisk-22/two_outside_numbers_by_originate"))
    call = await one(database, Call)
    assert (call.direction, call.outcome, call.client_number) == ("outbound", "answered", "+380501234567")
    assert (call.made_by, call.talked, call.responsible_id) == ("103", ["103"], office.id("maria"))


async def test_a_mobile_belongs_to_one_person(database: Database, office: Office) -> None:
    await give_mobile(database, office, "maria", MOBILE)
    with pytest.raises(Invalid, match="somebody else's"):
        await give_mobile(database, office, "olena", MOBILE)
    await give_mobile(database, office, "maria")
    await give_mobile(database, office, "olena", MOBILE)


async def test_a_listener_that_takes_over_ends_the_talk_on_the_mobile(
    database: Database, office: Office, intake: Intake
) -> None:
    await give_mobile(database, office, "maria", MOBILE)
    told = recorded("asterisk-22/mobile_in_the_ring_group_answers")
    answered = next(n for n, fact in enumerate(told.facts) if any(line.answered_at for line in fact.call.outside))
    await intake.apply(replace(told, facts=told.facts[: answered + 1]))
    handover = await intake.handover("default")
    assert [line.extension for line in handover.open_calls[0].outside] == [
        line.extension for line in told.facts[answered].call.outside
    ]
    ended = Inherited(handover).end_missing((), told.facts[-1].at)
    await intake.apply(replace(told, facts=tuple(ended)))
    call = await one(database, Call)
    assert (call.outcome, call.answered_by, call.talking) == ("answered", "103", [])
    (mobile,) = [leg for leg in await rows(database, CallLeg) if leg.extension == "103" and leg.answered_at is not None]
    assert (mobile.result, mobile.ended_at) == ("talked", told.facts[-1].at)
