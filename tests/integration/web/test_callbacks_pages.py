"""The callback queue and one callback as browsers without a screen see them."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pbxcrm.callbacks.models import Episode
from pbxcrm.calls.models import Call
from pbxcrm.deals.models import Deal
from pbxcrm.pbx.models import PbxStatus
from pbxcrm.phone.models import PhoneCommand
from pbxcrm.shared.db import Database
from pbxcrm.tasks.models import Task
from tests.calls import NOON, FactStory, batch, outbound
from tests.integration.callbacks.conftest import CLIENT, MISSED_AT
from tests.integration.web.callback_site import HTMX, CallbackSite, desk, press, site
from tests.statements import statements

__all__ = ["desk", "site"]


async def test_the_queue_is_in_order_and_says_why_and_whose(site: CallbackSite) -> None:
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
    theirs = (await ivan.get(f"/callbacks?who={site.desk.office.id('olena')}")).text
    assert "+380 50 111 00 02" in theirs
    assert "+380 50 111 00 01" not in theirs
    assert 'hx-get="/callbacks?who=' in theirs, "it stays so when it is refreshed"
    foreign = (await ivan.get(f"/callbacks?who={site.desk.office.id('petro')}")).text
    assert site.desk.office["petro"].name not in foreign, "nobody learns the name of somebody they do not see"


async def test_an_empty_queue_says_what_will_come(site: CallbackSite) -> None:
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


async def test_a_quiet_pbx_is_not_heard_since_its_last_contact_not_since_its_last_event(site: CallbackSite) -> None:
    """Be it the listener that is gone or the PBX. What a listener of an earlier version has stored knows only the last event."""
    ivan = await site.open("ivan")
    heard = site.now
    async with site.desk.database.write() as session:
        status = await session.get(PbxStatus, "default")
        assert status is not None
        status.state, status.reported_at, status.last_event_at = "listening", heard, heard - timedelta(hours=2)
    site.now += timedelta(minutes=5)
    said = (await ivan.get("/shell/pbx")).text
    assert ("PBX not heard since" in said, _time(heard) in said) == (True, True)
    async with site.desk.database.write() as session:
        status = await session.get_one(PbxStatus, "default")
        status.state, status.reported_at = "unreachable", site.now
    said = (await ivan.get("/shell/pbx")).text
    assert ("PBX not connected, last event" in said, _time(heard - timedelta(hours=2)) in said) == (True, True)
    async with site.desk.database.write() as session:
        status = await session.get_one(PbxStatus, "default")
        status.last_contact_at = heard + timedelta(minutes=2)  # it answered pings until then
    for path in ("/shell/pbx", "/callbacks"):
        said = (await ivan.get(path)).text
        assert ("heard" in said, _time(heard + timedelta(minutes=2)) in said, "last event" in said) == (
            True,
            True,
            False,
        )


def _time(at: datetime) -> str:
    return at.astimezone(ZoneInfo("Europe/Kyiv")).strftime("%H:%M")


async def test_what_a_colleague_takes_is_grey_with_the_name_and_has_no_buttons(site: CallbackSite) -> None:
    episode = await site.desk.miss()
    olena, ivan = await site.open("olena"), await site.open("ivan")
    await press(olena, f"/callbacks/{episode.id}/claim")
    page = (await ivan.get("/callbacks")).text
    assert "Olena Hryhorenko is working on it…" in page
    assert f"/callbacks/{episode.id}/call" not in page
    answer = await press(ivan, f"/callbacks/{episode.id}/call")
    assert (answer.status_code, "Olena Hryhorenko has taken this callback." in answer.text) == (409, True)


async def test_space_claims_and_calls(site: CallbackSite) -> None:
    episode = await site.desk.miss()
    ivan = await site.open("ivan")
    answer = await press(ivan, f"/callbacks/{episode.id}/call", extension="101")
    assert "your phone 101 rings first" in answer.text
    assert "calling…" in answer.text
    order = await site.desk.one(PhoneCommand)
    assert (order.client_number, order.extension, order.episode_id) == (CLIENT, "101", episode.id)
    assert (await site.desk.one(Episode)).claimed_by_id == site.desk.office.id("ivan")


async def test_didnt_reach_says_when_next_and_can_be_taken_back(site: CallbackSite) -> None:
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


async def test_a_result_needs_no_deal_that_one_may_open(site: CallbackSite) -> None:
    episode = await site.desk.miss()
    async with site.desk.database.write() as session:
        (await session.get_one(Deal, episode.deal_id)).responsible_id = site.desk.office.id("petro")
    ivan = await site.open("ivan")
    assert (await ivan.get(f"/deals/{episode.deal_id}")).status_code == 404
    answer = await press(
        ivan, f"/callbacks/{episode.id}/result", result="didnt_reach", version=episode.version, without_call="sms"
    )
    assert answer.status_code == 200, answer.text
    assert "left open and passed on to" in answer.text


async def test_reached_asks_for_the_next_task_and_sets_it(site: CallbackSite) -> None:
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


async def test_not_interested_asks_why_and_loses_the_deal(site: CallbackSite) -> None:
    episode = await site.desk.miss()
    ivan = await site.open("ivan")
    asked = await ivan.get(f"/callbacks/{episode.id}/ask?what=not_interested&version=1", headers=HTMX)
    assert "Why not interested?" in asked.text
    path = f"/callbacks/{episode.id}/result"
    answer = await press(ivan, path, result="not_interested", version=episode.version, why=" ", without_call="sms")
    assert (answer.status_code, "Say why, in up to 200 characters." in answer.text) == (422, True)
    await press(ivan, path, result="not_interested", version=episode.version, why="Too expensive", without_call="sms")
    assert (await site.desk.one(Deal)).lost_reason == "Too expensive"


async def test_it_closes_under_ones_eyes_and_what_one_talked_about_is_asked(site: CallbackSite) -> None:
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


async def test_what_was_said_on_the_card_is_not_asked_again(site: CallbackSite) -> None:
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


async def test_the_filters_stay_after_an_act(site: CallbackSite) -> None:
    await site.desk.miss("+380501110001")
    other = await site.desk.miss("+380501110002", "102")
    ivan = await site.open("ivan")
    answer = await press(ivan, f"/callbacks/{other.id}/claim", "/callbacks?show=mine")
    assert 'hx-get="/callbacks?show=mine"' in answer.text
    answer = await press(ivan, f"/callbacks/{other.id}/release", "/callbacks?show=mine")
    assert "+380 50 111 00 02" not in answer.text


async def test_hostile_names_are_words(site: CallbackSite) -> None:
    await site.desk.intake.apply(
        batch(FactStory("17.1", "+380501110001", name="<script>alert(1)</script>", at=NOON).ring("101").wait(9).end())
    )
    page = (await (await site.open("ivan")).get("/callbacks")).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


async def test_one_callback_tells_its_calls_and_attempts(site: CallbackSite) -> None:
    episode = await site.desk.miss()
    await site.desk.intake.apply(batch(outbound("17.2", "101", at=NOON + timedelta(minutes=1)).wait(20).end()))
    page = (await (await site.open("ivan")).get(f"/callbacks/{episode.id}")).text
    assert page.index("Not reached · Ivan Kravets") < page.index("Rang: 101")


async def test_a_long_queue_costs_as_many_queries_as_a_short_one(site: CallbackSite, database: Database) -> None:
    ivan = await site.open("ivan")

    async def queries() -> int:
        with statements(database) as sent:
            assert (await ivan.get("/callbacks", headers=HTMX)).status_code == 200
        return len(sent)

    await site.desk.miss()
    few = await queries()
    for number in range(12):
        await site.desk.miss(f"+38050111{number:04}")
    assert await queries() == few


async def test_a_long_queue_is_shown_in_parts_and_an_act_keeps_what_is_shown(
    site: CallbackSite, database: Database
) -> None:
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


async def test_without_a_call_the_dialog_asks_why_and_spam_always_asks(site: CallbackSite) -> None:
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


async def test_the_dialog_of_a_colleagues_callback_says_one_thing_who_decides(site: CallbackSite) -> None:
    episode = await site.desk.miss()
    olena = await site.open("olena")
    for what, decides in (
        ("spam", "Ivan Kravets decides whether the number goes on the list"),
        ("reached", "Ivan Kravets decides about this callback"),
        ("dismiss", "Ivan Kravets decides about this callback"),
    ):
        asked = (await olena.get(f"/callbacks/{episode.id}/ask?what={what}&version=1", headers=HTMX)).text
        assert (decides in asked, "Pass it on" in asked, "nobody calls it back" in asked) == (True, True, False)
    ivan = await site.open("ivan")
    asked = (await ivan.get(f"/callbacks/{episode.id}/ask?what=spam&version=1", headers=HTMX)).text
    assert ("Pass it on" in asked, "nobody calls it back" in asked) == (False, True)
