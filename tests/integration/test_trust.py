"""What a seller cannot do to, or learn of, the clients of another team."""

import json
from datetime import timedelta
from urllib.parse import quote

import pytest
from sqlmodel import col, select

from pbxcrm.access import Viewer
from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.callbacks.results import dismiss
from pbxcrm.callbacks.special_numbers import put_on_list
from pbxcrm.calls.models import Call
from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.contacts.actions import create_contact, edit_contact, unmark_number
from pbxcrm.contacts.models import NumberKind, SpecialNumber
from pbxcrm.deals.actions import edit_deal
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Deal
from pbxcrm.reactions.call_context import load_call_context
from pbxcrm.reactions.caller_lookup import look_up
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict, Invalid, NotAllowed, NotFound
from pbxcrm.shared.settings import Settings
from pbxcrm.tasks.actions import create_task, edit_task
from pbxcrm.tasks.finish_actions import finish_task
from pbxcrm.tasks.models import Task
from pbxcrm.tasks.progress_actions import comment_task
from tests.calls import NOON, FactStory, batch
from tests.integration.walking import SECRET_NUMBER, Walker, ask
from tests.lamps import lamp_of_callback
from tests.office import Office

HIDDEN, UNKNOWN = SECRET_NUMBER, "+380671110088"


async def test_a_task_lets_nobody_in(database: Database, office: Office) -> None:
    """A reference beside a checked one: the deal is one's own, the client is not."""
    async with database.write() as session:
        petro, ivan = await office.viewer(session, "petro"), await office.viewer(session, "ivan")
        hidden = await create_contact(session, petro, name="Hidden", now=NOON, region="UA")
        deal = await create_deal(session, ivan, title="Own", now=NOON, currency="UAH", second=True, region="UA")
        await session.flush()
        with pytest.raises(NotFound):
            await create_task(session, ivan, title="Call", due_at=NOON, now=NOON, deal_id=deal.id, contact_id=hidden.id)
        session.add(
            Task(
                kind="todo",
                title="From before",
                due_at=NOON,
                created_at=NOON,
                assignee_id=ivan.user_id,
                created_by_id=ivan.user_id,
                contact_id=hidden.id,
            )
        )
        await session.flush()
        with pytest.raises(NotFound):
            await edit_contact(session, ivan, hidden.id or 0, version=None, now=NOON, region="UA", name="Mine")


async def test_who_only_answered_reads_and_does_not_change(database: Database, office: Office, intake: Intake) -> None:
    async with database.write() as session:
        petro = await office.viewer(session, "petro")
        client = await create_contact(session, petro, name="Client", now=NOON, region="UA", phones=[UNKNOWN])
        await create_deal(
            session, petro, title="Deal", now=NOON, currency="UAH", second=True, region="UA", contact_id=client.id
        )
    await intake.apply(batch(FactStory("1.1", client=UNKNOWN).ring("101").answer("101").wait(9).end()))
    async with database.write() as session:
        ivan = await office.viewer(session, "ivan")
        with pytest.raises(NotAllowed):
            await edit_contact(
                session, ivan, client.id or 0, version=None, now=NOON, region="UA", responsible_id=ivan.user_id
            )


async def test_a_typed_number_moves_neither_routing_nor_calls(
    database: Database, office: Office, intake: Intake, settings: Settings
) -> None:
    async with database.write() as session:
        petro, ivan = await office.viewer(session, "petro"), await office.viewer(session, "ivan")
        client = await create_contact(session, petro, name="Client", now=NOON, region="UA", phones=[UNKNOWN])
        theirs = await create_deal(
            session, petro, title="Theirs", now=NOON, currency="UAH", second=True, region="UA", contact_id=client.id
        )
        await create_contact(session, ivan, name="Double", now=NOON, region="UA", phones=[UNKNOWN])
    async with database.write() as session:
        for typed in (UNKNOWN, "+380671110089"):
            later = NOON + timedelta(minutes=1)
            await create_deal(
                session, ivan, title="Typed", now=later, currency="UAH", second=True, region="UA", client_number=typed
            )
    async with database.read() as session:
        context = await load_call_context(session, settings)
        assert (await look_up(session, context, UNKNOWN, "", NOON)).extension == "201"
        assert (await look_up(session, context, "+380671110089", "", NOON)).extension == "101"  # nobody else has it
    await intake.apply(batch(FactStory("1.1", client=UNKNOWN).ring("201").answer("201").wait(9).end()))
    async with database.read() as session:
        assert (await session.exec(select(Call.deal_id))).one() == theirs.id


async def test_a_number_typed_into_a_deal_does_not_open_the_client_that_comes_later(
    database: Database, office: Office
) -> None:
    async with database.write() as session:
        petro, ivan = await office.viewer(session, "petro"), await office.viewer(session, "ivan")
        await create_deal(
            session, ivan, title="T", now=NOON, currency="UAH", second=True, region="UA", client_number=UNKNOWN
        )
        await session.flush()
        await create_contact(session, petro, name="Client", now=NOON, region="UA", phones=[UNKNOWN])
    async with database.read() as session:
        assert (await session.exec(select(Deal.contact_id))).one() is None


async def open_status(database: Database, number: str) -> str:
    async with database.read() as session:
        return (await session.exec(select(Episode.status).where(col(Episode.client_number) == number))).one()


async def test_a_number_is_silenced_by_whose_client_it_is(database: Database, office: Office, intake: Intake) -> None:
    await intake.apply(batch(FactStory("1.1", client=UNKNOWN).ring("201").wait(20).end()))

    async def silence(viewer: Viewer, number: str) -> None:
        async with database.write() as session:
            await put_on_list(session, viewer, number, NumberKind.SPAM, note="Robot", region="UA", now=NOON)

    async with database.read() as session:
        ivan, maria = await office.viewer(session, "ivan"), await office.viewer(session, "maria")
        oksana = await office.viewer(session, "oksana")
    said = set()
    for stranger, number in ((ivan, UNKNOWN), (ivan, "+380671110099"), (maria, UNKNOWN)):
        with pytest.raises(NotAllowed) as refused:
            await silence(stranger, number)
        said.add(str(refused.value))
    assert len(said) == 1  # it does not tell whether somebody has the number
    assert await open_status(database, UNKNOWN) == EpisodeStatus.OPEN
    await silence(oksana, UNKNOWN)
    assert await open_status(database, UNKNOWN) == EpisodeStatus.DISMISSED
    async with database.write() as session:
        task = (await session.exec(select(Task).where(col(Task.about).like("number:%")))).one()
        assert task.assignee_id == office.id("petro")
        assert "Robot" in task.title
        with pytest.raises(NotAllowed):
            await unmark_number(session, ivan, UNKNOWN, now=NOON)
        await unmark_number(session, oksana, UNKNOWN, now=NOON)
        await session.flush()
        assert (await session.exec(select(SpecialNumber))).all() == []


async def test_look_ups_do_not_tell_that_a_hidden_client_is_there(walker: Walker) -> None:
    seeded = walker.seeded
    async with walker.app() as app:
        for path, headers in (
            ("/dialplan/lookup?number={}&format=json", {**seeded.tokens["ivan"], "x-forwarded-for": "203.0.113.7"}),
            ("/deals/new?number={}", seeded.cookies["ivan"]),
        ):
            told = []
            for number in (HIDDEN, UNKNOWN):
                answer = await ask(app, "GET", path.format(quote(number)), headers)
                told.append((answer.status, answer.text.replace(number, "N")))
            assert told[0] == told[1], path
            assert told[0][0] == 200
        answer = await ask(
            app,
            "GET",
            f"/dialplan/lookup?number={quote(HIDDEN)}",
            {**seeded.tokens["petro"], "x-forwarded-for": "203.0.113.7"},
        )
        assert json.loads(answer.text)["extension"] == "201"


async def test_a_deal_with_somebody_elses_client_lets_one_see_and_no_more(
    database: Database, office: Office, intake: Intake, settings: Settings
) -> None:
    async with database.write() as session:
        petro = await office.viewer(session, "petro")
        client = await create_contact(session, petro, name="Client", now=NOON, region="UA", phones=[UNKNOWN])
    await intake.apply(batch(FactStory("1.1", client=UNKNOWN).ring("101").wait(20).end()))
    async with database.write() as session:
        ivan = await office.viewer(session, "ivan")
        hook = await create_deal(
            session, ivan, title="Hook", now=NOON, currency="UAH", second=True, region="UA", contact_id=client.id
        )
        empty = await create_deal(session, ivan, title="Empty", now=NOON, currency="UAH", second=True, region="UA")
        await edit_deal(
            session, ivan, empty.id or 0, version=None, now=NOON, contact_id=client.id, keep_contact=False, second=True
        )
    async with database.write() as session:
        with pytest.raises(NotAllowed):
            await edit_contact(session, ivan, client.id or 0, version=None, now=NOON, region="UA", name="Taken")
        told = (await session.exec(select(Task).where(col(Task.about).startswith("deal-with:")))).all()
        assert {(task.assignee_id, task.contact_id, task.deal_id) for task in told} == {
            (office.id("petro"), client.id, None)
        }
        assert len(told) == 2
        context = await load_call_context(session, settings)
        assert (await look_up(session, context, UNKNOWN, "", NOON)).extension == "201"
    await intake.apply(batch(FactStory("1.2", client=UNKNOWN, at=NOON + timedelta(hours=1)).ring("201").wait(20).end()))
    async with database.read() as session:
        call = (await session.exec(select(Call).where(Call.linkedid == "1.2"))).one()
        assert call.deal_id not in {hook.id, empty.id}
        assert call.responsible_id == office.id("petro")


async def test_a_client_nobody_is_responsible_for_is_changed_by_whose_deal_it_is(
    database: Database, office: Office
) -> None:
    async with database.write() as session:
        petro = await office.viewer(session, "petro")
        client = await create_contact(session, petro, name="Client", now=NOON, region="UA", phones=[UNKNOWN])
        await create_deal(
            session, petro, title="D", now=NOON, currency="UAH", second=True, region="UA", contact_id=client.id
        )
        client.responsible_id = None
        await session.flush()
        await edit_contact(session, petro, client.id or 0, version=None, now=NOON, region="UA", name="Client of mine")


async def test_what_was_given_to_the_manager_is_not_finished_by_whose_deal_it_is(
    database: Database, office: Office
) -> None:
    async with database.write() as session:
        ivan, maria = await office.viewer(session, "ivan"), await office.viewer(session, "maria")
        deal = await create_deal(session, ivan, title="Own", now=NOON, currency="UAH", second=True, region="UA")
        made = {}
        for kind in ("assignment", "control", "todo"):
            made[kind] = Task(
                kind=kind, title="T", due_at=NOON, created_at=NOON, assignee_id=maria.user_id, deal_id=deal.id
            )
        lamp = Task(
            kind="lamp",
            title="L",
            due_at=NOON,
            created_at=NOON,
            assignee_id=ivan.user_id,
            deal_id=deal.id,
            about="lamp:1",
        )
        session.add_all([*made.values(), lamp])
        await session.flush()
        for kind in ("assignment", "control"):
            with pytest.raises(NotAllowed):
                await finish_task(session, ivan, made[kind].id or 0, result="ok", now=NOON)
            with pytest.raises(NotAllowed):
                await edit_task(session, ivan, made[kind].id or 0, version=None, now=NOON, title="Nothing")
            await comment_task(session, ivan, made[kind].id or 0, text="Please look", now=NOON)
        await finish_task(session, ivan, made["todo"].id or 0, result="ok", now=NOON)
        await finish_task(session, maria, made["assignment"].id or 0, result="ok", now=NOON)
        with pytest.raises(Conflict):
            await edit_task(session, ivan, lamp.id or 0, version=None, now=NOON, title="Nothing to see")


async def test_a_number_is_not_silenced_without_call_or_reason(
    database: Database, office: Office, intake: Intake
) -> None:
    await intake.apply(batch(FactStory("1.1", client=UNKNOWN).ring("101").wait(20).end()))

    async def silence(note: str) -> None:
        async with database.write() as session:
            ivan = await office.viewer(session, "ivan")
            await put_on_list(session, ivan, UNKNOWN, NumberKind.SPAM, note=note, region="UA", now=NOON)

    with pytest.raises(Invalid) as refused:
        await silence("")
    assert refused.value.field == "note"
    async with database.write() as session:
        episode = (await session.exec(select(Episode))).one()
        lamp = await lamp_of_callback(session, episode, NOON, state=LampState.BURNING, addressee_id=episode.owner_id)
    with pytest.raises(Conflict):
        await silence("A robot")
    assert await open_status(database, UNKNOWN) == EpisodeStatus.OPEN
    async with database.write() as session:
        ivan, maria = await office.viewer(session, "ivan"), await office.viewer(session, "maria")
        passed = await dismiss(session, ivan, episode.id or 0, "A robot", now=NOON)
        assert passed.passed is not None
    async with database.write() as session:
        assert (await session.get_one(Lamp, lamp.id)).state == LampState.BURNING
        await put_on_list(session, maria, UNKNOWN, NumberKind.SPAM, note="A robot", region="UA", now=NOON)
    assert await open_status(database, UNKNOWN) == EpisodeStatus.DISMISSED
    async with database.read() as session:
        task = await session.get_one(Task, passed.passed.id)
        assert (task.status, task.result_code["code"]) == ("done", "passed.settled")
