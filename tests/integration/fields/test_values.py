"""Values of custom fields: what is entered comes back, whatever it is; words find it; merges keep it; lists name links in one query."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import select

from pbxcrm import migrations
from pbxcrm.contacts.actions import create_contact, edit_contact
from pbxcrm.contacts.merge_actions import merge_contacts
from pbxcrm.contacts.merge_queries import changed_since
from pbxcrm.contacts.models import Contact
from pbxcrm.contacts.unmerge_actions import undo_merge
from pbxcrm.deals.fields import BY_KEY
from pbxcrm.deals.models import Deal
from pbxcrm.deals.terms import deal_terms
from pbxcrm.fields.conditions import parse, to_sql
from pbxcrm.fields.definition_rules import RESERVED
from pbxcrm.fields.hooks import reserved_keys
from pbxcrm.fields.models import FieldDefinition, FieldEntity, ValueKind
from pbxcrm.fields.queries import load_fields, load_named
from pbxcrm.fields.rules import Checking, check_value, filled_percent, with_value
from pbxcrm.fields.value_actions import ValueTaken
from pbxcrm.people.directory import Directory
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Invalid
from tests.calls import NOON
from tests.integration.fields.making import KINDS, KYIV, REGION, checking, make_deal, make_field, set_values
from tests.office import Office
from tests.statements import statements

NOBODY = Checking(REGION, Directory({}, {}, {}))
HOSTILE = [
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "שלום\u202eעולם",
    "🙂‍↔️",
    "\x00\x01",
    "\ud800",
    "x" * 100_000,
    "'; DROP TABLE deals; --",
    "%s{0}",
    "../x",
]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([kind for kind in KINDS if kind is not ValueKind.PERSON]), st.one_of(st.text(), st.sampled_from(HOSTILE), st.integers(), st.booleans(), st.floats(), st.none(), st.lists(st.text(), max_size=3)))  # fmt: skip
def test_whatever_is_entered_is_refused_at_its_field_or_can_be_entered_again(kind: ValueKind, entered: object) -> None:
    options = [{"id": 1, "name": "=1+1", "retired": False}, {"id": 2, "name": "🙂", "retired": False}]
    field = FieldDefinition(id=7, entity="deal", key="a", kind=kind.value, name="A", options=options, target="web")
    try:
        stored = check_value(field, entered, None, NOBODY)
    except Invalid as error:
        assert error.field == "fields.a"  # noqa: PT017 - whether it is refused depends on the example
        return
    custom = with_value({}, field, stored)
    str(custom).encode()  # neither halves of letters …
    assert "\x00" not in str(custom)  # … nor NUL, which PostgreSQL refuses
    if stored is None:
        assert custom == {}
    elif kind not in {ValueKind.NUMBER, ValueKind.MONEY}:  # they are entered in units, and stored in parts of them
        assert check_value(field, stored, None, NOBODY) == stored


async def test_hostile_texts_are_stored_and_found(database: Database, office: Office) -> None:
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        await make_field(session, admin, ValueKind.LONG_TEXT, filterable=True)
        for number, each in enumerate(HOSTILE):
            deal = await make_deal(session, office, f"Deal {number}")
            await set_values(session, admin, deal, my_long_text=each[:10_000])
    async with database.read() as session:
        terms = deal_terms(await load_fields(session), await checking(session))

        async def found(op: str, value: str) -> list[str]:
            condition = parse({"field": "field.my_long_text", "op": op, "value": value}, terms)
            return list((await session.exec(select(Deal.title).where(to_sql(condition, KYIV)))).all())

        assert await found("contains", "script alert") == ["Deal 1"]
        assert await found("contains", "drop tab") == ["Deal 7"]
        assert await found("=", "=cmd|' /C calc'!A0") == ["Deal 0"]
        assert await found("begins", "%s") == ["Deal 8"]
        assert await found("contains", "nothing") == []
    async with database.write() as session:  # the words of a value that is taken away find nothing any more
        deal = (await session.exec(select(Deal).where(Deal.title == "Deal 1"))).one()
        await set_values(session, admin, deal, my_long_text="")
    async with database.read() as session:
        assert await found("contains", "script") == []


async def test_two_at_once_cannot_take_one_unique_value(database: Database, office: Office) -> None:
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        await make_field(session, admin, ValueKind.PHONE, is_unique=True)
        ids = [(await make_deal(session, office, f"Deal {number}")).id for number in range(2)]

    async def take(deal_id: int | None) -> None:
        async with database.write() as session:
            await set_values(session, admin, await session.get_one(Deal, deal_id), my_phone="067 111 22 33")

    results = await asyncio.gather(*(take(each) for each in ids), return_exceptions=True)
    assert [type(each) for each in results if each is not None] == [ValueTaken]
    assert [each.field for each in results if isinstance(each, ValueTaken)] == ["fields.my_phone"]


async def test_links_of_a_list_are_named_in_one_query(database: Database, office: Office) -> None:
    async with database.write() as session:
        ivan, admin = await office.viewer(session, "ivan"), await office.viewer(session, "admin")
        links = [await make_field(session, admin, ValueKind.LINK, key=f"link_{n}", target="contact") for n in range(3)]
        person = await make_field(session, admin, ValueKind.PERSON)
        clients = [
            await create_contact(session, ivan, name=f"Client {number}", now=NOON, region=REGION)
            for number in range(20)
        ]
        for number in range(20):
            deal = await make_deal(session, office, f"Deal {number}")
            values = {f"link_{n}": clients[(number + n) % 20].id for n in range(3)}
            await set_values(session, ivan, deal, my_person="olena", **values)
    async with database.read() as session:
        customs = (await session.exec(select(Deal.custom))).all()
        await load_fields(session)
        await load_named(session, ivan, [], [])  # the directory is in memory
        with statements(database) as sent:
            named = await load_named(session, ivan, [*links, person], customs)
        assert len(sent) == 1, sent
        assert named.of(links[0], clients[3].id or 0) == "Client 3"
        assert named.of(person, office.id("olena")) == "Olena Hryhorenko"
        petro = await office.viewer(session, "petro")  # of the other team
        assert (await load_named(session, petro, links, customs)).of(links[0], clients[3].id or 0) is None


async def test_a_merge_keeps_the_values_of_both(database: Database, office: Office) -> None:
    async with database.write() as session:
        ivan, admin = await office.viewer(session, "ivan"), await office.viewer(session, "admin")
        for key in ("only_one", "both", "changed"):
            await make_field(session, admin, ValueKind.TEXT, entity=FieldEntity.CONTACT, key=key)
        one = await create_contact(
            session, ivan, name="One", now=NOON, region=REGION, custom={"only_one": "a", "both": "b", "changed": "c"}
        )
        two = await create_contact(session, ivan, name="Two", now=NOON, region=REGION, custom={"both": "kept"})
        merge = await merge_contacts(session, ivan, one.id or 0, two.id or 0, now=NOON)
        await edit_contact(
            session, ivan, two.id or 0, version=None, now=NOON, region=REGION, custom={"changed": "since then"}
        )
    async with database.write() as session:
        fields = (await load_fields(session)).by_key(FieldEntity.CONTACT)
        two = await session.get_one(Contact, two.id)
        assert {key: two.custom.get(str(each.id)) for key, each in fields.items()} == {
            "only_one": "a", "both": "kept", "changed": "since then",
        }  # fmt: skip
        assert [left.what for left in await changed_since(session, merge, two)] == ["fields.text"]
        await undo_merge(session, ivan, merge.id or 0, now=NOON + timedelta(days=31))
    async with database.read() as session:
        one, two = await session.get_one(Contact, one.id), await session.get_one(Contact, two.id)
        told = {key: (one.custom.get(str(each.id)), two.custom.get(str(each.id))) for key, each in fields.items()}
        assert told == {"only_one": ("a", None), "both": ("b", "kept"), "changed": ("c", "since then")}


def test_no_custom_field_has_the_key_of_an_own_one() -> None:
    assert set(BY_KEY) | {"contact_id"} <= RESERVED | reserved_keys()


async def test_an_upgrade_keeps_the_indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite copies a table to alter it, and Alembic cannot copy an index on an expression."""
    url = f"sqlite:///{tmp_path}/old.db"
    await migrations.upgrade(url)
    database = Database(url)
    made = "CREATE INDEX ix_custom_1 ON deals (json_extract(custom, '$.\"1\"'), id)"
    async with database.engine.begin() as connection:
        await connection.execute(text(made.replace(":", "\\:")))
        await connection.execute(text("UPDATE alembic_version SET version_num = '0030'"))
    monkeypatch.setattr(
        migrations, "_upgrade", lambda connection: connection.exec_driver_sql("DROP INDEX IF EXISTS ix_custom_1")
    )
    await migrations.upgrade(url)
    async with database.engine.connect() as connection:
        found = await connection.execute(text("SELECT sql FROM sqlite_master WHERE name = 'ix_custom_1'"))
        assert found.scalar_one() == made
    await database.close()


@pytest.mark.parametrize(
    ("stored", "percent"), [({}, 0), ({"1": 0}, 50), ({"1": "x", "2": [3]}, 100), ({"2": 5, "9": 1}, 50)]
)
def test_how_much_of_a_card_is_filled_in(stored: dict[str, Any], percent: int) -> None:
    fields = [FieldDefinition(id=n, entity="deal", key=f"f{n}", kind="text", name=f"F{n}") for n in (1, 2)]
    assert filled_percent(fields, stored) == percent
    assert filled_percent([], stored) is None
    assert filled_percent([*fields[:1] * 199, fields[1]], {"1": "x"}) == 99  # something is missing still
