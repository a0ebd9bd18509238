"""The administrator's settings for callbacks: what changes for lamps that are pending."""

import re
from datetime import timedelta
from zoneinfo import ZoneInfo

from pbxcrm.shared.runtime_options import load_options
from tests.integration.callbacks.conftest import MISSED_AT
from tests.integration.web.callback_site import CallbackSite, desk, site
from tests.lamps import sweep_all

__all__ = ["desk", "site"]


async def test_the_administrator_changes_the_rules_and_pending_lamps_move(site: CallbackSite) -> None:
    await site.desk.miss()
    admin, maria = await site.open("admin"), await site.open("maria")
    assert 'value="10, 120"' in (await admin.get("/settings/callbacks")).text
    assert (await maria.get("/settings/callbacks")).status_code == 403
    rules = {
        "callback_due_minutes": "60",
        "callback_pause_minutes": "5",
        "claim_minutes": "15",
        "click_to_call_expiry_seconds": "30",
        "retry_minutes": "15, 60; 240",
        "owner_0": "line",
        "owner_1": "manager",
        "owner_2": "",
    }
    # One that is chosen twice would drop another without a word.
    for field, wrong in (
        ("callback_due_minutes", "-1"),
        ("retry_minutes", "soon"),
        ("claim_minutes", "0"),
        ("owner_2", "line"),
    ):
        answer = await admin.post("/settings/callbacks", data={**rules, field: wrong})
        assert (answer.status_code, f'id="f-{field}-error"' in answer.text) == (422, True)
    assert (await admin.post("/settings/callbacks", data=rules)).status_code == 303
    async with site.desk.database.read() as session:
        options = await load_options(session)
    assert (options.retry_minutes, options.owner_order) == ((15, 60, 240), ("line", "manager"))
    assert await sweep_all(site.desk.database, MISSED_AT + timedelta(minutes=59)) == 0
    assert await sweep_all(site.desk.database, MISSED_AT + timedelta(minutes=60)) == 1


async def test_another_norm_asks_first_what_happens_to_what_would_light_at_once(site: CallbackSite) -> None:
    await site.desk.miss()
    site.now = MISSED_AT + timedelta(minutes=15)
    admin = await site.open("admin")
    rules = {
        "callback_due_minutes": "10",
        "callback_pause_minutes": "20",
        "claim_minutes": "15",
        "click_to_call_expiry_seconds": "30",
        "retry_minutes": "15",
        "owner_0": "line",
    }
    asked = await admin.post("/settings/callbacks", data=rules)
    assert (asked.status_code, "1 lamp would light at once." in asked.text) == (422, True)
    assert "It touches 1 missed call." in asked.text
    assert 'value="10"' in asked.text  # what was typed is not lost
    assert (await admin.post("/settings/callbacks", data={**rules, "begin": "now"})).status_code == 303
    assert await sweep_all(site.desk.database, site.now) == 0
    assert await sweep_all(site.desk.database, site.now + timedelta(minutes=10)) == 1
    # The pause of what burns now, on the page of the checkpoint.
    site.now += timedelta(minutes=15)
    checkpoint = (await admin.get("/settings/callbacks")).text.partition("/settings/checkpoints/")[2].partition('"')[0]
    step = {
        "name": "Callbacks",
        "trigger": "callback",
        "is_active": "1",
        "step_after": ["10", "3"],
        "step_unit": ["min", "min"],
        "step_whom": ["responsible", "manager"],
        "step_what": ["task", "control"],
        "step_text": ["", ""],
        "step_checklist": ["", ""],
        "version": re.findall(
            r'name="version" value="(\d+)"', (await admin.get(f"/settings/checkpoints/{checkpoint}")).text
        ),
    }
    asked = await admin.post(f"/settings/checkpoints/{checkpoint}", data=step)
    assert (asked.status_code, "1 lamp would light at once." in asked.text) == (422, True)
    assert (await admin.post(f"/settings/checkpoints/{checkpoint}", data={**step, "begin": "facts"})).status_code == 303
    assert await sweep_all(site.desk.database, site.now) == 1


async def test_the_administrator_changes_the_working_hours_and_pending_lamps_move(site: CallbackSite) -> None:
    await site.desk.miss()
    admin, maria = await site.open("admin"), await site.open("maria")
    page = (await admin.get("/settings/calendars/1")).text
    assert page.count('value="09:00-18:00"') == 5
    assert (await maria.get("/settings/calendars/1")).status_code == 403
    missed = MISSED_AT.astimezone(ZoneInfo("Europe/Kyiv"))
    back = missed.replace(minute=0, second=0, microsecond=0) + timedelta(hours=3)  # after a long lunch
    day = f"08:00-{missed:%H:%M}, {back:%H:%M}\u201319:00"
    hours = {"name": "Office", "timezone": "Europe/Kyiv", **{f"day_{weekday}": day for weekday in range(7)}}
    wrongs = [("day_3", "9-25"), ("timezone", "Europe/Nowhere"), ("day_6", ",".join(["9-10"] * 11))]
    for field, wrong in wrongs:
        answer = await admin.post("/settings/calendars/1", data={**hours, field: wrong})
        assert (answer.status_code, f'id="f-{field}-error"' in answer.text) == (422, True)
        assert wrong == "Europe/Nowhere" or f'value="{wrong}"' in answer.text  # what was typed is not lost
    never = await admin.post("/settings/calendars/1", data={"name": "Office", "timezone": "Europe/Kyiv"})
    assert (never.status_code, "Somebody must be at work" in never.text) == (422, True)
    assert (await maria.post("/settings/calendars/1", data=hours)).status_code == 403
    assert (await admin.post("/settings/calendars/1", data=hours)).status_code == 303
    assert day.replace("\u2013", "-") in (await admin.get("/settings/calendars/1")).text
    due_at = back + timedelta(minutes=20)
    assert await sweep_all(site.desk.database, due_at - timedelta(minutes=1)) == 0
    assert await sweep_all(site.desk.database, due_at) == 1
