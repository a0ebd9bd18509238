"""Checkpoints on the pages of the administrator: what is watched, in which steps, and what that would do before it is saved."""

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from pbxcrm.checkpoints.context import load_watching
from pbxcrm.checkpoints.lighting import LATE, MOST_LATE
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, Lamp, LampState
from pbxcrm.checkpoints.sweep import sweep_lamps
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.deals.seed import seed
from pbxcrm.people.models import User
from pbxcrm.shared import background_jobs
from pbxcrm.shared.db import Database
from tests.integration.web.conftest import Browsers, SetClock
from tests.lamps import callbacks_checkpoint

HELD = "/settings/stages/4"  # Call held: no key stage, so nothing watches it
STEPS = {
    "step_after": ["2", "30"],
    "step_unit": ["h", "min"],
    "step_whom": ["responsible", "user:iryna"],
    "step_what": ["task", "control"],
    "step_text": ["Call again", ""],
    "step_checklist": ["Look at the notes\nCall", ""],
}
FORM: dict[str, Any] = {
    "name": "Held too long",
    "trigger": "stage",
    "work": ["talked", "next_task"],
    "talked_seconds": "20",
    "is_active": "1",
    **STEPS,
}


@pytest.fixture(autouse=True)
async def _seeded(database: Database) -> None:
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")


async def rows(database: Database, table: Any) -> list[Any]:
    async with database.read() as session:
        return list((await session.exec(select(table).order_by(col(table.id)))).all())


async def newest(database: Database) -> Checkpoint:
    found: Checkpoint = (await rows(database, Checkpoint))[-1]
    return found


async def test_a_checkpoint_is_made_with_steps_and_read_back_as_it_was_typed(
    browser: Browsers, database: Database
) -> None:
    admin = await browser("admin")
    assert (await (await browser("iryna")).get(f"{HELD}/checkpoints/new")).status_code == 403
    form = (await admin.get(f"{HELD}/checkpoints/new")).text
    assert 'name="step_whom"' in form
    assert f"over {MOST_LATE} lamps of one person are more than {LATE // timedelta(minutes=1)} minutes late" in form
    made = await admin.post(f"{HELD}/checkpoints/new", data=FORM)
    assert made.status_code == 303
    assert made.headers["location"].startswith(f"{HELD}?job=")
    row = await newest(database)
    assert (row.name, row.stage_id, row.work, row.talked_seconds) == ("Held too long", 4, ["talked", "next_task"], 20)
    steps = [step for step in await rows(database, CheckpointStep) if step.checkpoint_id == row.id]
    assert [(step.after_minutes, step.whom, step.what, step.checklist) for step in steps] == [
        (120, "responsible", "task", ["Look at the notes", "Call"]),
        (30, "user:iryna", "control", []),
    ]
    stage = (await admin.get(made.headers["location"])).text
    assert "Held too long" in stage
    assert "after 2 h".replace(" h", "\u00a0h") in stage
    assert "Ірина Мельник" in stage
    page = (await admin.get(f"/settings/checkpoints/{row.id}")).text
    assert re.findall(r'name="step_after" value="(\d*)"', page) == ["2", "30"]
    assert "Look at the notes\nCall" in page


async def test_steps_are_added_moved_and_removed_with_what_was_typed(browser: Browsers) -> None:
    admin = await browser("admin")
    admin.headers["hx-request"] = "true"
    path = f"{HELD}/checkpoints/new"

    def afters(text: str) -> list[str]:
        return re.findall(r'name="step_after" value="(\d*)"', text)

    added = (await admin.post(path, data={**FORM, "act": "add"})).text
    assert afters(added) == ["2", "30", ""]
    assert "<html" not in added
    assert afters((await admin.post(path, data={**FORM, "act": "down:0"})).text) == ["30", "2"]
    assert afters((await admin.post(path, data={**FORM, "act": "up:1"})).text) == ["30", "2"]
    removed = (await admin.post(path, data={**FORM, "act": "remove:0"})).text
    assert (afters(removed), "Look at the notes" in removed) == (["30"], False)
    for nonsense in ("up:0", "down:1", "remove:9", "remove:x", "remove:" + "9" * 50, "jump"):
        assert afters((await admin.post(path, data={**FORM, "act": nonsense})).text) == ["2", "30"], nonsense
    assert 'value="Held too long"' in removed


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"step_after": ["0", "30"]}, "after-0"),
        ({"step_after": ["2", "3650"], "step_unit": ["h", "d"]}, "after-1"),
        ({"step_after": ["2", ""]}, "after-1"),
        ({"step_after": ["2", "soon"]}, "after-1"),
        ({"step_after": ["2", "9" * 40]}, "after-1"),
        ({"step_whom": ["responsible", "user:nobody"]}, "whom-1"),
        ({"step_whom": ["responsible", "role:qc"]}, "whom-1"),
        ({"step_whom": ["user:dmytro", "manager"]}, "whom-0"),
        ({"step_text": ["x" * 301, ""]}, "text-0"),
        ({"step_checklist": ["", "item\n" * 1000]}, "checklist-1"),
        ({"step_what": ["task", "party"]}, "what-1"),
        ({"name": ""}, "f-name"),
        ({"work": ["field_filled"]}, "f-filled_field"),
        ({"talked_seconds": "100000"}, "f-talked_seconds"),
    ],
)
async def test_what_is_wrong_is_said_where_it_was_typed_and_nothing_is_lost(
    browser: Browsers, database: Database, change: dict[str, Any], place: str
) -> None:
    async with database.write() as session:
        gone = (await session.exec(select(User).where(User.login == "dmytro"))).one()
        gone.is_active = False
    admin = await browser("admin")
    answer = await admin.post(f"{HELD}/checkpoints/new", data={**FORM, **change})
    assert answer.status_code == 422
    assert f'id="{place}-error"' in answer.text
    assert "Look at the notes" in answer.text or "step_checklist" in change
    assert not [row for row in await rows(database, Checkpoint) if row.stage_id == 4]


async def test_a_first_step_by_a_norm_that_is_not_there_is_refused_at_its_field(
    browser: Browsers, database: Database
) -> None:
    async with database.write() as session:
        (await session.get_one(Stage, 4)).norm_minutes = None
    admin = await browser("admin")
    answer = await admin.post(f"{HELD}/checkpoints/new", data={**FORM, "step_after": ["", "30"]})
    assert (answer.status_code, 'id="after-0-error"' in answer.text) == (422, True)
    assert "or give the stage a norm first" in answer.text
    closing = next(row.id for row in await rows(database, Stage) if row.kind == "won")
    assert "Add a checkpoint" not in (await admin.get(f"/settings/stages/{closing}")).text
    answer = await admin.post(f"/settings/stages/{closing}/checkpoints/new", data=FORM)
    assert (answer.status_code, "Deals are closed in this stage" in answer.text) == (422, True)


async def test_no_step_is_refused(browser: Browsers) -> None:
    admin = await browser("admin")
    none = {name: value for name, value in FORM.items() if not name.startswith("step_")}
    answer = await admin.post(f"{HELD}/checkpoints/new", data=none)
    assert (answer.status_code, "one to 10 steps" in answer.text) == (422, True)


async def test_a_person_who_has_left_is_told_as_soon_as_one_looks(browser: Browsers, database: Database) -> None:
    admin = await browser("admin")
    await admin.post(f"{HELD}/checkpoints/new", data={**FORM, "step_whom": ["responsible", "user:iryna"]})
    row = await newest(database)
    assert "has left" not in (await admin.get(f"/settings/checkpoints/{row.id}")).text
    async with database.write() as session:
        gone = (await session.exec(select(User).where(User.login == "iryna"))).one()
        gone.is_active = False
    page = (await admin.get(f"/settings/checkpoints/{row.id}")).text
    assert "Ірина Мельник (has left)" in page
    assert 'id="whom-1-error"' in page
    pipeline = (await admin.get("/settings/pipelines/1")).text
    assert pipeline.count("a step asks somebody who cannot do it") == 1  # at its stage


async def test_two_administrators_at_one_checkpoint_lose_nothing(browser: Browsers, database: Database) -> None:
    admin = await browser("admin")
    await admin.post(f"{HELD}/checkpoints/new", data=FORM)
    row = await newest(database)
    path = f"/settings/checkpoints/{row.id}"
    first = await admin.post(path, data={**FORM, "name": "The first", "version": "1"})
    assert first.status_code == 303
    second = await admin.post(path, data={**FORM, "name": "The second", "version": "1"})
    assert (second.status_code, 'value="The second"' in second.text) == (409, True)
    assert 'name="version" value="2"' in second.text
    assert (await newest(database)).name == "The first"
    assert (await admin.post(path, data={**FORM, "name": "The second", "version": "2"})).status_code == 303
    assert (await newest(database)).name == "The second"


async def test_what_would_light_at_once_is_asked_before_it_is_saved(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    admin = await browser("admin")
    for title in ("Fence", "Gate"):
        await admin.post("/deals/new", data={"title": title, "stage_id": "4"})
    clock.forward(days=2)
    await admin.post("/deals/new", data={"title": "Roof", "stage_id": "4"})
    tried = await admin.post(
        f"{HELD}/checkpoints/new", data={**FORM, "step_whom": ["responsible", "manager"], "act": "try"}
    )
    assert "It touches 3 deals." in tried.text
    assert "2 lamps would light at once." in tried.text
    assert "4 lamps, 2 at managers, instead of 0 and 0." in tried.text
    asked = await admin.post(f"{HELD}/checkpoints/new", data=FORM)
    assert (asked.status_code, "2 lamps would light at once." in asked.text) == (422, True)
    assert not [row for row in await rows(database, Checkpoint) if row.stage_id == 4]
    assert (await admin.post(f"{HELD}/checkpoints/new", data={**FORM, "begin": "now"})).status_code == 303
    await sweep_lamps(database, clock())
    assert {lamp.state for lamp in await rows(database, Lamp)} == {LampState.ARMED}
    row = await newest(database)
    again = await admin.post(f"/settings/checkpoints/{row.id}", data={**FORM, "version": "1", "begin": "facts"})
    assert again.status_code == 303
    clock.forward(hours=3)
    await sweep_lamps(database, clock())
    assert [lamp.state for lamp in await rows(database, Lamp)].count(LampState.BURNING) == 3
    quiet = await admin.post(f"/settings/checkpoints/{row.id}", data={**FORM, "version": "2"})
    assert quiet.status_code == 303  # what burns already does not light again, so nothing is asked


async def test_long_work_is_told_while_it_runs(
    browser: Browsers, database: Database, monkeypatch: pytest.MonkeyPatch, clock: SetClock
) -> None:
    admin = await browser("admin")
    for number in range(5):
        await admin.post("/deals/new", data={"title": f"Deal {number}", "stage_id": "4"})
    monkeypatch.setattr("pbxcrm.checkpoints.preview_jobs.BATCH", 2)
    clock.forward(days=2)
    begun = (
        await admin.post(
            f"{HELD}/checkpoints/new", data={**FORM, "step_whom": ["responsible", "manager"], "act": "try"}
        )
    ).text
    (path,) = re.findall(r'hx-get="(/settings/trials/\d+)"', begun)
    assert 'value="0"' in begun
    assert (await (await browser("iryna")).get(path)).status_code == 403
    monkeypatch.setattr(background_jobs, "MOST_BATCHES", 1)
    await background_jobs.work_on(database, clock())
    halfway = (await admin.get(path)).text
    assert 'value="2"' in halfway
    while "hx-get" in (await admin.get(path)).text:
        await background_jobs.work_on(database, clock())
    assert "5 lamps would light at once." in (await admin.get(path)).text
    assert "10 lamps, 5 at managers, instead of 0 and 0." in (await admin.get(path)).text


async def test_the_key_stages_are_switched_on_with_one_click(browser: Browsers, database: Database) -> None:
    admin = await browser("admin")
    async with database.read() as session:
        waiting = (await session.exec(select(Stage).where(col(Stage.waits_for_client), Stage.pipeline_id == 1))).all()
    keys = [stage for stage in waiting if stage.norm_minutes is not None]
    for row in await rows(database, Checkpoint):
        if row.stage_id in {stage.id for stage in keys}:
            removed = await admin.post(f"/settings/checkpoints/{row.id}/remove")
            assert removed.status_code == 303, removed.text
    page = (await admin.get("/settings/pipelines/1")).text
    assert f"{len(keys)} key stages have norms that no checkpoint watches." in page
    assert (await admin.post("/settings/pipelines/1/watch")).status_code == 303
    watched = [row.stage_id for row in await rows(database, Checkpoint) if row.archived_at is None and row.stage_id]
    assert sorted(watched) == sorted(stage.id or 0 for stage in keys)
    assert (len(waiting), len(keys)) == (
        6,
        5,
    )  # of the shipped pipeline; a client who was not reached is watched as a callback
    assert "that no checkpoint watches" not in (await admin.get("/settings/pipelines/1")).text
    assert (await admin.post("/settings/pipelines/1/watch")).status_code == 409


async def test_a_silence_and_a_date_are_watched_in_the_whole_pipeline(browser: Browsers, database: Database) -> None:
    admin = await browser("admin")
    path = "/settings/pipelines/1/checkpoints/new"
    assert 'value="stage"' not in (await admin.get(path)).text
    silence = await admin.post(path, data={**FORM, "name": "Silent", "trigger": "silence"})
    assert (silence.status_code, silence.headers["location"].split("?")[0]) == (303, "/settings/pipelines/1")
    assert (await newest(database)).pipeline_id == 1
    date = {
        **FORM,
        "name": "Before it is due",
        "trigger": "date",
        "date_field": "next_task_at",
        "offset": "2",
        "offset_unit": "h",
        "offset_side": "before",
        "step_after": ["", "30"],
    }
    assert (await admin.post(path, data=date)).status_code == 303
    row = await newest(database)
    assert (row.trigger, row.field, row.offset_minutes) == ("date", "next_task_at", -120)
    page = (await admin.get(f"/settings/checkpoints/{row.id}")).text
    assert 'name="offset" type="text" value="2"' in page
    assert 'value="before" selected' in page
    assert "before: when the next task is due" in (await admin.get("/settings/pipelines/1")).text
    wrong = await admin.post(path, data={**date, "date_field": "birthday"})
    assert (wrong.status_code, 'id="f-date_field-error"' in wrong.text) == (422, True)
    wrong = await admin.post(path, data={**date, "offset": "4000", "offset_unit": "d"})
    assert (wrong.status_code, 'id="f-offset-error"' in wrong.text) == (422, True)


async def test_another_norm_asks_about_the_deals_that_stand_there(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    admin = await browser("admin")
    await admin.post("/deals/new", data={"title": "Fence", "stage_id": "5"})
    clock.forward(days=1)
    form = {"name": "Proposal sent", "kind": "open", "norm": "1", "norm_unit": "h", "waits_for_client": "1", "version": "1"}  # fmt: skip
    too_long = await admin.post("/settings/stages/5", data={**form, "act": "try", "norm": "3652", "norm_unit": "d"})
    assert (too_long.status_code, "at most five years" in too_long.text) == (422, True)
    tried = await admin.post("/settings/stages/5", data={**form, "act": "try"})
    assert "1 lamp would light at once." in tried.text
    empty = await admin.post("/settings/stages/5", data={**form, "norm": "", "act": "try"})
    assert (empty.status_code, empty.headers["hx-retarget"]) == (422, "#stage-form")
    asked = await admin.post("/settings/stages/5", data=form)
    assert (asked.status_code, 'name="begin"' in asked.text) == (422, True)
    assert (await admin.post("/settings/stages/5", data={**form, "begin": "now"})).status_code == 303
    await sweep_lamps(database, clock())
    assert {lamp.state for lamp in await rows(database, Lamp)} == {LampState.ARMED}
    clock.forward(days=1)
    await sweep_lamps(database, clock())
    assert LampState.BURNING in {lamp.state for lamp in await rows(database, Lamp)}


async def test_a_stage_that_goes_says_how_many_lamps_go_with_it(browser: Browsers) -> None:
    admin = await browser("admin")
    await admin.post("/deals/new", data={"title": "Fence", "stage_id": "5"})
    assert "1 lamp is waiting here: it is removed." in (await admin.get("/settings/stages/5/remove")).text
    assert "lamp" not in (await admin.get("/settings/stages/4/remove")).text.split('class="body"')[1]


async def test_two_administrators_at_one_stage_lose_nothing(browser: Browsers) -> None:
    admin = await browser("admin")
    form = {"name": "Call held", "kind": "open", "norm": "", "norm_unit": "h", "version": "1"}
    assert (await admin.post(HELD, data={**form, "name": "Talked"})).status_code == 303
    late = await admin.post(HELD, data={**form, "name": "Spoken to"})
    assert (late.status_code, 'value="Spoken to"' in late.text) == (409, True)
    assert (await admin.post(HELD, data={**form, "name": "Spoken to", "version": "2"})).status_code == 303


async def test_silence_and_dates_say_what_the_last_days_would_have_been(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    """A deal nobody talked to for two days lights in both steps; its proposal expired once, then there was work."""
    admin, olena = await browser("admin"), await browser("olena")
    await olena.post("/deals/new", data={"title": "Fence", "stage_id": "4"})
    async with database.write() as session:
        deal = (await session.exec(select(Deal))).one()
        deal.proposal_until = clock() + timedelta(hours=2)
    clock.forward(days=2)
    silence = FORM | {"trigger": "silence", "work": ["talked"], "act": "try"}
    told = (await admin.post("/settings/pipelines/1/checkpoints/new", data=silence)).text
    assert "1 lamp would light at once." in told
    assert "2 lamps, 0 at managers, instead of 0 and 0." in told
    assert "1 deal was checked." in told
    date = FORM | {
        "trigger": "date",
        "date_field": "proposal_until",
        "offset": "0",
        "work": ["next_task"],
        "act": "try",
    }
    told = (await admin.post("/settings/pipelines/1/checkpoints/new", data=date)).text
    assert "2 lamps, 0 at managers, instead of 0 and 0." in told
    later = {"title": "Call", "due_at": "tomorrow 12:00", "deal_id": "1", "assignee_id": "3"}
    assert (await olena.post("/tasks/new", data=later)).status_code in {200, 303}
    told = (await admin.post("/settings/pipelines/1/checkpoints/new", data=date)).text
    assert "0 lamps would light at once." in told


async def test_the_checkpoint_of_callbacks_has_the_same_form(browser: Browsers, database: Database) -> None:
    admin = await browser("admin")
    rules = (await admin.get("/settings/callbacks")).text
    (path,) = set(re.findall(r'href="(/settings/checkpoints/\d+)"', rules))
    page = (await admin.get(path)).text
    assert 'name="step_whom"' in page
    assert 'name="work"' not in page
    assert f"{path}/remove" not in page
    steps = {
        "step_after": ["10", "20", "1"],
        "step_unit": ["min", "min", "h"],
        "step_whom": ["responsible", "role:seller", "manager"],
        "step_what": ["task", "task", "control"],
        "step_text": ["Call back now", "", ""],
        "step_checklist": ["", "", ""],
    }
    saved = await admin.post(
        path, data={"name": "Callbacks", "trigger": "callback", "is_active": "1", "version": "1", **steps}
    )
    assert saved.status_code == 303
    assert saved.headers["location"].partition("?")[0] == "/settings/callbacks"
    async with database.read() as session:
        watched = (await load_watching(session)).of_callbacks
    assert watched is not None
    assert (watched.minutes, watched.steps[0].text) == ((10, 20, 60), "Call back now")
    assert [step.whom for step in watched.steps] == ["responsible", "role:seller", "manager"]
    assert 'value="10"' in (await admin.get("/settings/callbacks")).text
    wrong = await admin.post(
        path, data={"name": "Callbacks", "trigger": "stage", "is_active": "1", "version": "2", **steps}
    )
    assert wrong.status_code == 422


async def test_the_shipped_checkpoint_of_callbacks_is_named_in_the_readers_language(
    browser: Browsers, database: Database
) -> None:
    admin = await browser("admin")
    await admin.post("/profile/look", data={"language": "uk"})
    async with database.read() as session:
        row = await callbacks_checkpoint(session)
    page = (await admin.get(f"/settings/checkpoints/{row.id}")).text
    assert 'value="Передзвонити"' in page
    form = {
        "name": "Передзвонити",
        "trigger": "callback",
        "version": "1",
        "is_active": "1",
        "step_after": ["5", "10"],
        "step_unit": ["min", "min"],
        "step_whom": ["responsible", "manager"],
        "step_what": ["task", "control"],
        "step_text": ["", ""],
        "step_checklist": ["", ""],
    }
    saved = await admin.post(f"/settings/checkpoints/{row.id}", data=form)
    assert saved.status_code == 303, saved.text
    async with database.read() as session:
        assert (await callbacks_checkpoint(session)).name == "Callbacks"


async def test_a_stored_step_that_asks_who_cannot_work_is_shown_with_what_to_do(
    browser: Browsers, database: Database
) -> None:
    admin = await browser("admin")
    assert (await admin.post(f"{HELD}/checkpoints/new", data={**FORM, "begin": "now"})).status_code == 303
    row = await newest(database)
    assert "cannot work" not in (await admin.get(HELD)).text
    async with database.write() as session:
        query = select(CheckpointStep).where(CheckpointStep.checkpoint_id == row.id, CheckpointStep.position == 1)
        (await session.exec(query)).one().whom = "user:olena"
    page = (await admin.get(HELD)).text
    assert "They cannot work on the deals of others. Choose the responsible, their manager or an administrator." in page
    assert "Until then the manager of whoever is responsible is asked." in page
    form = (await admin.get(f"/settings/checkpoints/{row.id}")).text
    assert "They cannot work on the deals of others." in form.partition('id="whom-1-error"')[2]
    async with database.write() as session:
        (await session.get_one(Checkpoint, row.id)).is_active = False
    assert "cannot work" not in (await admin.get(HELD)).text
