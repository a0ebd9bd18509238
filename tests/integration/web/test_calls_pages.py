"""The pages of calls, and who may listen to what."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from pbxcrm.audit.models import AuditEntry
from pbxcrm.calls.facts import Direction
from pbxcrm.calls.models import Call
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.models import Deal, Note
from pbxcrm.people.api_tokens import create_token
from pbxcrm.people.models import User
from pbxcrm.reactions.intake import Intake
from pbxcrm.tasks.models import Task
from tests.calls import FactStory, batch
from tests.integration.web.desks import HTMX, BrowserDesk, Browsers, browsers, count_queries, desk
from web.cursors import next_of_time

__all__ = ["browsers", "desk"]
SOUND = b"RIFF" + bytes(range(256)) * 40
TALKED = "1700000000.2"


def record_call(desk: BrowserDesk, name: str = f"in-{TALKED}.wav", sound: bytes = SOUND) -> Path:
    path = desk.recordings / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(sound)
    os.utime(path, (1, desk.now.timestamp() - 3600))
    return path


def recording(desk: BrowserDesk) -> str:
    return f"/calls/{desk.busy.calls[TALKED]}/recording"


async def name_recording(desk: BrowserDesk, name: str) -> None:
    async with desk.database.write() as session:
        call = await session.get(Call, desk.busy.calls[TALKED])
        assert call is not None
        call.recording = name


async def listenings(desk: BrowserDesk) -> int:
    async with desk.database.read() as session:
        found = await session.exec(select(AuditEntry).where(AuditEntry.action == "recording.listened"))
        return len(found.all())


async def test_list_shows_what_one_may_see_newest_first(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan = await browsers("ivan")
    page = (await ivan.get("/calls")).text
    assert "Ірина Мельник" in page
    assert "missed, hung up in the queue" in page
    assert "+380 99 111 00 00" not in page  # another team's
    assert "<script>alert(1)" not in page
    assert page.index("Stepan Koval") < page.index("Ірина Мельник")


@pytest.mark.parametrize(
    ("query", "there", "away"),
    [
        ("?outcome=missed", "hung up while it rang", "Stepan Koval"),
        ("?direction=outbound", "Stepan Koval", "hung up"),
        ("?q=мельник", "Ірина Мельник", "Stepan Koval"),
        ("?q=2223344", "Ірина Мельник", "Stepan Koval"),
        ("?period=yesterday", "Ірина Мельник", "Stepan Koval"),
        ("?direction=nonsense&cursor=x_y&period=never", "Stepan Koval", "No call fits"),
        ("?q=nobody-like-that", "No call fits", "Stepan Koval"),
    ],
)
async def test_filters_stand_in_the_address(
    browsers: Browsers, desk: BrowserDesk, query: str, there: str, away: str
) -> None:
    body = (await (await browsers("maria")).get(f"/calls{query}")).text.partition('id="calls"')[2]
    assert there in body
    assert away not in body


async def test_list_asks_the_same_number_of_queries_for_any_number_of_calls(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    maria = await browsers("maria")
    many = await count_queries(desk.database, maria, "/calls")
    few = await count_queries(desk.database, maria, "/calls?direction=outbound")
    assert many == few <= 16


async def test_more_goes_on_where_the_list_ended(browsers: Browsers, desk: BrowserDesk) -> None:
    maria = await browsers("maria")
    async with desk.database.read() as session:
        calls = sorted((await session.exec(select(Call))).all(), key=lambda call: call.started_at)
    middle = calls[4]
    cursor = next_of_time(middle.started_at, middle.id)
    rows = (await maria.get(f"/calls?cursor={cursor}", headers=HTMX)).text
    assert "<html" not in rows
    shown = [call.id for call in calls if f'id="call-{call.id}"' in rows]
    assert shown == [call.id for call in calls[:4]]


async def test_one_call_says_who_rang_who_talked_and_why(browsers: Browsers, desk: BrowserDesk) -> None:
    page = (await (await browsers("ivan")).get(f"/calls/{desk.busy.calls[TALKED]}")).text
    assert "Ivan Kravets" in page
    assert "a colleague answered" in page
    assert "talked 6:12" in page
    assert "The client&#39;s open deal." in page
    assert "Reception desk" in page
    assert "style=" not in page


async def test_a_call_of_another_team_is_not_there(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan = await browsers("ivan")
    foreign = desk.busy.calls["1700000000.9"]
    for path in (f"/calls/{foreign}", f"/calls/{foreign}/recording", "/calls/999999"):
        assert (await ivan.get(path)).status_code == 404


async def test_who_is_known_is_named_while_it_rings(browsers: Browsers, desk: BrowserDesk) -> None:
    for n, client in enumerate(("+380931234567", "+380501110002")):
        story = FactStory(f"17.{n}", client, at=desk.now + timedelta(seconds=n)).ring("101")
        await Intake(desk.database, desk.settings).apply(batch(story))
    page = (await (await browsers("ivan")).get("/calls")).text
    going_on = [row for row in page.split("<tr id=")[1:] if "going on" in row]
    assert ["Stepan Koval" in row for row in going_on] == [False, True]  # newest first
    assert ["not known yet" in row for row in going_on] == [True, False]


async def test_a_call_among_colleagues_is_shown_also_before_anybody_rings(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    inside = FactStory("17.1", None, direction=Direction.INTERNAL, did=None, made_by="101", at=desk.now)
    await Intake(desk.database, desk.settings).apply(batch(inside))
    assert "101 → —" in (await (await browsers("admin")).get("/calls")).text


async def test_a_colleagues_deal_is_said_but_neither_named_nor_linked(browsers: Browsers, desk: BrowserDesk) -> None:
    async with desk.database.write() as session:
        deal = await session.get(Deal, desk.busy.deals["Reception desk"])
        assert deal is not None
        deal.responsible_id = (await session.exec(select(User.id).where(User.login == "maria"))).one()
    for login, named in (("ivan", False), ("maria", True)):
        person = await browsers(login)
        for path in (f"/calls/{desk.busy.calls[TALKED]}", "/calls"):
            page = (await person.get(path)).text
            assert (f'href="/deals/{desk.busy.deals["Reception desk"]}"' in page) is named, (login, path)
            assert ("a colleague&#39;s deal" in page) is not named, (login, path)


async def test_neither_does_a_manager_read_titles_of_another_team(browsers: Browsers, desk: BrowserDesk) -> None:
    """Ivan took part in the call, the deal is of another team, and a task about it is Ivan's."""
    deal_id = desk.busy.deals["Reception desk"]
    async with desk.database.write() as session:
        people = {user.login: user.id for user in (await session.exec(select(User))).all()}
        deal = await session.get_one(Deal, deal_id)
        deal.responsible_id = people["petro"]
        task = Task(kind="todo", title="Ask for the address", due_at=desk.now, created_at=desk.now)
        task.deal_id, task.assignee_id = deal_id, people["ivan"]
        session.add(task)
    for login, path, named in (
        ("ivan", "/calls", False),
        ("ivan", "/tasks", False),
        ("maria", "/calls", False),
        ("maria", f"/calls/{desk.busy.calls[TALKED]}", False),
        ("kira", "/calls", True),
        ("petro", "/calls", True),
    ):
        page = (await (await browsers(login)).get(path)).text
        assert (f'href="/deals/{deal_id}"' in page) is named, (login, path)
        assert ("a colleague&#39;s deal" in page) is not named, (login, path)


async def test_a_note_about_a_call_stands_on_its_deal_too(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan = await browsers("ivan")
    answer = await ivan.post(f"/calls/{desk.busy.calls[TALKED]}/note", data={"text": "asks for oak"})
    assert answer.status_code == 303
    async with desk.database.read() as session:
        note = (await session.exec(select(Note).where(Note.text == "asks for oak"))).one()
    assert (note.call_id, note.deal_id) == (desk.busy.calls[TALKED], desk.busy.deals["Reception desk"])
    assert (await ivan.post(f"/calls/{desk.busy.calls[TALKED]}/note", data={"text": " "})).status_code == 422


async def test_recording_is_sent_whole_and_by_ranges_and_never_compressed(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    record_call(desk)
    ivan = await browsers("ivan")
    whole = await ivan.get(recording(desk), headers={"accept-encoding": "gzip"})
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, SOUND, "audio/wav")
    assert whole.headers["accept-ranges"] == "bytes"
    part = await ivan.get(recording(desk), headers={"range": "bytes=100-199", "accept-encoding": "gzip"})
    assert (part.status_code, part.content) == (206, SOUND[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(SOUND)}"
    assert (await ivan.get(recording(desk), headers={"range": f"bytes={len(SOUND)}-"})).status_code == 416
    assert "attachment" in (await ivan.get(f"{recording(desk)}?download=1")).headers["content-disposition"]


@pytest.mark.parametrize("door", ["page", "api"])
async def test_each_listening_is_logged_once_however_many_parts_are_asked_for(
    browsers: Browsers, desk: BrowserDesk, door: str
) -> None:
    record_call(desk)
    ivan, kira = await browsers("ivan"), await browsers("kira")
    address = recording(desk)
    if door == "api":
        address = f"/api/v1{address}"
        async with desk.database.write() as session:
            for browser, login in ((ivan, "ivan"), (kira, "kira")):
                token = await create_token(session, desk.office[login], now=desk.now)
                browser.headers["authorization"] = f"Bearer {token}"
    await kira.head(address)
    assert await listenings(desk) == 0
    for part in ("bytes=0-", "bytes=500-600", "bytes=700-", "bytes=-20"):
        assert (await ivan.get(address, headers={"range": part})).status_code == 206
        desk.now += timedelta(minutes=1)  # later than the parts that a browser asks for at once
    assert await listenings(desk) == 1
    await kira.get(address, headers={"range": "bytes=10-"})  # not even the beginning, and still a listening
    assert await listenings(desk) == 2
    for again in ({"range": "Bytes=00-"}, {}):
        desk.now += timedelta(minutes=1)
        whole = await ivan.get(address, headers={"accept-encoding": "gzip", **again})
        assert whole.content == SOUND
        assert whole.headers["content-encoding"] == "identity"
    assert await listenings(desk) == 4


@pytest.mark.parametrize(
    ("login", "sees", "hears"),
    [
        ("ivan", True, True),  # talked
        ("olena", True, False),  # her phone merely rang
        ("maria", True, True),  # manages who talked
        ("kira", True, True),
        ("admin", True, True),
        ("petro", False, False),
        ("oksana", False, False),
    ],
)
async def test_whoever_merely_rang_hears_nothing(
    browsers: Browsers, desk: BrowserDesk, login: str, sees: bool, hears: bool
) -> None:
    path = record_call(desk)
    await name_recording(desk, path.name)
    client = await browsers(login)
    page = await client.get(f"/calls/{desk.busy.calls[TALKED]}")
    assert (page.status_code == 200) is sees
    assert ("<audio" in page.text) is hears
    assert ("Your phone only rang." in page.text) is (sees and not hears)
    answer = await client.get(recording(desk), headers={"accept": "application/json"})
    assert answer.status_code == (200 if hears else 403 if sees else 404)
    part = await client.get(f"/calls/{desk.busy.calls[TALKED]}", headers={"hx-request": "true"})
    assert ("<audio" in part.text) is hears, "what a live refresh asks for"
    async with desk.database.write() as session:
        token = await create_token(session, desk.office[login], now=desk.now)
    headers = {"authorization": f"Bearer {token}"}
    sound = await client.get(f"/api/v1{recording(desk)}", headers=headers)
    assert sound.status_code == (200 if hears else 403 if sees else 404)
    if sees:
        told = (await client.get(f"/api/v1/calls/{desk.busy.calls[TALKED]}", headers=headers)).json()
        assert (told["recording_url"] is not None) is hears
        listed = (await client.get("/api/v1/calls", headers=headers, params={"limit": "200"})).json()["items"]
        assert [call["recording_url"] is not None for call in listed if call["id"] == told["id"]] == [hears]
    assert await listenings(desk) == (1 if hears else 0), "at one moment"


async def test_a_timeline_plays_only_what_may_be_heard(browsers: Browsers, desk: BrowserDesk) -> None:
    """Olena knows the client by a call of her own, and sees there that Ivan talked to them."""
    record_call(desk)
    client = f"/contacts/{desk.busy.contacts['Ірина Мельник']}"
    sound = f'src="{recording(desk)}"'
    assert sound in (await (await browsers("ivan")).get(client)).text
    page = await (await browsers("olena")).get(client)
    assert sound not in page.text


async def test_the_owner_of_the_client_hears_who_talked_to_them(browsers: Browsers, desk: BrowserDesk) -> None:
    record_call(desk)
    async with desk.database.write() as session:
        contact = await session.get_one(Contact, desk.busy.contacts["Ірина Мельник"])
        contact.responsible_id = desk.office.id("olena")
    assert (await (await browsers("olena")).get(recording(desk))).status_code == 200


@pytest.mark.parametrize(
    "name", ["../secret.wav", "/etc/passwd", "a/../../secret.wav", "x" * 300, "link.wav", "ring.wav"]
)
async def test_nothing_outside_of_the_folder_is_sent(browsers: Browsers, desk: BrowserDesk, name: str) -> None:
    secret = desk.recordings.parent / "secret.wav"
    secret.write_bytes(SOUND)
    (desk.recordings / "link.wav").symlink_to(secret)
    (desk.recordings / "ring.wav").symlink_to(desk.recordings / "ring.wav")
    await name_recording(desk, name)
    answer = await (await browsers("ivan")).get(recording(desk))
    assert answer.status_code == 404
    assert SOUND[:20] not in answer.content
    assert await listenings(desk) == 0


async def test_the_name_told_by_the_dialplan_wins_and_may_lack_its_ending(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    record_call(desk)
    record_call(desk, "2026/11/named.wav", b"OTHER" * 20)
    await name_recording(desk, "2026/11/named")
    assert (await (await browsers("ivan")).get(recording(desk))).content == b"OTHER" * 20


async def test_found_by_channel_in_the_folder_of_its_day_and_not_by_a_longer_id(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    record_call(desk, "in-1700000000.23.wav")  # of another call
    ivan = await browsers("ivan")
    assert (await ivan.get(recording(desk))).status_code == 404
    record_call(desk, f"2026/11/17/q-sales-{TALKED}.wav")
    assert (await ivan.get(recording(desk))).content == SOUND


async def test_missing_growing_and_empty_recordings_are_said_in_plain_words(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    ivan = await browsers("ivan")
    plain = {"accept": "application/problem+json"}
    missing = await ivan.get(recording(desk), headers=plain)
    assert (missing.status_code, missing.json()["code"]) == (404, "recordings.missing")
    path = record_call(desk, sound=SOUND[:44])
    assert (await ivan.get(recording(desk), headers=plain)).json()["code"] == "recordings.empty"
    path.write_bytes(SOUND)
    os.utime(path, (1, desk.now.timestamp() - 1))
    growing = await ivan.get(recording(desk), headers=plain)
    assert (growing.status_code, growing.json()["code"]) == (409, "recordings.growing")
    page = (await ivan.get(f"/calls/{desk.busy.calls[TALKED]}")).text
    assert "still being written" in page


@pytest.fixture
def no_folder(desk: BrowserDesk) -> None:
    """Nobody has said where recordings are; before ``browsers``, whose application takes the settings as they are then."""
    desk.settings = desk.settings.model_copy(update={"recordings_dir": None})


@pytest.mark.usefixtures("no_folder")
async def test_what_is_to_be_set_up_is_told_to_whoever_can(browsers: Browsers, desk: BrowserDesk) -> None:
    """A missing folder is no business of a seller: for them there simply is no recording."""
    plain = {"accept": "application/problem+json"}
    said = {}
    for login in ("ivan", "admin"):
        client = await browsers(login)
        page = (await client.get(f"/calls/{desk.busy.calls[TALKED]}")).text
        answer = await client.get(recording(desk), headers=plain)
        said[login] = (answer.status_code, answer.json()["code"], "recordings_dir" in page + answer.text)
        assert ("There is no recording of this call" in page) is (login == "ivan")
    assert said == {"ivan": (404, "recordings.missing", False), "admin": (404, "recordings.no_folder", True)}


async def test_two_gigabytes_are_sent_in_parts(browsers: Browsers, desk: BrowserDesk) -> None:
    path = record_call(desk)
    size = 2 * 1024**3 + 17
    os.truncate(path, size)  # sparse: takes no room
    os.utime(path, (1, desk.now.timestamp() - 3600))
    part = await (await browsers("ivan")).get(recording(desk), headers={"range": f"bytes={size - 5}-"})
    assert (part.status_code, part.content) == (206, b"\0" * 5)
    assert part.headers["content-range"].endswith(f"/{size}")
