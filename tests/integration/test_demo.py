"""The sample company: something to see at any hour, within minutes, and a past that holds together like a real one."""

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from wave import open as open_wave
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import col, select

from pbxcrm.calendars.queries import load_calendars
from pbxcrm.callbacks.queries import load_context
from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.checkpoints.engine import settle_deals
from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.deals.models import Deal, Stage, StageKind, StageMove
from pbxcrm.demo.filling import NORM_MINUTES
from pbxcrm.demo.people import COLLEAGUES, MANAGERS, PEOPLE
from pbxcrm.demo.recordings import RECORDINGS, write_recordings
from pbxcrm.demo.samples import SAMPLES
from pbxcrm.demo.stories import GOES_ON, DealStory, PipelineShape, StageShape, Storyteller
from pbxcrm.forms.models import FormRequest, RequestState
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.db import Database
from pbxcrm.shared.search_keys import search_key
from pbxcrm.tasks.models import Task
from tests.filled import Filled
from tests.sample_company import DEALS, SUNDAY_NIGHT


@pytest.fixture
def company(database: Database, begins_with_company: Filled[None]) -> Database:
    assert begins_with_company.found(database) is None
    return database


async def test_who_waits_burns_soon_at_any_hour(company: Database) -> None:
    async with company.read() as session:
        office = (await load_calendars(session, await load_directory(session))).default
        context = await load_context(session)
        titles = (await session.exec(select(Deal.title).order_by(col(Deal.id)))).all()
    assert list(titles[DEALS : DEALS + len(SAMPLES)]) == [sample.title for sample in SAMPLES]
    assert context.norm == context.pause == NORM_MINUTES
    assert all(office.is_working(SUNDAY_NIGHT + timedelta(hours=hour)) for hour in range(24 * 8))
    morning = office.next_morning(SUNDAY_NIGHT).astimezone(office.timezone)
    assert (morning.weekday(), morning.hour, morning.minute) == (0, 9, 0)


async def test_every_team_has_sellers_and_a_manager(company: Database) -> None:
    async with company.read() as session:
        people = await load_directory(session)
    sellers = Counter(people.teams[user.team_id or 0].name for user in people.users.values() if user.role == "seller")
    assert sellers == dict.fromkeys(MANAGERS, 4)
    assert all(people.users[team.manager_id or 0].role == "manager" for team in people.teams.values())
    assert len(people.users) == len(PEOPLE) + len(COLLEAGUES)


async def test_the_past_holds_together(company: Database) -> None:
    """Each deal moved from where it was to where it is; a closed one ends in a closing stage; nothing happens in the future."""
    async with company.read() as session:
        deals = {deal.id: deal for deal in (await session.exec(select(Deal))).all()}
        kinds = {stage.id: stage.kind for stage in (await session.exec(select(Stage))).all()}
        moves = (await session.exec(select(StageMove).order_by(col(StageMove.deal_id), col(StageMove.id)))).all()
        calls = (await session.exec(select(Call))).all()
        talked = {leg.call_id for leg in (await session.exec(select(CallLeg))).all() if leg.result == "talked"}
        tasks = (await session.exec(select(Task))).all()
    at: dict[int, tuple[int | None, datetime | None]] = {}
    for move in moves:
        assert (move.from_stage_id, move.from_since) == at.get(move.deal_id, (None, None))
        at[move.deal_id] = (move.to_stage_id, move.at)
    assert {deal_id: (deal.stage_id, deal.stage_since) for deal_id, deal in deals.items()} == at
    for deal in deals.values():
        assert (deal.closed_at is not None) == (kinds[deal.stage_id] in {StageKind.WON, StageKind.LOST})
        assert bool(deal.lost_reason) == (kinds[deal.stage_id] == StageKind.LOST)
    assert {call.id for call in calls if call.talk_seconds} == talked
    happened = [*(move.at for move in moves), *(call.ended_at for call in calls), *(task.done_at for task in tasks)]
    assert max(each for each in happened if each is not None) <= SUNDAY_NIGHT


async def test_its_tasks_can_be_searched(company: Database) -> None:
    """They are inserted without the ORM, whose events make the search keys of other tasks."""
    async with company.read() as session:
        rows = (await session.exec(select(Task.title, Task.title_folded))).all()
    assert len(rows) > DEALS
    assert [title for title, folded in rows if folded != search_key(title)] == []


async def test_no_client_has_two_open_deals_in_a_pipeline(company: Database) -> None:
    async with company.read() as session:
        rows = await session.exec(select(Deal.pipeline_id, Deal.contact_id).where(col(Deal.closed_at).is_(None)))
        assert max(Counter(rows.all()).values()) == 1


async def test_its_lamps_are_those_of_the_engine(company: Database) -> None:
    """Some lamps of the past reached the manager, some burn; and settling every open deal again changes nothing."""

    async def lamps() -> list[tuple[object, ...]]:
        async with company.read() as session:
            rows = await session.exec(select(Lamp).order_by(col(Lamp.id)))
            return [(each.id, each.state, each.due_at, each.entry) for each in rows.all()]

    async with company.read() as session:
        states = Counter((each.state, each.is_escalation) for each in (await session.exec(select(Lamp))).all())
        open_deals = (await session.exec(select(Deal.id).where(col(Deal.closed_at).is_(None)))).all()
    assert states[LampState.OUT.value, False] > states[LampState.OUT.value, True] > 0
    async with company.read() as session:
        lit = (await session.exec(select(Lamp).where(col(Lamp.lit_at).is_not(None)))).all()
    for lamp in lit:  # each says how its time was counted, those of the past, too
        spans = [[datetime.fromisoformat(moment) for moment in span] for span in lamp.worked]
        assert sum((until - since).total_seconds() for since, until in spans) == lamp.minutes * 60, lamp
    assert states[LampState.BURNING.value, False] > 0
    assert states[LampState.ARMED.value, False] > 0
    before = await lamps()
    async with company.write() as session:
        await settle_deals(session, [deal_id for deal_id in open_deals if deal_id is not None], SUNDAY_NIGHT)
    assert await lamps() == before


def test_the_same_seed_is_the_same_company() -> None:
    stages = [StageShape(nth, 24 * 60) for nth in range(1, 8)]
    shapes = {template: PipelineShape(nth, template, stages, 8, 9) for nth, template in enumerate(GOES_ON)}

    def told(seed: int) -> list[DealStory]:
        return list(Storyteller(shapes, SUNDAY_NIGHT, ZoneInfo("Europe/Kyiv"), seed=seed).tell(50))

    assert told(1) == told(1)
    assert told(1) != told(2)


def test_recordings_are_short_files_that_browsers_play(tmp_path: Path) -> None:
    write_recordings(tmp_path / "recordings")
    for recording in RECORDINGS:
        with open_wave(str(tmp_path / "recordings" / recording.name)) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
            assert 2 < file.getnframes() / file.getframerate() < 6


async def test_requests_came_through_the_form_of_its_site(company: Database) -> None:
    """A new client, one who had bought before and is flagged with the step that failed, and a robot that was set aside."""
    async with company.read() as session:
        requests = (await session.exec(select(FormRequest).order_by(col(FormRequest.id)))).all()
    assert [(request.state, request.is_existing) for request in requests] == [
        (RequestState.DEAL, False),
        (RequestState.DEAL, True),
        (RequestState.ASIDE, False),
    ]
    assert requests[1].fault
    assert all(request.at <= SUNDAY_NIGHT for request in requests)
