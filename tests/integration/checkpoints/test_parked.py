"""One broken calendar parks the lamps that run by it, is shown to the administrator, and stops nobody else; and the canary is looked at."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient
from redis.asyncio import Redis
from sqlalchemy import update
from sqlmodel import col, select

from pbxcrm.calendars.actions import CalendarChange, change_calendar, create_calendar
from pbxcrm.calendars.models import CalendarDay, CalendarSpan
from pbxcrm.checkpoints.models import LampState
from pbxcrm.checkpoints.sweep import say_stopped
from pbxcrm.people.models import Team
from pbxcrm.shared.settings import Settings
from pbxcrm.upkeep.doctor.data import check_checkpoints
from pbxcrm.upkeep.doctor.findings import Mark
from tests.calls import NOON, FactStory, batch
from tests.integration.checkpoints.conftest import DealDesk
from tests.integration.checkpoints.test_engine import DUE
from web.app import create_app

MINUTE = timedelta(minutes=1)


async def other_calendar(desk: DealDesk) -> int:
    """Petro's team works by a calendar of its own, whose hours are the same."""
    admin = await desk.viewer("admin")
    async with desk.database.write() as session:
        other = (await session.exec(select(Team).where(Team.name == "Other"))).one()
        week = ["09:00-18:00"] * 5 + ["", ""]
        made = await create_calendar(
            session, admin, CalendarChange("Shop", "Europe/Kyiv", week, team_ids=[other.id or 0]), now=NOON
        )
        return made.calendar.id or 0


@pytest.mark.parametrize("how", ["a day", "a week"])
async def test_a_broken_calendar_parks_its_lamps_is_shown_and_corrected(
    desk: DealDesk, how: str, redis_url: str, tmp_path: Path
) -> None:
    calendar = await other_calendar(desk)
    of_petro = await desk.deal(owner="petro", number="+380671110001")
    of_ivan = await desk.deal(owner="ivan", number="+380671110002")
    await desk.intake.apply(batch(FactStory("7.1", "+380671110003", at=DUE - 60 * MINUTE).ring("201").wait(20).end()))
    async with desk.database.write() as session:  # past every check, as a restored table or a hand may leave it
        if how == "a day":
            session.add(CalendarDay(calendar_id=calendar, day=date(2026, 11, 20), spans="9 to 18"))
        else:
            await session.exec(
                update(CalendarSpan)
                .where(col(CalendarSpan.calendar_id) == calendar, col(CalendarSpan.weekday) == 0)
                .values(weekday=9)
            )
    assert await desk.sweep(DUE) == 1
    assert await desk.sweep(DUE + MINUTE) == 0
    burning = await desk.one_lamp(LampState.BURNING)
    assert burning.deal_id == of_ivan
    parked = [lamp for lamp in await desk.lamps(LampState.ARMED) if lamp.parked_at is not None]
    assert {lamp.deal_id for lamp in parked if lamp.subject == "deal"} == {of_petro}
    assert {lamp.subject for lamp in parked} == {"deal", "callback"}
    assert all("Shop" in lamp.error for lamp in parked)
    await desk.intake.apply(batch(FactStory("7.2", "+380671110004", at=DUE).ring("201").wait(20).end()))  # calls go on
    said = " ".join(finding.what for finding in await check_checkpoints(desk.database, DUE + MINUTE))
    assert "The calendar “Shop” cannot be read" in said
    assert f"of deal {of_petro}" in said
    assert "of callback" in said
    async with Redis.from_url(redis_url) as redis:
        app = create_app(Settings(data_dir=tmp_path), desk.database, redis, clock=lambda: DUE + MINUTE)
        async with AsyncClient(
            transport=ASGITransport(app, client=("127.0.0.1", 5)), base_url="http://127.0.0.1"
        ) as near:
            assert (await near.get("/readyz")).json()["checkpoints"]["parked_lamps"] == 2
            assert "pbxcrm_lamps_parked 2.0" in (await near.get("/metrics")).text
    admin, week = await desk.viewer("admin"), ["09:00-18:00"] * 5 + ["", ""]
    async with desk.database.write() as session:
        await change_calendar(session, admin, calendar, CalendarChange(week=week, days=[]), now=DUE + 2 * MINUTE)
    assert await desk.sweep(DUE + 3 * MINUTE) == 2
    assert not any(lamp.parked_at for lamp in await desk.lamps())


async def test_doctor_readiness_and_metrics_say_when_the_canary_last_fired(
    desk: DealDesk, redis_url: str, tmp_path: Path
) -> None:
    async def said() -> tuple[str, dict[str, Any], str]:
        (finding,) = await check_checkpoints(desk.database, now)
        async with Redis.from_url(redis_url) as redis:
            app = create_app(Settings(data_dir=tmp_path), desk.database, redis, clock=lambda: now)
            transport = ASGITransport(app, client=("127.0.0.1", 5))
            async with AsyncClient(transport=transport, base_url="http://127.0.0.1") as near:
                ready, metrics = await near.get("/readyz"), (await near.get("/metrics")).text
        gauge = next((line for line in metrics.splitlines() if line.startswith("pbxcrm_checkpoints_last_fired")), "")
        return finding.what, ready.json(), gauge

    now = DUE
    assert "never fired" in (await said())[0]
    for seconds in (0, 14, 15, 29):  # at most each 15 s
        await desk.sweep(DUE + timedelta(seconds=seconds))
    now = DUE + timedelta(seconds=22)
    doctor, ready, gauge = await said()
    assert "fired 7 s ago" in doctor
    assert ready["checkpoints"]["last_fired_age_seconds"] == 7
    assert gauge.endswith(" 7.0")
    for seconds, mark in ((60, Mark.GOOD), (61, Mark.BAD)):  # after a kill -9, which leaves no time to say good-bye
        (finding,) = await check_checkpoints(desk.database, DUE + timedelta(seconds=15 + seconds))
        assert finding.mark is mark
    now = DUE + 20 * MINUTE + timedelta(seconds=15)
    doctor, _, gauge = await said()
    assert "fired 20 min ago" in doctor
    assert gauge.endswith(" 1200.0")
    await say_stopped(desk.database, DUE + 20 * MINUTE)
    assert (await said())[0] == "No lamp lights: no worker runs; it was stopped 1 min ago."
    await desk.sweep(DUE - 39 * MINUTE)  # the clock was set back an hour: it beats by the new time at once
    now = DUE - 39 * MINUTE
    assert "fired 0 s ago" in (await said())[0]
