"""The callback queue, the escalations and the phone as browsers without a screen see them."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from redis.asyncio import Redis
from sqlalchemy import event
from sqlmodel import select
from starlette.applications import Starlette

from pbxcrm.calendars.models import Calendar
from pbxcrm.callbacks.models import Episode
from pbxcrm.calls.models import Call
from pbxcrm.checkpoints.models import Lamp
from pbxcrm.deals.models import Deal
from pbxcrm.pbx.models import PbxStatus
from pbxcrm.phone.models import PhoneCommand
from pbxcrm.shared.db import Database
from pbxcrm.shared.options import load_options
from pbxcrm.shared.settings import Pbx, Settings
from pbxcrm.tasks.models import Task
from tests.calls import NOON, FactStory, batch, outbound
from tests.integration.callbacks.conftest import CLIENT, MISSED_AT, CallbackDesk, desk
from tests.lamps import lamp_of_callback, sweep_all
from tests.office import PASSWORD
from web.app import create_app

__all__ = ["desk"]
HOME = "http://crm.example"
HTMX = {"hx-request": "true"}


class Site:
    """The application at a moment the test chooses; ``open`` gives somebody's browser."""

    def __init__(self, desk: CallbackDesk, settings: Settings, redis: Redis, stack: AsyncExitStack) -> None:
        self.desk, self.now, self._stack = desk, MISSED_AT + timedelta(minutes=2), stack
        self.app: Starlette = create_app(settings, desk.database, redis, clock=self.clock)

    def clock(self) -> datetime:
        return self.now

    async def open(self, login: str) -> AsyncClient:
        client = AsyncClient(
            transport=ASGITransport(self.app), base_url=HOME, headers={"origin": HOME, "accept": "text/html"}
        )
        await self._stack.enter_async_context(client)
        answer = await client.post("/login", data={"login": login, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return client


@pytest.fixture
async def site(desk: CallbackDesk, redis_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    settings = Settings(data_dir=tmp_path, pbxs=(Pbx(name="default", ami_url="ami://u:s@127.0.0.1"),))
    async with desk.database.write() as session:
        session.add(PbxStatus(pbx="default", state="listening", lease_until=NOON + timedelta(days=1)))
    async with AsyncExitStack() as stack, Redis.from_url(redis_url) as redis:
        yield Site(desk, settings, redis, stack)


async def press(client: AsyncClient, path: str, page: str = "/callbacks", **fields: object) -> Response:
    """What a button of a page sends."""
    return await client.post(path, data=fields, headers={**HTMX, "hx-current-url": HOME + page})


async def test_the_queue_is_in_order_and_says_why_and_whose(site: Site) -> None:
    await site.desk.miss("+380501110001", at=NOON - timedelta(minutes=50))
    await site.desk.miss("+380501110002", "102", at=NOON - timedelta(minutes=5))
    ivan = await site.open("ivan")
    page = (await ivan.get("/callbacks")).text
    assert page.index("+380 50 111 00 01") < page.index("+380 50 111 00 02")
    assert "The caller hung up while Ivan Kravets (101) rang." in page
    assert "of Olena Hryhorenko" in page
    assert '<span class="wait red">52' in page
    mine = (await ivan.get("/callbacks?show=mine")).text
    assert "+380 50 111 00 01" in mine
    assert "+380 50 111 00 02" not in mine


async def test_an_empty_queue_says_what_will_come(site: Site) -> None:
    """Also that nobody knows, while the PBX is away: the bar of every page tells since when."""
    ivan = await site.open("ivan")
    async with site.desk.database.write() as session:
        status = await session.get(PbxStatus, "default")
        assert status is not None
        status.reported_at = status.last_event_at = site.now - timedelta(seconds=5)
    page = (await ivan.get("/callbacks")).text
    assert "Everybody has been called back" in page
    assert "PBX not heard" not in page
    site.now += timedelta(minutes=5)
    page = (await ivan.get("/callbacks")).text
    assert "Everybody has been called back" not in page
    assert "Nothing to call back, as far as is known" in page
    for path in ("/board", "/shell/pbx"):
        assert "PBX not heard since today" in (await ivan.get(path)).text.replace("\u00a0", " "), path


async def test_what_a_colleague_takes_is_grey_with_the_name_and_has_no_buttons(site: Site) -> None:
    episode = await site.desk.miss()
    olena, ivan = await site.open("olena"), await site.open("ivan")
    await press(olena, f"/callbacks/{episode.id}/claim")
    page = (await ivan.get("/callbacks")).text
    assert "Olena Hryhorenko is at it…" in page
    assert f"/callbacks/{episode.id}/call" not in page
    answer = await press(ivan, f"/callbacks/{episode.id}/call")
    assert (answer.status_code, "Olena Hryhorenko has taken this callback." in answer.text) == (409, True)


async def test_space_claims_and_calls(site: Site) -> None:
    episode = await site.desk.miss()
    ivan = await site.open("ivan")
    answer = await press(ivan, f"/callbacks/{episode.id}/call", extension="101")
    assert "your phone 101 rings first" in answer.text
    assert "calling…" in answer.text
    order = await site.desk.one(PhoneCommand)
    assert (order.client_number, order.extension, order.episode_id) == (CLIENT, "101", episode.id)
    assert (await site.desk.one(Episode)).claimed_by_id == site.desk.office.id("ivan")


async def test_didnt_reach_says_when_next_and_can_be_taken_back(site: Site) -> None:
    episode = await site.desk.miss()
    ivan = await site.open("ivan")
    answer = await press(
        ivan, f"/callbacks/{episode.id}/result", result="didnt_reach", version=episode.version, without_call="sms"
    )
    assert "not reached, next attempt" in answer.text
    assert "Called once, not reached; next attempt" in answer.text
    undo = answer.text.split('hx-post="/callbacks/undo/')[1].split('"')[0]
    assert "Taken back." in (await press(ivan, f"/callbacks/undo/{undo}")).text
    assert (await site.desk.one(Episode)).attempts == 0


async def test_reached_asks_for_the_next_task_and_sets_it(site: Site) -> None:
    episode = await site.desk.miss()
    ivan = await site.open("ivan")
    answer = await press(
        ivan, f"/callbacks/{episode.id}/result", result="reached", version=episode.version, without_call="sms"
    )
    assert "Reached: what is next?" in answer.text
    answer = await press(ivan, f"/callbacks/{episode.id}/next", title="", quick="2h")
    assert (answer.status_code, answer.headers["hx-retarget"]) == (422, "#ask-body")
    answer = await press(ivan, f"/callbacks/{episode.id}/next", title="Send the price", quick="2h")
    assert "The next task is set for" in answer.text
    task = (await site.desk.rows(Task))[-1]
    assert (task.title, task.deal_id, task.due_at) == (
        "Send the price",
        episode.deal_id,
        site.now + timedelta(hours=2),
    )


async def test_not_interested_asks_why_and_loses_the_deal(site: Site) -> None:
    episode = await site.desk.miss()
    ivan = await site.open("ivan")
    asked = await ivan.get(f"/callbacks/{episode.id}/ask?what=not_interested&version=1", headers=HTMX)
    assert "Why not interested?" in asked.text
    path = f"/callbacks/{episode.id}/result"
    answer = await press(ivan, path, result="not_interested", version=episode.version, why=" ", without_call="sms")
    assert (answer.status_code, "Say why, in up to 200 characters." in answer.text) == (422, True)
    await press(ivan, path, result="not_interested", version=episode.version, why="Too expensive", without_call="sms")
    assert (await site.desk.one(Deal)).lost_reason == "Too expensive"


async def test_it_closes_under_ones_eyes_and_what_one_talked_about_is_asked(site: Site) -> None:
    await site.desk.miss("+380501110001")
    await site.desk.miss("+380501110002")
    await site.desk.intake.apply(batch(FactStory("17.1", "+380501110001", at=site.now).ring("102").answer("102")))
    await site.desk.intake.apply(batch(outbound("17.2", "101", "+380501110002", at=site.now).answer("101").end()))
    ivan = await site.open("ivan")
    page = (await ivan.get("/callbacks")).text
    assert "The client called and talked to Olena Hryhorenko." in page
    assert page.index("+380 50 111 00 02") < page.index("+380 50 111 00 01")  # his own still asks, so it is on top
    episode = (await site.desk.rows(Episode))[1]
    answer = await press(ivan, f"/callbacks/{episode.id}/result", result="wrong_number", version=episode.version)
    assert "wrong number." in answer.text
    site.now += timedelta(minutes=11)
    assert "got through" not in (await ivan.get("/callbacks")).text


async def test_what_was_said_on_the_card_is_not_asked_again(site: Site) -> None:
    await site.desk.miss("+380501110002")
    await site.desk.intake.apply(batch(outbound("17.2", "101", "+380501110002", at=site.now).answer("101").end()))
    ivan = await site.open("ivan")
    asked = f'hx-post="/callbacks/{(await site.desk.one(Episode)).id}/result"'
    assert asked in (await ivan.get("/callbacks")).text
    call = next(row for row in await site.desk.rows(Call) if row.linkedid == "17.2")
    answer = await press(ivan, f"/dock/{call.id}/finish", disposition="next_step", next="2h")
    assert answer.status_code == 200
    page = (await ivan.get("/callbacks")).text
    assert "called and reached the client" in page
    assert asked not in page


async def test_the_filters_stay_after_an_act(site: Site) -> None:
    await site.desk.miss("+380501110001")
    other = await site.desk.miss("+380501110002", "102")
    ivan = await site.open("ivan")
    answer = await press(ivan, f"/callbacks/{other.id}/claim", "/callbacks?show=mine")
    assert 'hx-get="/callbacks?show=mine"' in answer.text
    answer = await press(ivan, f"/callbacks/{other.id}/release", "/callbacks?show=mine")
    assert "+380 50 111 00 02" not in answer.text


async def test_hostile_names_are_words(site: Site) -> None:
    await site.desk.intake.apply(
        batch(FactStory("17.1", "+380501110001", name="<script>alert(1)</script>", at=NOON).ring("101").wait(9).end())
    )
    page = (await (await site.open("ivan")).get("/callbacks")).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


async def test_calling_from_any_page_and_what_is_refused(site: Site) -> None:
    ivan, kira = await site.open("ivan"), await site.open("kira")
    answer = await press(ivan, "/phone/call", "/board", number="067 111 22 33", deal_id="", contact_id="")
    assert "Calling +380 67 111 22 33" in answer.text
    assert answer.headers["hx-retarget"] == "#toasts"
    assert ">calling<" in (await ivan.get("/phone/state", headers=HTMX)).text
    olena = await site.open("olena")
    answer = await press(olena, "/phone/call", number=CLIENT)
    assert (answer.status_code, "Ivan Kravets is calling this client right now." in answer.text) == (409, True)
    answer = await press(ivan, "/phone/call", number="1\r\nAction: Command")
    assert (answer.status_code, "not a number that can be called" in answer.text) == (422, True)
    assert (await press(kira, "/phone/call", number="067 111 22 34")).status_code == 403
    foreign = await ivan.post("/phone/call", data={"number": CLIENT}, headers={"origin": "http://evil.example"})
    assert foreign.status_code == 403


async def test_the_pbx_is_away_in_a_clear_word(site: Site) -> None:
    async with site.desk.database.write() as session:
        status = await session.get(PbxStatus, "default")
        assert status
        status.state = "unreachable"
    episode = await site.desk.miss()
    answer = await press(await site.open("ivan"), f"/callbacks/{episode.id}/call")
    assert (answer.status_code, "nothing was dialled" in answer.text) == (503, True)
    assert (await site.desk.one(Episode)).claimed_by_id is None


async def test_transfer_and_hang_up_from_the_card(site: Site) -> None:
    await site.desk.intake.apply(batch(FactStory("17.1", at=site.now).ring("101").answer("101")))
    ivan = await site.open("ivan")
    answer = await press(ivan, "/phone/transfer", call_id=1, target="102", attended="1")
    assert "hang up to hand the client over" in answer.text
    assert "The client goes to 103." in (await press(ivan, "/phone/transfer", call_id=1, target="103")).text
    assert "Hanging up." in (await press(ivan, "/phone/hangup", call_id=1)).text
    assert [order.kind for order in await site.desk.rows(PhoneCommand)] == ["attended", "transfer", "hangup"]
    assert (await press(await site.open("petro"), "/phone/hangup", call_id=1)).status_code == 404


async def escalate(site: Site) -> Lamp:
    await site.desk.miss()
    await sweep_all(site.desk.database, MISSED_AT + timedelta(minutes=20))
    await sweep_all(site.desk.database, MISSED_AT + timedelta(minutes=40))
    site.now = MISSED_AT + timedelta(minutes=45)
    (found,) = [lamp for lamp in await site.desk.rows(Lamp) if lamp.is_escalation]
    return found


async def test_the_manager_sees_what_who_how_long_why_and_reassigns(site: Site) -> None:
    escalation = await escalate(site)
    maria = await site.open("maria")
    page = (await maria.get("/escalations")).text
    for words in ("not called back", "Ivan Kravets", "45", "20 more working minutes passed after the lamp"):
        assert words in page
    assert '<span class="count red">1</span>' in page  # in the rail
    asked = (await maria.get(f"/escalations/{escalation.id}/ask?what=reassign", headers=HTMX)).text
    assert asked.index("Olena Hryhorenko") < asked.index("Ivan Kravets")  # whoever has it comes last
    assert "on shift" in asked
    answer = await press(maria, f"/escalations/{escalation.id}/reassign", "/escalations", user_id="")
    assert answer.status_code == 422
    olena = site.desk.office.id("olena")
    answer = await press(maria, f"/escalations/{escalation.id}/reassign", "/escalations", user_id=olena)
    assert "Given to Olena Hryhorenko" in answer.text
    assert "Nothing has reached you" in answer.text
    assert (await site.desk.one(Episode)).owner_id == olena


async def test_the_tile_says_of_how_many_its_share_is(site: Site) -> None:
    def tile(page: str) -> str:
        found = page.partition("Returned in the norm</div>")[2].partition("</div>\n")[0]
        return " ".join(re.sub(r"<[^>]+>", " ", found).split())

    maria = await site.open("maria")
    await site.desk.miss()
    assert tile((await maria.get("/escalations")).text) == "— no time is up yet"
    site.now = MISSED_AT + timedelta(hours=2)
    assert tile((await maria.get("/escalations")).text) == "0 % 0 of 1"
    await site.desk.miss("+380501110002", "102", at=NOON + timedelta(hours=1))
    later = NOON + timedelta(hours=1, minutes=5)
    await site.desk.intake.apply(
        batch(FactStory("17.2", "+380501110002", at=later).ring("102").answer("102").wait(60).end())
    )
    assert tile((await maria.get("/escalations")).text) == "50 % 1 of 2 · median 5 working min"
    page = (await maria.get("/escalations")).text
    for column, count in (("in_norm", 1), ("judged", 2)):  # each figure opens exactly what it counts
        (path,) = re.findall(rf'href="(/reports/missed/rows[^"]*column={column})"', page)
        shown = await maria.get(path.replace("&amp;", "&"))
        assert shown.status_code == 200
        assert len(re.findall(r'class="whole" href="/callbacks/', shown.text)) == count


@pytest.mark.parametrize("calendar", ["Pacific/Auckland", "America/New_York", "Europe/Kyiv"])
async def test_today_is_the_same_day_in_a_figure_and_behind_it(site: Site, calendar: str) -> None:
    """At 1:30 at night, while it is another day already, or still, where the default calendar counts."""
    async with site.desk.database.write() as session:
        default = (await session.exec(select(Calendar).where(Calendar.is_default))).one()
        default.timezone = calendar
    night = datetime(2026, 11, 18, 1, tzinfo=ZoneInfo("Europe/Kyiv")).astimezone(UTC)
    for n, minutes in ((1, -90), (2, -70), (3, 0), (4, 1), (5, 2)):  # two before midnight, three after it
        client, at = f"+38050111000{n}", night + timedelta(minutes=minutes)
        await site.desk.miss(client, at=at)
        if n in {1, 3}:  # they get through themselves ten minutes later
            again = FactStory(f"18.{n}", client, at=at + timedelta(minutes=10)).ring("102").answer("102").wait(60).end()
            await site.desk.intake.apply(batch(again))
    site.now = night + timedelta(minutes=30)
    maria = await site.open("maria")
    page = (await maria.get("/escalations")).text
    missed = re.findall(r'href="/callbacks\?since=today">.*?class="v[^"]*">(\d+)</div><div class="d">of (\d+) ', page)
    assert missed == [("2", "3")]
    queue = (await maria.get("/callbacks?since=today")).text
    assert len(re.findall(r"<tr[^>]* data-row", queue)) == 2
    ((in_norm, judged),) = re.findall(r"column=judged\">(\d+) of (\d+)", page)
    assert (in_norm, int(judged) >= 1) == ("1", True)
    for column, count in (("in_norm", 1), ("judged", int(judged))):
        (path,) = re.findall(rf'href="(/reports/missed/rows[^"]*column={column})"', page)
        shown = (await maria.get(path.replace("&amp;", "&"))).text
        assert len(re.findall(r'class="whole" href="/callbacks/', shown)) == count, column
    by_day = (await maria.get("/reports/missed?from=2026-11-17&until=2026-11-18&by=day")).text
    rows = re.findall(r"row=(2026-11-1\d)&amp;column=missed[^>]*>(\d+)", by_day)
    assert sorted(rows) == [("2026-11-17", "2"), ("2026-11-18", "3")]


async def test_the_tile_counts_lamps_before_the_manager_and_opens_what_it_counts(site: Site) -> None:
    def tile(page: str) -> str:
        return " ".join(re.sub(r"<[^>]+>", " ", page.partition("Lamps burning</div>")[2]).split())

    await site.desk.intake.apply(
        batch(FactStory("17.1", "+380501110009", at=NOON).ring("155").answer("155").wait(5).end())
    )
    maria = await site.open("maria")
    page = (await maria.get("/escalations")).text
    assert "Who has extension 155?" in page
    assert tile(page).startswith("0 0 with the manager")
    escalation = await escalate(site)
    page = (await maria.get("/escalations")).text
    assert tile(page).startswith("1 1 with the manager")
    behind = page.partition('id="reached"')[2]
    assert f'id="escalation-{escalation.id}"' in behind
    assert 'href="#reached"' in page
    assert 'href="/burning/rows?what=first"' in page
    opened = (await maria.get("/burning/rows?what=first")).text
    assert opened.count("<tbody>") == 1
    assert opened.partition("<tbody>")[2].count("<tr>") == 1
    rows = re.findall(r'<tr id="task-(\d+)"', (await maria.get("/tasks?who=team&kind=lamp")).text)
    assert rows == [str(task.id) for task in await site.desk.rows(Task) if task.kind == "lamp"]
    # Of a kind that there is not, everything is shown: a callback with its lamp and its escalation as one, and the extension.
    assert len(re.findall(r'<tr id="task-', (await maria.get("/tasks?who=team&kind=nonsense")).text)) == 2


async def test_how_long_a_client_waits_is_counted_as_the_norm_counts(site: Site) -> None:
    """Missed on Friday at ten to six, looked at on Monday at half past nine: forty minutes of work, not three days."""
    friday = datetime(2026, 11, 20, 15, 50, tzinfo=UTC)
    await site.desk.miss(at=friday - timedelta(seconds=9))
    await site.desk.intake.apply(batch(FactStory("17.1", "+380501110009", at=friday).ring("155").answer("155").end()))
    site.now = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
    for minutes in (20, 0):
        await sweep_all(site.desk.database, site.now - timedelta(minutes=minutes))
    maria = await site.open("maria")
    client, extension = re.findall(
        r'<time class="wait (\w+)" [^>]*title="Friday, 20 November 2026, 17:50:00">([^<]+)<',
        (await maria.get("/escalations")).text,
    )
    assert client == ("red", "40\N{NO-BREAK SPACE}min")
    assert extension == ("amber", "40\N{NO-BREAK SPACE}min")
    assert '<span class="wait red">40\N{NO-BREAK SPACE}min</span>' in (await maria.get("/callbacks")).text


async def test_a_long_list_of_escalations_is_shown_in_parts(site: Site, database: Database) -> None:
    """A few of each seller, with how many more there are; all of one seller's for whoever asks."""
    office = site.desk.office
    async with database.write() as session:
        for n in range(1, 120):
            key, at = f"number:+38050222{n:04}", MISSED_AT - timedelta(minutes=300 - n)
            owner = office.id("ivan" if n % 3 else "olena")
            episode = Episode(client_key=key, first_missed_at=at, last_missed_at=at, owner_id=owner)
            session.add(episode)
            await session.flush()
            await lamp_of_callback(session, episode, at)
        for n in range(3):
            session.add(Task(kind="control", title=f"Look {n}", due_at=NOON, created_at=NOON, about=f"extension:{n}"))
    maria = await site.open("maria")

    def shown(page: str) -> tuple[int, int]:
        return page.count('<tr id="escalation-'), page.count('<tr id="control-')

    page = (await maria.get("/escalations?owner=nonsense")).text
    assert (shown(page), "and 72 more" in page, "and 31 more" in page) == ((16, 3), True, True)
    ivan = office.id("ivan")
    assert f'href="/escalations?owner={ivan}"' in page
    assert '<span class="count red">99+</span>' in page or ">122<" in page  # the rail counts what is not shown, too
    page = (await maria.get(f"/escalations?owner={ivan}")).text
    assert (shown(page), "more" in page.partition('id="reached"')[2].partition("</table>")[0]) == ((80, 0), True)
    first = next(lamp for lamp in await site.desk.rows(Lamp) if lamp.owner_id == ivan)
    page = (await press(maria, f"/escalations/{first.id}/accept", f"/escalations?owner={ivan}", why="Told")).text
    assert shown(page) == (79, 0)
    assert f'hx-get="/escalations?owner={ivan}"' in page  # a live hint refreshes as much


async def test_the_manager_accepts_with_a_reason(site: Site) -> None:
    escalation = await escalate(site)
    maria = await site.open("maria")
    path = f"/escalations/{escalation.id}/accept"
    assert (await press(maria, path, "/escalations", why="")).status_code == 422
    assert "Accepted." in (await press(maria, path, "/escalations", why="They come tomorrow")).text
    assert (await press(maria, path, "/escalations", why="Twice")).status_code == 409


async def test_a_phone_that_is_nobodys_is_on_the_managers_page_until_dealt_with(site: Site) -> None:
    await site.desk.intake.apply(batch(FactStory("17.1", at=NOON).ring("107").answer("107").wait(9).end()))
    maria = await site.open("maria")
    assert "Who has extension 107?" in (await maria.get("/escalations")).text
    task = await site.desk.one(Task)
    answer = await press(maria, f"/escalations/tasks/{task.id}/done", "/escalations", why="It is the warehouse")
    assert "Nothing has reached you" in answer.text
    assert (await site.desk.one(Task)).result == "It is the warehouse"


async def test_other_teams_see_and_do_nothing(site: Site) -> None:
    escalation = await escalate(site)
    petro, oksana, kira = await site.open("petro"), await site.open("oksana"), await site.open("kira")
    episode = escalation.callback_id
    assert "+380 67 111 22 33" not in (await petro.get("/callbacks")).text
    assert (await petro.get(f"/callbacks/{episode}")).status_code == 404
    assert (await press(petro, f"/callbacks/{episode}/claim")).status_code == 404
    assert (await petro.get("/escalations")).status_code == 403
    assert "not called back" not in (await oksana.get("/escalations")).text
    assert (await oksana.get(f"/escalations/{escalation.id}/ask?what=accept", headers=HTMX)).status_code == 404
    assert (await press(oksana, f"/escalations/{escalation.id}/accept", why="mine")).status_code == 404
    page = (await kira.get("/escalations")).text
    assert "not called back" in page
    assert "/reassign" not in page
    assert (await press(kira, f"/escalations/{escalation.id}/accept", why="no")).status_code == 403


async def test_one_callback_tells_its_calls_and_attempts(site: Site) -> None:
    episode = await site.desk.miss()
    await site.desk.intake.apply(batch(outbound("17.2", "101", at=NOON + timedelta(minutes=1)).wait(20).end()))
    page = (await (await site.open("ivan")).get(f"/callbacks/{episode.id}")).text
    assert page.index("Not reached · Ivan Kravets") < page.index("Rang: 101")


async def test_a_long_queue_costs_as_many_queries_as_a_short_one(site: Site, database: Database) -> None:
    ivan = await site.open("ivan")

    async def queries() -> int:
        asked: list[str] = []
        listen = lambda *args: asked.append(args[2])  # noqa: E731  # the same function must be taken off again
        event.listen(database.engine.sync_engine, "before_cursor_execute", listen)
        assert (await ivan.get("/callbacks", headers=HTMX)).status_code == 200
        event.remove(database.engine.sync_engine, "before_cursor_execute", listen)
        return len(asked)

    await site.desk.miss()
    few = await queries()
    for number in range(12):
        await site.desk.miss(f"+38050111{number:04}")
    assert await queries() == few


async def test_a_long_queue_is_shown_in_parts_and_an_act_keeps_what_is_shown(site: Site, database: Database) -> None:
    async with database.write() as session:
        for n in range(1, 108):
            key, at = f"number:+38050222{n:04}", MISSED_AT - timedelta(minutes=300 - n)
            session.add(Episode(client_key=key, client_number=key[7:], first_missed_at=at, last_missed_at=at))
    ivan = await site.open("ivan")
    page = (await ivan.get("/callbacks?rows=nonsense")).text
    assert (page.count("<tr id="), "57 more wait below these." in page) == (50, True)
    assert 'href="/callbacks?rows=100"' in page
    page = (await ivan.get("/callbacks?show=mine&rows=100")).text
    assert page.count("<tr id=") == 0
    assert "/callbacks?rows=" not in page
    first = (await site.desk.rows(Episode))[0]
    page = (await press(ivan, f"/callbacks/{first.id}/claim", page="/callbacks?rows=100")).text
    assert (page.count("<tr id="), "7 more wait below these." in page) == (100, True)
    assert 'hx-get="/callbacks?rows=100"' in page  # a live hint refreshes as much
    assert 'href="/callbacks?rows=150"' in page
    page = (await ivan.get("/callbacks?rows=999999999")).text
    assert (page.count("<tr id="), "more wait" in page) == (107, False)


async def test_the_administrator_changes_the_rules_and_pending_lamps_move(site: Site) -> None:
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


async def test_the_administrator_changes_the_working_hours_and_pending_lamps_move(site: Site) -> None:
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


async def test_without_a_call_the_dialog_asks_why_and_spam_always_asks(site: Site) -> None:
    """R, D and W without any call change nothing; S never acts before it has asked."""
    episode = await site.desk.miss()
    ivan = await site.open("ivan")
    for result in ("reached", "didnt_reach", "wrong_number"):
        answer = await press(ivan, f"/callbacks/{episode.id}/result", result=result, version=episode.version)
        assert (answer.status_code, answer.headers["hx-retarget"]) == (422, "#ask-body")
        assert "Without a call, because…" in answer.text
    after = await site.desk.one(Episode)
    assert (after.status, after.attempts, after.version) == ("open", 0, episode.version)
    page = (await ivan.get("/callbacks")).text
    spam = page.split('data-do="spam"')[1].split(">")[0]
    assert "hx-post" not in spam
    asked = await ivan.get(f"/callbacks/{episode.id}/ask?what=spam&version=1", headers=HTMX)
    assert "nobody calls it back" in asked.text
    await site.desk.intake.apply(batch(outbound("17.2", "101", CLIENT, at=site.now).wait(5).end()))
    asked = await ivan.get(f"/callbacks/{episode.id}/ask?what=not_interested&version=1", headers=HTMX)
    assert "Without a call" not in asked.text
