"""The manager's page of escalations and its tiles as browsers without a screen see them."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import select

from pbxcrm.calendars.models import Calendar
from pbxcrm.callbacks.models import Episode
from pbxcrm.checkpoints.models import Lamp
from pbxcrm.shared.db import Database
from pbxcrm.tasks.models import Task
from tests.calls import NOON, FactStory, batch
from tests.integration.callbacks.conftest import CLIENT, MISSED_AT
from tests.integration.web.callback_site import HTMX, CallbackSite, desk, press, site
from tests.lamps import lamp_of_callback, sweep_all

__all__ = ["desk", "site"]


async def escalate(site: CallbackSite) -> Lamp:
    await site.desk.miss()
    await sweep_all(site.desk.database, MISSED_AT + timedelta(minutes=20))
    await sweep_all(site.desk.database, MISSED_AT + timedelta(minutes=40))
    site.now = MISSED_AT + timedelta(minutes=45)
    (found,) = [lamp for lamp in await site.desk.rows(Lamp) if lamp.is_escalation]
    return found


async def test_the_manager_sees_what_who_how_long_why_and_reassigns(site: CallbackSite) -> None:
    escalation = await escalate(site)
    maria = await site.open("maria")
    page = (await maria.get("/escalations")).text
    for words in ("not called back", "Ivan Kravets", "45", "Not called back, 20 more working minutes after the lamp"):
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
    (undo,) = re.findall(r'hx-post="(/escalations/undo[^"]*)"', answer.text)
    answer = await press(maria, undo, "/escalations")
    assert (answer.status_code, "Taken back." in answer.text) == (200, True)
    assert (await site.desk.one(Episode)).owner_id == site.desk.office.id("ivan")
    assert "Ivan Kravets" in (await maria.get("/escalations")).text
    answer = await press(maria, undo, "/escalations")
    assert (answer.status_code, "Somebody has worked on it since" in answer.text) == (409, True)


async def test_several_that_were_given_away_come_back_but_those_that_somebody_has_begun(site: CallbackSite) -> None:
    for n in (1, 2):
        await site.desk.miss(f"+38050111000{n}")
    for minutes in (20, 40):
        await sweep_all(site.desk.database, MISSED_AT + timedelta(minutes=minutes))
    site.now = MISSED_AT + timedelta(minutes=45)
    ids = [lamp.id for lamp in await site.desk.rows(Lamp) if lamp.is_escalation]
    maria, olena = await site.open("maria"), await site.open("olena")
    answer = await press(maria, "/escalations/reassign", "/escalations", ids=ids, user_id=site.desk.office.id("olena"))
    (undo,) = re.findall(r'hx-post="(/escalations/undo[^"]*)"', answer.text)
    begun = (await site.desk.rows(Episode))[0]
    assert (await press(olena, f"/callbacks/{begun.id}/claim")).status_code == 200
    answer = await press(maria, undo, "/escalations")
    assert "1 could not be taken back. Somebody has worked on it since" in answer.text
    owners = {episode.id: episode.owner_id for episode in await site.desk.rows(Episode)}
    assert owners.pop(begun.id) == site.desk.office.id("olena")
    assert list(owners.values()) == [site.desk.office.id("ivan")]


async def test_the_tile_says_of_how_many_its_share_is(site: CallbackSite) -> None:
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
async def test_today_is_the_same_day_in_a_figure_and_behind_it(site: CallbackSite, calendar: str) -> None:
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


async def test_the_tile_counts_what_burns_and_opens_it(site: CallbackSite) -> None:
    def tile(page: str) -> str:
        return " ".join(re.sub(r"<[^>]+>", " ", page.partition("Burns now</div>")[2]).split())

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
    assert 'href="/burning/rows?what=now"' in page
    opened = (await maria.get("/burning/rows?what=now")).text
    assert opened.count("<tbody>") == 1
    assert opened.partition("<tbody>")[2].count("<tr>") == 1
    rows = re.findall(r'<tr id="task-(\d+)"', (await maria.get("/tasks?who=team&kind=lamp")).text)
    assert rows == [str(task.id) for task in await site.desk.rows(Task) if task.kind == "lamp"]
    # Of a kind that there is not, everything is shown: a callback with its lamp and its escalation as one, and the extension.
    assert len(re.findall(r'<tr id="task-', (await maria.get("/tasks?who=team&kind=nonsense")).text)) == 2


async def test_how_long_a_client_waits_is_counted_as_the_norm_counts(site: CallbackSite) -> None:
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


async def test_a_long_list_of_escalations_is_shown_in_parts(site: CallbackSite, database: Database) -> None:
    """A few of each seller, with how many more there are; all of one seller's for whoever asks."""
    office = site.desk.office
    async with database.write() as session:
        for n in range(1, 120):
            number, at = f"+38050222{n:04}", MISSED_AT - timedelta(minutes=300 - n)
            owner = office.id("ivan" if n % 3 else "olena")
            episode = Episode(
                client_key=f"number:{number}",
                client_number=number,
                first_missed_at=at,
                last_missed_at=at,
                owner_id=owner,
            )
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


async def test_withheld_numbers_stand_together_below(site: CallbackSite, database: Database) -> None:
    """Nobody can call them back, whoever has them; the others have the name that the PBX heard."""
    office = site.desk.office
    await site.desk.intake.apply(batch(FactStory("9.1", CLIENT, name="Ірина Мельник").ring("101").wait(30).end()))
    async with database.write() as session:
        known = (await session.exec(select(Episode))).one()
        await lamp_of_callback(session, known, MISSED_AT)
        for n, login in enumerate(("ivan", "olena", "ivan")):
            at = MISSED_AT - timedelta(hours=1, minutes=n)
            number = None if n < 2 else "+380502220001"
            episode = Episode(
                client_key=f"anonymous:{n}", client_number=number, first_missed_at=at, last_missed_at=at,
                owner_id=office.id(login),
            )  # fmt: skip
            session.add(episode)
            await session.flush()
            await lamp_of_callback(session, episode, at)
    maria = await site.open("maria")
    page = (await maria.get("/escalations")).text
    above, _, below = page.partition("Withheld numbers: nobody to call back")
    assert above.count('<tr id="escalation-') == 2
    assert below.count('<tr id="escalation-') == 2
    assert "Ірина Мельник" in above
    page = (await maria.get("/escalations?owner=withheld")).text
    assert page.count('<tr id="escalation-') == 2


async def test_the_manager_accepts_with_a_reason(site: CallbackSite) -> None:
    escalation = await escalate(site)
    maria = await site.open("maria")
    path = f"/escalations/{escalation.id}/accept"
    assert (await press(maria, path, "/escalations", why="")).status_code == 422
    assert "Accepted." in (await press(maria, path, "/escalations", why="They come tomorrow")).text
    assert (await press(maria, path, "/escalations", why="Twice")).status_code == 409


async def test_other_teams_see_and_do_nothing(site: CallbackSite) -> None:
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


async def test_a_callback_done_together_stays_one_thing_to_do_for_the_seller(site: CallbackSite) -> None:
    escalation = await escalate(site)
    maria = await site.open("maria")
    for _ in range(2):
        assert "has it too now" in (await maria.post(f"/escalations/{escalation.id}/joint")).text
    owner = escalation.owner_id
    tasks = [task for task in await site.desk.rows(Task) if task.assignee_id == owner and task.status == "open"]
    assert [task.kind for task in tasks] == ["callback", "lamp"]  # as before: the lamp's is a part of the callback's
    name = site.desk.office["maria"].name
    assert tasks[0].title == f"Together with {name}: Call back +380 67 111 22 33"
    ivan = await site.open("ivan")
    assert f"Together with {name}" in (await ivan.get("/tasks")).text
    await maria.post(f"/escalations/{escalation.id}/reassign", data={"user_id": str(site.desk.office.id("olena"))})
    (whole,) = [task for task in await site.desk.rows(Task) if task.id == tasks[0].id]
    assert (whole.assignee_id, whole.title) == (site.desk.office.id("olena"), "Call back +380 67 111 22 33")
