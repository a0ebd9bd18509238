"""Whatever column of whatever table says something about a client, erasing empties it: a new one without a rule fails here."""

import ast
import io
import os
import time
from pathlib import Path

from sqlalchemy import select as select_columns
from sqlalchemy import text
from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.audit.models import AuditEntry
from pbxcrm.automation.models import AutomationEvent
from pbxcrm.calls.models import Call
from pbxcrm.contacts.merge_queries import CLIENTS
from pbxcrm.contacts.models import Contact, Email, Phone, SpecialNumber
from pbxcrm.deals.models import Deal, Note
from pbxcrm.fields.actions import FieldDraft, create_field
from pbxcrm.fields.models import FieldEntity, ValueKind
from pbxcrm.fields.value_actions import do_set_values
from pbxcrm.files.models import AttachedFile
from pbxcrm.files.queries import needed_hashes
from pbxcrm.files.store import ORPHAN_SECONDS, Kept, Store
from pbxcrm.global_search import search
from pbxcrm.messages.models import MessageStop
from pbxcrm.messages.rules import address_key
from pbxcrm.migrations.sqlite_trigrams import SEARCHED
from pbxcrm.privacy.erase_actions import erase_client
from pbxcrm.shared.db import Database
from pbxcrm.shared.trigrams import index_of, sqlite_has_them
from tests.calls import NOON
from tests.integration.contacts.filling_columns import RowsOfClient, is_json, is_text, referring_to
from tests.office import Office
from tests.source import calls_of, modules

WORD = "ramot"  # its own search key, and short enough for every column

#: Columns that say nothing about a client, with a value that they may have: facts of the company, kinds and keys of ours.
KEPT = {
    "automation_hook_calls.key": "0123", "automation_hook_calls.state": "heard", "automation_hooks.fields": [],
    "bulk_changes.is_undone": False,
    "call_events.key": "ringing:101#1", "call_events.kind": "ringing", "call_events.party": "101",
    "call_legs.channel_id": "1700000000.1", "call_legs.extension": "101", "call_legs.result": "answered",
    "calls.answered_by": "101", "calls.did": "0441234567", "calls.direction": "inbound", "calls.linkedid": None,
    "calls.made_by": "101", "calls.missed_reason": None, "calls.outcome": "answered", "calls.pbx": "main",
    "calls.queue": "sales", "calls.rang": ["101"], "calls.ringing": [], "calls.talked": ["101"], "calls.talking": [],
    "calls.transfers": [], "calls.trunk": "trunk",
    "attempts.result": "reached",
    "distribution_choices.subject": "call:1",
    "deals.closed_at": NOON, "deals.currency": "UAH",
    "deals.source": "site",  # of the office, for its reports
    "contacts.language": "uk",
    "deliveries.channel": "email", "deliveries.state": "sent",
    "emails.kind": "work", "phones.kind": "mobile",
    "episodes.status": "reached",
    "files.content_type": "text/plain",
    "form_requests.proof": "0123", "form_requests.source": "site", "form_requests.state": "deal",
    "lamps.decision": "", "lamps.entry": None, "lamps.state": "out", "lamps.subject": "deal",
    "lamps.worked": [],  # spans of working time
    "phone_commands.error_code": "busy", "phone_commands.extension": "101", "phone_commands.key": None,
    "phone_commands.kind": "originate", "phone_commands.pbx": "main", "phone_commands.status": "done",
    "task_comments.act": "",
    "tasks.kind": "todo", "tasks.repeat": "", "tasks.status": "done",
    "wrap_ups.disposition": "done",
}  # fmt: skip

#: What code reads while it erases has its shape.
SHAPED = {name: [{"key": WORD, "written": WORD}] for name in ("merges.numbers", "merges.emails")}

#: Tables without a reference to a client where a number or a key leads to one; they are filled below.
BY_KEY = {
    "audit": "data",
    "automation_events": "data",
    "callers": "name_folded",
    "search_words": "word",
    "special_numbers": "note",
    "message_stops": "address",
}

#: Tables that hold nothing about a client. The vocabulary of the search knows words, not whose they are (decision 55).
OF_THE_OFFICE = {
    "api_tokens", "automation_hooks", "automation_rule_versions", "automation_rules", "background_jobs", "calendar_days", "calendar_feeds", "calendar_spans", "calendars", "checkpoint_steps", "checkpoints",
    "companies", "company_merges", "configuration_version", "deal_views", "digests", "distribution_rules", "distribution_turns", "engine_beats", "extensions",
    "failed_logins", "field_definitions", "field_sections", "form_consents", "leaves", "line_templates", "lines", "list_columns", "login_sessions",
    "mailboxes", "message_templates", "mobile_numbers", "name_spellings", "not_same_companies", "options", "outbox", "pbx_journals", "pbx_status", "pipelines", "products",
    "sms_gateways", "special_ranges", "stage_tasks", "stages", "tags", "teams", "timers", "users", "web_forms", "webhooks",
}  # fmt: skip

#: References by which a row is not the client's: it has a client of its own.
NOT_THEIRS = {
    "attempts.call_id",  # of another client's callback
    "calls.merged_into_id", "deals.follows_id", "deals.made_by_call_id", "deals.merged_into_id",
    "episodes.closed_by_call_id", "episodes.last_call_id", "episodes.task_id",
    "lamps.task_id",  # of many late lamps (decision 55); the others refer to their deal or callback
    "tasks.follows_id", "tasks.stage_move_id",
}  # fmt: skip

#: What the audit log is kept of, apart from rows about clients.
ENTITIES_OF_THE_OFFICE = {
    "calendar", "checkpoint", "company", "distribution_rule", "field", "line", "line_template", "options", "pipeline", "product",
    "message_stop", "message_template", "sms_gateway", "range", "stage", "team", "user", "form", "view", "rule", "hook", "webhook",
    "run",  # only that one was undone: ids and a count
}  # fmt: skip
ENTITIES = {"contact", "deal", "call", "task", "callback", "request", "number"}


def test_every_table_has_its_place() -> None:
    found = {table.name for table in referring_to("contacts")}
    assert set(SQLModel.metadata.tables) - found == {*BY_KEY, *OF_THE_OFFICE}
    assert not found & {*BY_KEY, *OF_THE_OFFICE}


def test_every_entity_of_the_audit_log_has_its_place() -> None:
    third = [call.args[3] for _module, tree in modules() for call in calls_of(tree, "record") if len(call.args) > 4]
    said = {each.value for each in third if isinstance(each, ast.Constant)}
    assert {"contact", "deal", "number", "task"} <= said
    assert said <= ENTITIES | ENTITIES_OF_THE_OFFICE


async def left_of(session: AsyncSession, word: str) -> list[str]:
    """``table.column`` of every value that has the word."""
    left: list[str] = []
    connection = await session.connection()
    for table in SQLModel.metadata.sorted_tables:
        for row in (await connection.execute(select_columns(table))).mappings():
            left += [f"{table.name}.{name}" for name, value in row.items() if word in str(value).casefold()]
    return left


async def in_parts_of_names(session: AsyncSession, word: str) -> int:
    """How many entries of the indexes of SQLite for parts of names have the word."""
    if session.get_bind().dialect.name != "sqlite":
        return 0
    connection, found = await session.connection(), 0
    for table, column in SEARCHED:
        index = index_of(table, column)
        asked = text(f"SELECT count(*) FROM {index} WHERE {index} MATCH :word")
        found += (await connection.execute(asked, {"word": f'"{word}"'})).scalar_one()
    return found


async def fill(database: Database, office: Office, kept: Kept) -> int:
    """A client to whom everything refers; what no foreign key finds is filled by hand."""
    async with database.write() as session:
        filling = RowsOfClient(session, WORD, KEPT | SHAPED, NOT_THEIRS)
        await filling.fill()
        theirs = filling.theirs
        client: int = theirs["contacts"]
        file = AttachedFile(
            deal_id=theirs["deals"], name=WORD, size=kept.size, content_type="", sha256=kept.sha256, at=NOON
        )
        session.add(file)
        number = (await session.exec(select(Phone.number).where(Phone.contact_id == client))).one()
        session.add(
            AutomationEvent(at=NOON, act="x", subject="contact", contact_id=client, data={WORD: WORD}, due_at=NOON)
        )
        email = (await session.exec(select(Email.address).where(Email.contact_id == client))).one()
        session.add(MessageStop(address=address_key(email), by_id=office.id("admin"), at=NOON))
        session.add(SpecialNumber(number=number, kind="own", note=WORD, added_at=NOON))
        contact, call = await session.get_one(Contact, client), await session.get_one(Call, theirs["calls"])
        contact.name, contact.note, call.recording = f"{WORD} name", f"{WORD} note", f"{WORD}.wav"
        note = await session.get_one(Note, theirs["notes"])
        note.text = f"{WORD} wants oak"
        withheld = Call(
            deal_id=theirs["deals"], pbx="main", linkedid="w", direction="inbound", outcome="answered", started_at=NOON
        )
        withheld.client_name = f"{WORD} Withheld"
        session.add(withheld)
        tables = {"contact": "contacts", "deal": "deals", "call": "calls", "task": "tasks"}
        about = {name: theirs[table] for name, table in tables.items()}
        about |= {"callback": theirs["episodes"], "request": theirs["form_requests"], "number": number}
        assert set(about) == ENTITIES
        for entity, row_id in about.items():
            said = {WORD: WORD}
            session.add(AuditEntry(at=NOON, action="x", entity=entity, entity_id=str(row_id), reason=said, data=said))
        admin = await office.viewer(session, "admin")
        definition = await create_field(
            session,
            admin,
            entity=FieldEntity.DEAL,
            kind=ValueKind.TEXT,
            draft=FieldDraft(name="Words"),
            currency="UAH",
            now=NOON,
        )
        await session.flush()
        deal = await session.get_one(Deal, theirs["deals"])
        await do_set_values(session, admin, FieldEntity.DEAL, deal, {definition.key: f"{WORD} said"}, region="UA")
    return client


async def test_every_column_about_a_client_is_emptied(database: Database, office: Office, tmp_path: Path) -> None:
    store, recordings = Store(tmp_path / "data"), tmp_path / "recordings"
    recordings.mkdir()
    recording = recordings / f"{WORD}.wav"
    recording.write_bytes(b"RIFF" + bytes(100))
    kept = store.keep(io.BytesIO(f"about {WORD}".encode()), 1000)
    client = await fill(database, office, kept)
    columns = {
        f"{table.name}.{column.name}"
        for table in referring_to("contacts")
        for column in table.c
        if is_text(column) or is_json(column)
    }
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        told = set(await left_of(session, WORD))
        assert columns - told == set(KEPT) & columns  # so that the same look afterwards can fail
        assert {f"{table}.{column}" for table, column in BY_KEY.items()} <= told
        assert (await search(session, admin, WORD)).deals
        if session.get_bind().dialect.name == "sqlite" and sqlite_has_them():
            assert await in_parts_of_names(session, WORD) > 0
    async with database.write() as session:
        await erase_client(session, admin, client, f"{WORD} name", lambda _pbx: recordings, now=NOON)
    async with database.read() as session:
        left = set(await left_of(session, WORD))
        # What decision 55 lets stay: the number, which is not a client's, and words, not whose they are.
        assert left <= {"special_numbers.number", "name_spellings.word", "name_spellings.spelling"}
        found = await search(session, admin, WORD)
        assert not any((found.contacts, found.companies, found.deals, found.notes, found.tasks))
        assert await in_parts_of_names(session, WORD) == 0
        for link in CLIENTS.links:
            rows = await (await session.connection()).execute(select_columns(link.column).where(link.column == client))
            assert rows.all() == [], f"{link.name} still names the client"
        needed = await needed_hashes(session)
    assert not recording.exists()
    path = store.path(kept.sha256)
    os.utime(path, (0, time.time() - 2 * ORPHAN_SECONDS))
    store.sweep(needed)
    assert not path.exists()
