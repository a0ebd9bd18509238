"""What a call makes of deals, callbacks and tasks, on both databases (A2, A3, A5, A6, A8, C5)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest
from sqlmodel import SQLModel, col, select

from pbxcrm.callbacks.models import Attempt, Episode
from pbxcrm.calls.facts import Direction, MissedReason, Outcome
from pbxcrm.calls.models import Call, CallLeg, Line
from pbxcrm.contacts.models import Contact, NumberKind, Phone, SpecialNumber
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.people.models import Extension
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared import reasons
from pbxcrm.shared.db import Database
from pbxcrm.shared.runtime_options import Option
from pbxcrm.tasks.models import Task
from tests.calls import NOON, FactStory, batch, outbound
from tests.office import Office

CLIENT = "+380671112233"
Row = TypeVar("Row", bound=SQLModel)


async def rows(database: Database, table: type[Row]) -> Sequence[Row]:
    async with database.read() as session:
        return (await session.exec(select(table))).all()


async def one(database: Database, table: type[Row]) -> Row:
    found = await rows(database, table)
    assert len(found) == 1, found
    return found[0]


async def stage_name(database: Database, deal: Deal) -> str:
    async with database.read() as session:
        stage = await session.get(Stage, deal.stage_id)
    assert stage is not None
    return stage.name


async def test_answered_call_makes_a_deal_in_unsorted_of_who_answered(
    database: Database, office: Office, intake: Intake
) -> None:
    await intake.apply(batch(FactStory(name="Olena").ring("101", "102").wait(5).answer("102").wait(60).end()))
    deal = await one(database, Deal)
    assert (deal.responsible_id, deal.title, deal.client_number) == (office.id("olena"), "Olena", CLIENT)
    assert await stage_name(database, deal) == "Unsorted"
    assert "Olena Hryhorenko answered" in reasons.text(deal.reason)
    call = await one(database, Call)
    assert (call.deal_id, call.responsible_id, call.wait_seconds, call.talk_seconds) == (
        deal.id,
        office.id("olena"),
        5,
        60,
    )
    assert not await rows(database, Task)
    assert not await rows(database, Episode)


async def test_the_deal_is_there_as_soon_as_somebody_answers(
    database: Database, office: Office, intake: Intake
) -> None:
    await intake.apply(batch(FactStory().ring("101").answer("101")))
    assert (await one(database, Deal)).responsible_id == office.id("ivan")


async def test_missed_call_makes_didnt_reach_and_a_callback_with_owner_and_reason(
    database: Database, office: Office, intake: Intake
) -> None:
    await intake.apply(batch(FactStory().ring("101", "102").wait(20).end()))
    deal, episode, task = await one(database, Deal), await one(database, Episode), await one(database, Task)
    assert await stage_name(database, deal) == "Didn't reach"
    assert episode.missed_count == 1
    assert episode.owner_id == task.assignee_id == deal.responsible_id == office.id("olena")  # whose phone rang last
    assert (task.kind, task.status, task.title) == ("callback", "open", "Call back +380 67 111 22 33")
    assert "hung up while Ivan Kravets (101), Olena Hryhorenko (102) rang" in reasons.text(task.reason)
    assert "Olena Hryhorenko's phone rang last" in reasons.text(task.reason)
    assert task.due_at == NOON + timedelta(seconds=20, minutes=20)  # the norm, in working minutes


async def test_repeated_misses_are_one_episode_one_task_one_deal(
    database: Database, office: Office, intake: Intake
) -> None:
    for number in range(3):
        await intake.apply(
            batch(FactStory(f"17.{number}", at=NOON + timedelta(minutes=number)).ring("101").wait(9).end())
        )
    episode, task = await one(database, Episode), await one(database, Task)
    assert episode.missed_count == 3
    assert task.title == "Call back +380 67 111 22 33, missed 3 times"
    await one(database, Deal)


async def test_episode_recovers_when_the_client_gets_through(
    database: Database, office: Office, intake: Intake
) -> None:
    await intake.apply(batch(FactStory("17.1").ring("101").wait(9).end()))
    await intake.apply(batch(FactStory("17.2", at=NOON + timedelta(minutes=5)).ring("102").wait(3).answer("102")))
    episode, task = await one(database, Episode), await one(database, Task)
    assert (episode.status, task.status) == ("recovered", "done")
    assert reasons.text(episode.closed_reason) == task.result == "The client called and talked to Olena Hryhorenko."
    assert task.result_code == episode.closed_reason
    assert task.done_at == NOON + timedelta(minutes=5, seconds=3)
    deal = await one(database, Deal)
    assert await stage_name(database, deal) == "Unsorted"  # no longer a lie
    assert deal.responsible_id == office.id("olena")


async def test_who_called_again_at_once_and_got_through_leaves_nothing_to_do(
    database: Database, office: Office, intake: Intake
) -> None:
    """The verdict on the first call comes two seconds late; by then somebody talks to the client."""
    first = FactStory("17.1").ring("101").wait(9)
    second = FactStory("17.2", at=NOON + timedelta(seconds=10)).ring("102").answer("102")
    await intake.apply(batch(first))
    await intake.apply(batch(second))
    first.facts.clear()
    await intake.apply(batch(first.end()))
    episode, task, deal = await one(database, Episode), await one(database, Task), await one(database, Deal)
    assert (episode.status, task.status, deal.responsible_id) == ("recovered", "done", office.id("olena"))
    assert "talked to Olena Hryhorenko" in task.result


@pytest.mark.parametrize("ended", [True, False])
async def test_who_was_called_back_at_once_leaves_no_deal_in_didnt_reach(
    database: Database, office: Office, intake: Intake, *, ended: bool
) -> None:
    """We call back within the two seconds in which the verdict on the missed call is not there yet, or talk already meanwhile."""
    missed = FactStory("17.1").ring("101").wait(9)
    await intake.apply(batch(missed))
    back = outbound("17.2", "102", at=NOON + timedelta(seconds=10 if ended else 2)).wait(0.5).answer("102")
    await intake.apply(batch(back.wait(0.5).end() if ended else back))
    missed.facts.clear()
    await intake.apply(batch(missed.end()))
    if not ended:
        back.facts.clear()
        await intake.apply(batch(back.wait(60).end()))
    episode, deal = await one(database, Episode), await one(database, Deal)
    assert episode.status == "reached"
    assert (await stage_name(database, deal), deal.responsible_id) == ("Unsorted", office.id("olena"))
    assert {call.deal_id for call in await rows(database, Call)} == {deal.id}
    assert [task.status for task in await rows(database, Task)] == ["done"]


async def test_episode_is_reached_when_we_get_through(database: Database, office: Office, intake: Intake) -> None:
    await intake.apply(batch(FactStory("17.1").ring("101").wait(9).end()))
    await intake.apply(batch(outbound("17.2", "101", at=NOON + timedelta(minutes=1)).wait(20).end()))
    episode = await one(database, Episode)
    assert (episode.status, episode.attempts) == ("open", 1)
    await intake.apply(
        batch(outbound("17.3", "102", at=NOON + timedelta(minutes=3)).wait(4).answer("102").wait(30).end())
    )
    episode = await one(database, Episode)
    assert (episode.status, episode.attempts) == ("reached", 2)
    assert [attempt.result for attempt in await rows(database, Attempt)] == ["didnt_reach", "reached"]


async def test_after_a_closed_episode_a_miss_opens_a_new_one(
    database: Database, office: Office, intake: Intake
) -> None:
    await intake.apply(batch(FactStory("17.1").ring("101").end()))
    await intake.apply(batch(FactStory("17.2", at=NOON + timedelta(minutes=1)).ring("101").answer("101").end()))
    await intake.apply(batch(FactStory("17.3", at=NOON + timedelta(minutes=2)).ring("102").end()))
    assert [e.status for e in await rows(database, Episode)] == ["recovered", "open"]
    assert (await rows(database, Episode))[1].owner_id == office.id("ivan")  # responsible for the open deal


async def test_colleague_answers_then_nobody_has_a_miss(database: Database, office: Office, intake: Intake) -> None:
    await intake.apply(batch(FactStory().ring("101", "102", "103").wait(4).answer("103").wait(5).end()))
    assert not await rows(database, Episode)
    results = {leg.extension: leg.result for leg in await rows(database, CallLeg)}
    assert results == {"101": "elsewhere", "102": "elsewhere", "103": "talked"}


async def test_applying_twice_changes_nothing(database: Database, office: Office, intake: Intake) -> None:
    told = batch(
        FactStory("17.1").ring("101").wait(9).end(),
        FactStory("17.2", client="+380501112233").ring("101").answer("101").end(),
    )
    await intake.apply(told)
    counts = [len(await rows(database, table)) for table in (Call, CallLeg, Deal, Episode, Task)]
    await intake.apply(told)
    assert [len(await rows(database, table)) for table in (Call, CallLeg, Deal, Episode, Task)] == counts
    assert (await one(database, Episode)).missed_count == 1


async def test_second_call_goes_to_the_open_deal(database: Database, office: Office, intake: Intake) -> None:
    await intake.apply(batch(FactStory("17.1").ring("101").answer("101").end()))
    await intake.apply(batch(FactStory("17.2", at=NOON + timedelta(hours=1)).ring("102").answer("102").end()))
    deal = await one(database, Deal)
    assert deal.responsible_id == office.id("ivan")
    assert {call.deal_id for call in await rows(database, Call)} == {deal.id}


async def test_unmapped_extension_raises_one_task_for_the_manager(
    database: Database, office: Office, intake: Intake
) -> None:
    for number in range(2):
        told = (
            FactStory(f"17.{number}", client=f"+38050111223{number}", at=NOON + timedelta(minutes=number))
            .ring("199")
            .answer("199")
            .end()
        )
        await intake.apply(batch(told))
    task = await one(database, Task)
    assert (task.kind, task.assignee_id) == ("control", office.id("maria"))
    assert "Extension 199 answered a client but belongs to no user" in reasons.text(task.reason)
    assert {deal.responsible_id for deal in await rows(database, Deal)} == {office.id("maria")}


@pytest.mark.parametrize("kind", list(NumberKind))
async def test_own_and_spam_numbers_make_nothing(
    database: Database, office: Office, intake: Intake, kind: NumberKind
) -> None:
    async with database.write() as session:
        session.add(SpecialNumber(number=CLIENT, kind=kind.value, added_at=NOON))
    await intake.apply(batch(FactStory("17.1").ring("101").end(), FactStory("17.2").ring("101").answer("101").end()))
    assert not await rows(database, Deal)
    assert not await rows(database, Episode)
    assert all(reasons.text(call.reason) for call in await rows(database, Call))


async def test_anonymous_callers_are_kept_and_share_one_episode(
    database: Database, office: Office, intake: Intake
) -> None:
    for number in range(2):
        await intake.apply(
            batch(FactStory(f"17.{number}", client=None, at=NOON + timedelta(minutes=number)).ring("101").end())
        )
    episode, task = await one(database, Episode), await one(database, Task)
    assert (episode.missed_count, episode.client_number) == (2, None)
    assert "withheld" in task.title
    assert (await one(database, Deal)).title == "Number withheld"
    assert len(await rows(database, Call)) == 2


async def test_internal_calls_make_nothing(database: Database, office: Office, intake: Intake) -> None:
    await intake.apply(
        batch(FactStory(client=None, direction=Direction.INTERNAL, made_by="101").ring("102").answer("102").end())
    )
    assert not await rows(database, Deal)
    assert reasons.text((await one(database, Call)).reason) == "A call between colleagues: no deal."


async def test_interrupted_and_unknown_calls_accuse_nobody(database: Database, office: Office, intake: Intake) -> None:
    told = (FactStory("17.1").ring("101").end(Outcome.INTERRUPTED), FactStory("17.2").ring("101").end(Outcome.UNKNOWN))
    await intake.apply(batch(*told))
    assert not await rows(database, Episode)
    assert all(reasons.text(call.reason) for call in await rows(database, Call))


async def test_a_recording_keeps_its_name_to_the_blank(database: Database, office: Office, intake: Intake) -> None:
    told = "2026/11/18/" + "in  from " * 30 + "+380671112233 .wav"
    story = FactStory().ring("101").answer("101")
    story.state = replace(story.state, recording=f"\0{told}\r\n")
    await intake.apply(batch(story.end()))
    assert (await one(database, Call)).recording == told
    assert len(told) > 200


async def test_absorbed_call_is_a_part_of_the_other(database: Database, office: Office, intake: Intake) -> None:
    client = FactStory("17.1").ring("101").answer("101")
    consult = (
        FactStory("17.2", client=None, direction=Direction.INTERNAL, made_by="101", at=NOON + timedelta(seconds=5))
        .ring("103")
        .wait(1)
    )
    await intake.apply(batch(client, consult.absorbed_by("17.1")))
    merged = {call.linkedid: call.merged_into_id is not None for call in await rows(database, Call)}
    assert merged == {"17.1": False, "17.2": True}


async def test_rules_of_a_line(database: Database, office: Office, intake: Intake) -> None:
    async with database.write() as session:
        stage = (await session.exec(select(Stage).where(Stage.name == "New request"))).one()
        session.add(Line(name="Sales", did="100", stage_id=stage.id, source="Advert", position=1, short_seconds=3))
        session.add(Line(name="Silent", trunk="other*", makes_deals=False, makes_callbacks=False, position=2))
    await intake.apply(batch(FactStory("17.1").ring("101").answer("101").end()))
    deal = await one(database, Deal)
    assert (await stage_name(database, deal), deal.source) == ("New request", "Advert")
    await intake.apply(
        batch(FactStory("17.2", did="999", trunk="other-1", client="+380501112244").ring("101").wait(9).end())
    )
    await intake.apply(batch(FactStory("17.3", client="+380501112255").ring("101").wait(2).end()))
    calls = {call.linkedid: call for call in await rows(database, Call)}
    assert "makes no deals" in reasons.text(calls["17.2"].reason)
    assert calls["17.3"].missed_reason == MissedReason.SHORT
    assert not await rows(database, Episode)


async def test_several_contacts_with_one_number_leave_the_contact_open(
    database: Database, office: Office, intake: Intake
) -> None:
    async with database.write() as session:
        for name in ("Petro Lys", "Lys & Sons"):
            contact = Contact(name=name, created_at=NOON)
            session.add(contact)
            await session.flush()
            session.add(Phone(contact_id=contact.id or 0, number=CLIENT))
    await intake.apply(batch(FactStory().ring("101").answer("101").end()))
    assert (await one(database, Call)).contact_id is None
    assert (await one(database, Deal)).contact_id is None


async def test_known_contact_names_the_deal_and_owns_the_callback(
    database: Database, office: Office, intake: Intake
) -> None:
    async with database.write() as session:
        contact = Contact(name="Zoria Ltd", responsible_id=office.id("ivan"), created_at=NOON)
        session.add(contact)
        await session.flush()
        session.add(Phone(contact_id=contact.id or 0, number=CLIENT))
    await intake.apply(batch(FactStory(client="0671112233").ring("102").end()))
    deal, episode = await one(database, Deal), await one(database, Episode)
    assert (deal.title, deal.contact_id, episode.client_key) == (
        "Zoria Ltd",
        deal.contact_id,
        f"contact:{deal.contact_id}",
    )
    assert episode.owner_id == office.id("ivan")
    assert "responsible for the client" in reasons.text(episode.reason)


async def test_owner_order_can_be_edited_and_skips_who_is_off_shift(
    database: Database, office: Office, intake: Intake
) -> None:
    async with database.write() as session:
        session.add(Option(key="owner_order", value=["manager", "last_rang"]))
    await intake.apply(batch(FactStory().ring("101").end()))
    assert (await one(database, Episode)).owner_id == office.id("maria")
    night = FactStory("17.9", client="+380501110000", at=NOON + timedelta(hours=10)).ring("101").end()
    await intake.apply(batch(night))
    async with database.read() as session:
        episode = (await session.exec(select(Episode).where(Episode.client_number == "+380501110000"))).one()
    assert "Nobody in the order is on shift" in reasons.text(episode.reason)


async def test_extension_moved_mid_call_stays_with_who_had_it(
    database: Database, office: Office, intake: Intake
) -> None:
    story = FactStory().ring("101")
    await intake.apply(batch(story))
    async with database.write() as session:
        row = await session.get(Extension, "101")
        assert row is not None
        row.user_id = office.id("petro")
    await intake.apply(batch(story.wait(1).answer("101").end()))
    assert (await one(database, CallLeg)).user_id == office.id("ivan")


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "a\r\nAction: Originate",
        "x" * 10_000,
        "\u202egnp.exe",
        "\U0001f600",
        "\ud800".encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
    ],
)
async def test_hostile_names_are_kept_harmless(database: Database, office: Office, intake: Intake, name: str) -> None:
    await intake.apply(batch(FactStory(name=name).ring("101").answer("101").end()))
    call = await one(database, Call)
    kept = call.client_name or ""
    assert len(kept) <= 200
    assert not set(kept) & set("\r\n\u202e\x00")


@pytest.mark.parametrize("number", ["not a number", "9" * 300, "sip:evil@host", "+", "'; DROP TABLE calls; --", "101"])
async def test_numbers_that_are_not_numbers(database: Database, office: Office, intake: Intake, number: str) -> None:
    await intake.apply(batch(FactStory(client=number).ring("101").end()))
    await one(database, Call)
    await one(database, Episode)


async def test_position_is_kept_with_the_facts(database: Database, office: Office, intake: Intake) -> None:
    await intake.apply(batch(FactStory().ring("101").end(), position=4711))
    assert (await intake.open_journal("default", "", "a", is_new=False))[1].position == 4711


async def test_everything_works_before_anybody_is_hired(database: Database, intake: Intake) -> None:
    await intake.apply(
        batch(
            FactStory("17.1").ring("101").end(),
            FactStory("17.2", client="+380501112244").ring("101").answer("101").end(),
        )
    )
    assert len(await rows(database, Call)) == 2
    assert not await rows(database, Deal)  # there is no pipeline yet either
    async with database.read() as session:
        episode = (await session.exec(select(Episode).where(col(Episode.owner_id).is_(None)))).one()
    assert "add people first" in reasons.text(episode.reason)
