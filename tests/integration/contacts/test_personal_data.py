"""Personal data: taken out as JSON and as a page, and erased so that no row of any table holds them; calls and deals stay."""

import json
import zipfile
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from sqlalchemy import delete, update
from sqlalchemy import select as select_columns
from sqlmodel import SQLModel, col, select

from pbxcrm.audit.models import AuditEntry
from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.calls.models import Call
from pbxcrm.checkpoints.models import Pause
from pbxcrm.contacts.consent_actions import keep_consent
from pbxcrm.contacts.models import Contact, Merge
from pbxcrm.deals.lost import do_lose_deal
from pbxcrm.deals.models import Deal, DealTag, Note, Tag
from pbxcrm.deals.people_actions import add_person, set_role
from pbxcrm.forms.actions import Arrival, Surroundings, receive
from pbxcrm.forms.models import FormRequest, RequestState
from pbxcrm.forms.rules import Answers
from pbxcrm.notes.actions import add_note
from pbxcrm.people.directory import load_directory
from pbxcrm.privacy.erase_actions import Erased, erase_client
from pbxcrm.privacy.export_queries import export_client
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict, Invalid, NotAllowed, NotFound
from pbxcrm.shared.events import Outbox
from pbxcrm.shared.numbers import Written
from pbxcrm.tasks.actions import create_task
from pbxcrm.tasks.finish_actions import finish_task
from pbxcrm.tasks.models import Task, TaskStatus
from tests.calls import NOON, FactStory, batch
from tests.forms import make_form
from tests.integration.contacts.merging import Clients
from tests.integration.web.desks import HTMX, BrowserDesk, Browsers, browsers, desk
from tests.office import Office

__all__ = ["browsers", "desk"]
NAME, OTHER_NAME = "Zoriana Hlukhivska", "Zorka Hlukhivska"
NUMBER, SECOND, ADDRESS = "+380671112233", "+380501112233", "zoriana@example.com"
SECRETS = ("zoriana", "hlukhivska", "zorka", "671112233", "501112233", "allergic to nickel")


async def everything(database: Database) -> str:
    """Every value of every row of every table, as text."""
    told: list[str] = []
    async with database.read() as session:
        connection = await session.connection()
        for table in SQLModel.metadata.sorted_tables:
            rows = (await connection.execute(select_columns(table))).all()
            told += [f"{table.name}: {json.dumps([str(value) for value in row], ensure_ascii=False)}" for row in rows]
    return "\n".join(told)


async def known_client(database: Database, office: Office, intake: Intake) -> int:
    """A client with everything: merged and unmerged others, deals, calls, a note, a task, a request, a consent."""
    clients = Clients(database, office, login="admin")
    one = await clients.make(NAME, NUMBER, emails=(ADDRESS,), birthday="1.2.1990", note="allergic to nickel")
    two = await clients.make(OTHER_NAME, SECOND)
    three = await clients.make(NAME, SECOND)
    await clients.undo(await clients.merge(three, one))
    await clients.merge(two, one)
    await clients.merge(three, one)
    deal_id = await clients.deal(one, f"Kitchen of {NAME}")
    await clients.note(one, f"{NAME} is allergic to nickel")
    await clients.talk(intake, NUMBER, NOON + timedelta(minutes=5))
    async with database.read() as session:
        admin = await office.viewer(session, "admin")
    form = await make_form(database, admin, NOON, consent="We keep it.")
    async with database.write() as session:
        answers = Answers(name=NAME, numbers=[Written(NUMBER)], emails=[ADDRESS], message="allergic to nickel")
        came = Arrival(answers, "x" * 64, consent_version=1)
        await receive(session, form, came, Surroundings("UA", "UAH", 1), NOON)
        await keep_consent(session, admin, one, is_given=False, source=f"{NAME} wrote", now=NOON)
        await create_task(session, admin, title=f"Ask {NAME}", due_at=NOON, now=NOON, contact_id=one)
    assert deal_id
    return one


async def close_all(database: Database, office: Office) -> None:
    async with database.write() as session:
        admin, people = await office.viewer(session, "admin"), await load_directory(session)
        for deal in (await session.exec(select(Deal).where(col(Deal.closed_at).is_(None)))).all():
            await do_lose_deal(session, deal, "Too dear", NOON, actor=admin, people=people)
    table = SQLModel.metadata.tables["tasks"]
    async with database.write() as session:
        rows = await (await session.connection()).execute(select_columns(table.c.id).where(table.c.status == "open"))
        for (task_id,) in rows.all():
            await finish_task(session, admin, task_id, result=f"Asked {NAME}", now=NOON)


async def erase(
    database: Database,
    office: Office,
    contact_id: int,
    word: str = NAME,
    login: str = "admin",
    folder: Path | None = None,
) -> Erased:
    async with database.write() as session:
        viewer = await office.viewer(session, login)
        return await erase_client(session, viewer, contact_id, word, lambda _pbx: folder, now=NOON)


async def test_nothing_of_the_person_is_left_in_any_table(
    database: Database, office: Office, intake: Intake, tmp_path: Path
) -> None:
    one = await known_client(database, office, intake)
    async with database.write() as session:
        [call] = (await session.exec(select(Call))).all()
        call.recording = "talk.wav"
    (tmp_path / "talk.wav").write_bytes(b"RIFF" + b"\0" * 100)
    with pytest.raises(NotAllowed):
        await erase(database, office, one, login="maria")
    with pytest.raises(Conflict) as refused:  # the deals and the task are open
        await erase(database, office, one, folder=tmp_path)
    assert refused.value.code == "privacy.open_work"
    await close_all(database, office)
    with pytest.raises(Invalid) as wrong:
        await erase(database, office, one, word="yes", folder=tmp_path)
    assert wrong.value.field == "confirm"
    assert (tmp_path / "talk.wav").exists()
    told = (await everything(database)).casefold()
    assert all(secret in told for secret in SECRETS)  # so that the same look afterwards can fail
    async with database.read() as session:
        deals = len((await session.exec(select(Deal))).all())
    done = await erase(database, office, one, folder=tmp_path)
    assert (done.calls, done.recordings, done.kept_recordings) == (1, 1, [])
    assert not (tmp_path / "talk.wav").exists()
    left = [line for line in (await everything(database)).casefold().splitlines() if any(s in line for s in SECRETS)]
    # The vocabulary of the search knows words, not whose they are.
    assert [line for line in left if not line.startswith("name_spellings:")] == []
    async with database.read() as session:
        rows = (await session.exec(select(Contact))).all()
        assert {(row.name, row.birth_day, row.responsible_id, row.erased_at is not None) for row in rows} == {
            ("", None, None, True)
        }
        assert (await session.exec(select(Merge))).all() == []
        [call] = (await session.exec(select(Call))).all()
        assert (call.outcome, call.talk_seconds, call.client_number, call.contact_id) == ("answered", 60.0, None, None)
        assert len((await session.exec(select(Deal))).all()) == deals
        asked = select(AuditEntry).where(AuditEntry.action == "contact.erased")
        [entry] = (await session.exec(asked)).all()
        assert (entry.entity_id, entry.actor_id) == (str(one), (await office.viewer(session, "admin")).user_id)
    with pytest.raises(NotFound):
        await erase(database, office, one)
    clients = Clients(database, office, login="admin")
    assert await clients.make("Somebody Else", NUMBER) != one  # the number is free, and its calls are nobody's
    async with database.read() as session:
        [call] = (await session.exec(select(Call))).all()
        assert call.contact_id is None


async def test_a_number_that_another_client_has_stays_with_them(
    database: Database, office: Office, intake: Intake
) -> None:
    clients = Clients(database, office, login="admin")
    two = await clients.make("Her Husband", SECOND)
    await clients.talk(intake, SECOND)
    one = await clients.make(NAME, NUMBER, SECOND)
    await clients.talk(intake, NUMBER, NOON + timedelta(hours=1))
    await close_all(database, office)
    await erase(database, office, one)
    async with database.read() as session:
        calls = (await session.exec(select(Call).order_by(col(Call.id)))).all()
        assert [call.client_number for call in calls] == [SECOND, None]
    assert await clients.numbers(two) == [SECOND]


async def test_all_is_taken_out_for_the_person(database: Database, office: Office, intake: Intake) -> None:
    one = await known_client(database, office, intake)
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        found = await export_client(session, admin, one, now=NOON)
        with pytest.raises(NotAllowed):
            await export_client(session, await office.viewer(session, "ivan"), one, now=NOON)
        with pytest.raises(NotAllowed):
            await export_client(session, await office.viewer(session, "kira"), one, now=NOON)
    told = json.dumps(found.as_json(), ensure_ascii=False).casefold()
    assert all(secret in told for secret in SECRETS)
    assert found.sections["client"][0]["birthday"] == "1990-02-01"
    assert [each["given"] for each in found.sections["consents"]] == [True, False]
    assert all(found.sections[name] for name in ("phones", "emails", "deals", "calls", "tasks", "notes", "requests"))


async def test_the_page_asks_for_the_name_and_the_archive_can_be_read(browsers: Browsers, desk: BrowserDesk) -> None:
    clients = Clients(desk.database, desk.office, login="admin")
    one = await clients.make("Nobody <b>", "+380501110099")
    admin, maria = await browsers("admin"), await browsers("maria")
    assert f"/contacts/{one}/erase" in (await admin.get(f"/contacts/{one}")).text
    assert (await maria.get(f"/contacts/{one}/erase")).status_code == 403
    looked = await admin.get(
        f"/contacts/{one}/personal-data"
    )  # the audit log keeps who took it out, so a link does not
    assert looked.status_code == 303
    answer = await admin.post(f"/contacts/{one}/personal-data")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        assert json.loads(archive.read("personal-data.json"))["client"][0]["name"] == "Nobody <b>"
        assert "Nobody &lt;b&gt;" in archive.read("personal-data.html").decode()
    assert "This cannot be undone" in (await admin.get(f"/contacts/{one}/erase")).text
    refused = await admin.post(f"/contacts/{one}/erase", data={"confirm": "Nobody"}, headers=HTMX)
    assert (refused.status_code, 'aria-invalid="true"' in refused.text) == (422, True)
    gone = await admin.post(f"/contacts/{one}/erase", data={"confirm": "Nobody <b>"}, headers=HTMX)
    assert "The client was erased" in gone.text
    assert (await admin.get(f"/contacts/{one}")).status_code == 404


async def test_a_manager_takes_out_only_what_they_see(database: Database, office: Office, intake: Intake) -> None:
    """Whoever makes a client with another team's number learns nothing about that team by taking the data out."""
    await intake.apply(
        batch(FactStory("1700000001.1", client=NUMBER, at=NOON).ring("201").wait(5).answer("201").wait(60).end())
    )
    async with database.write() as session:
        petro = await office.viewer(session, "petro")
        [deal] = (await session.exec(select(Deal))).all()
        deal.responsible_id, deal.title = petro.user_id, "Petro's secret deal"
        await add_note(session, petro, "Petro's secret note", NOON, deal=deal)
        await create_task(session, petro, title="Petro's secret task", due_at=NOON, now=NOON, deal_id=deal.id)
    client_id = await Clients(database, office).make("Made up", NUMBER)
    async with database.write() as session:
        maria, admin = await office.viewer(session, "maria"), await office.viewer(session, "admin")
        hers = await export_client(session, maria, client_id, now=NOON)
        everything_kept = await export_client(session, admin, client_id, now=NOON)
    work = ("deals", "calls", "tasks", "notes")
    assert {name: hers.sections[name] for name in work} == {name: [] for name in work}
    assert "secret" not in json.dumps(hers.as_json())
    assert all(everything_kept.sections[name] for name in work)


async def test_rows_of_another_client_stay_when_one_is_erased(
    database: Database, office: Office, intake: Intake
) -> None:
    """The number that called about Bohdan's deal is linked to Zoriana only later: the deal, its note and its callback stay his."""
    clients = Clients(database, office, login="admin")
    await clients.missed(intake, NUMBER)
    bohdan = await clients.make("Bohdan", SECOND)
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        [deal] = (await session.exec(select(Deal))).all()
        [call] = (await session.exec(select(Call))).all()
        [episode] = (await session.exec(select(Episode))).all()
        deal.title, deal.contact_id, call.contact_id, episode.contact_id = "Bohdan's kitchen", bohdan, bohdan, bohdan
        session.add(Note(deal_id=deal.id, call_id=call.id, author_id=admin.user_id, text="He wants oak", at=NOON))
        await create_task(session, admin, title="Measure", due_at=NOON, now=NOON, deal_id=deal.id)
    form = await make_form(database, admin, NOON)
    async with database.write() as session:  # nothing is open
        await session.exec(update(Episode).values(status=EpisodeStatus.REACHED.value))
        await session.exec(update(Task).values(status=TaskStatus.DONE.value))
        await session.exec(update(Deal).values(closed_at=NOON))
    one = await clients.make(NAME, NUMBER)
    async with database.write() as session:
        request = FormRequest(form_id=form.id or 0, dedup_key="a", content_hash="a", at=NOON, state=RequestState.JOINED)
        request.deal_id, request.number, request.name = deal.id, NUMBER, "Bohdan"
        session.add(request)
    before = await rows_of(database, "deals", "calls", "episodes", "notes", "tasks", "form_requests")
    await erase(database, office, one)
    assert await rows_of(database, "deals", "calls", "episodes", "notes", "tasks", "form_requests") == before


async def rows_of(database: Database, *tables: str) -> list[str]:
    return [line for line in (await everything(database)).splitlines() if line.partition(":")[0] in tables]


async def test_free_words_about_the_client_and_their_part_in_deals_of_others_go(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    database, office = desk.database, desk.office
    clients = Clients(database, office, login="admin")
    one, other = await clients.make(NAME, NUMBER), await clients.make("Bohdan", SECOND)
    own, others = await clients.deal(one, "Kitchen"), await clients.deal(other, "Bath")
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        person = await add_person(session, admin, others, one, f"wife, {NAME}", NOON)
        await set_role(session, admin, others, person.id or 0, f"mother, {NAME}", NOON)
        deal = await session.get_one(Deal, own)
        session.add(Pause(deal_id=own, from_at=NOON, until_at=NOON, why=f"{NAME} is in hospital"))
        tag = Tag(name=f"friends of {NAME}", key="friends")
        session.add(tag)
        await session.flush()
        session.add(DealTag(deal_id=own, tag_id=tag.id or 0))
        await do_lose_deal(session, deal, f"{NAME} died", NOON, actor=admin, people=await load_directory(session))
    async with database.write() as session:
        await session.exec(update(Task).values(status=TaskStatus.DONE.value))
        await session.exec(delete(Outbox))
    await erase(database, office, one)
    left = [line for line in (await everything(database)).splitlines() if NAME in line]
    assert [line for line in left if not line.startswith("tags:")] == []  # a tag belongs to all deals: decision 55
    async with database.read() as session:
        heard = {(row.topic, row.ref) for row in (await session.exec(select(Outbox))).all()}
        assert (await session.exec(select(DealTag))).all() == []
        assert (await session.get_one(Deal, own)).lost_reason == "—"
    assert {("deal", str(own)), ("deal", str(others))} <= heard
    assert (await (await browsers("admin")).get(f"/deals/{others}")).status_code == 200


async def test_a_consent_by_a_form_is_heard_on_the_clients_page(database: Database, office: Office) -> None:
    one = await Clients(database, office, login="admin").make(NAME, NUMBER)
    async with database.read() as session:
        admin = await office.viewer(session, "admin")
    form = await make_form(database, admin, NOON, consent="We keep it.")
    async with database.write() as session:
        await session.exec(delete(Outbox))
        came = Arrival(Answers(name=NAME, numbers=[Written(NUMBER)], message="Hello"), "x" * 64, consent_version=1)
        await receive(session, form, came, Surroundings("UA", "UAH", 1), NOON)
    async with database.read() as session:
        heard = {(row.topic, row.ref) for row in (await session.exec(select(Outbox))).all()}
    assert ("contact", str(one)) in heard
