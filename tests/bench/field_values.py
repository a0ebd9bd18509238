"""Deals with a value in a custom field of every kind, made by the database itself; of most conditions about one row in a thousand is found."""

import re
from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.fields.actions import FieldDraft, create_field
from pbxcrm.fields.definition_rules import OptionDraft
from pbxcrm.fields.models import FieldDefinition, FieldEntity, LinkTarget, ValueKind
from pbxcrm.fields.rules import text_key
from pbxcrm.shared.db import Database
from tests.bench.big_funnel import Filler, one_of
from tests.calls import NOON

#: What a list asks: the condition of each kind, and how many rows in a thousand have it.
ASKED: Mapping[str, Mapping[str, object]] = {
    "text": {"op": "begins", "value": "object 777"},
    "text_words": {"field": "field.text", "op": "contains", "value": "rare"},
    "long_text": {"op": "contains", "value": "rare"},
    "number": {"op": "=", "value": "77.5"},
    "money": {"op": ">=", "value": "9990"},
    "date": {"op": "=", "value": "2026-01-17"},
    "moment": {"op": "=", "value": "2026-01-17"},
    "choice": {"op": "=", "value": "Rare"},
    "several": {"op": "has", "value": "Rare"},
    "yes_no": {"op": "=", "value": "yes"},
    "file": {"op": "filled"},
    "person": {"op": "=", "value": "ivan"},
    "link_web": {"op": "=", "value": "https://example.com/777"},
    "link_contact": {"op": "=", "value": 77},
    "phone": {"op": "=", "value": "+380670000777"},
    "address": {"op": "begins", "value": "street 77,"},
}
#: Kinds whose index is the index of words, which every text has.
BY_WORDS = frozenset({"text_words", "long_text"})


async def make_fields(session: AsyncSession, admin: Viewer) -> dict[str, FieldDefinition]:
    """A field of every kind by key, none of them for filtering yet."""
    found = {}
    for key in (key for key in ASKED if key != "text_words"):
        kind = ValueKind("link" if key.startswith("link") else key)
        options = [OptionDraft("Usual"), OptionDraft("Rare"), OptionDraft("Third")]
        found[key] = await create_field(
            session, admin, entity=FieldEntity.DEAL, kind=kind.value, key=key, currency="UAH", now=NOON,
            draft=FieldDraft(name=key, options=options if kind in {ValueKind.CHOICE, ValueKind.SEVERAL} else None),
            target={"link_web": LinkTarget.WEB, "link_contact": LinkTarget.CONTACT}.get(key, ""),
        )  # fmt: skip
    return found


async def fill_deals(
    db: Database, deals: int, fields: Mapping[str, FieldDefinition], owners: Sequence[int], stages: Sequence[int]
) -> None:
    """``deals`` with values, and the words of their texts."""
    filler, now = Filler(db), f"{NOON.timestamp():.0f}"
    made = filler.moment(f"({now} - ({deals} - i) * 60)")
    rare = "(i % 1000) = 7"
    day = f"({now} - (i % 1000) * 86400)"
    listed, number = ("json_array", "json_object") if db.is_sqlite else ("jsonb_build_array", "jsonb_build_object")
    words = f"CASE WHEN {rare} THEN 'a rare thing' ELSE 'a usual thing' END"
    phone = f"('+38067' || {_padded('i % 1000', 7, db)})"
    values = {
        "text": "'Object ' || i", "text_k": f"'{text_key('Object')} ' || i", "long_text": words, "long_text_k": f"'{text_key('a thing')}'",
        "number": "(i % 1000) * 500000", "money": "(i % 1000) * 1000", "date": _dated(day, "%Y-%m-%d", "YYYY-MM-DD", db),
        "moment": _dated(day, "%Y-%m-%dT%H:%M:%SZ", 'YYYY-MM-DD"T"HH24:MI:SS"Z"', db), "choice": f"CASE WHEN {rare} THEN 2 ELSE 1 END",
        "several": f"CASE WHEN {rare} THEN {listed}(1, 2) ELSE {listed}(1, 3) END", "yes_no": f"CASE WHEN {rare} THEN 1 ELSE 0 END",
        "person": one_of(owners, "i"), "link_web": "'https://example.com/' || (i % 1000)", "link_web_k": f"'{text_key('https://example.com/')}' || (i % 1000)",
        "link_contact": "1 + i % 1000", "phone": phone, "phone_k": phone, "address": "'Street ' || (i % 1000) || ', 5'",
        "address_k": f"'{text_key('Street')} ' || (i % 1000) || ', 5'",
        "text_s": "'object ' || i", "long_text_s": "'a thing'", "link_web_s": "'https example com ' || (i % 1000)", "phone_s": phone,
        "address_s": "'street ' || (i % 1000) || ' 5'",
    }  # fmt: skip
    names = {key: f"{fields[re.sub('_[ks]$', '', key)].id}{key[-1] if key[-2] == '_' else ''}" for key in values}
    pairs = ", ".join(f"'{names[key]}', {sql}" for key, sql in values.items())
    file = fields["file"].id
    with_file = f"CASE WHEN {rare} THEN {number}({pairs}, '{file}', {listed}(i)) ELSE {number}({pairs}) END"
    await filler.insert("deals", deals, {
        "id": "i", "title": "'Deal ' || i", "title_folded": "'deal ' || i", "pipeline_id": "1", "stage_id": one_of(stages, "i"),
        "responsible_id": one_of(owners, "i"), "amount": "(i % 1000) * 10000", "currency": "'UAH'", "created_at": made, "stage_since": made,
        "custom": with_file,
    })  # fmt: skip
    for key in ("text", "long_text"):
        await filler.insert("search_words", deals // 1000, {
            "word": "'rare'", "kind": f"'field:{fields[key].id}'", "row_id": "i * 1000 - 993",
        })  # fmt: skip
        await filler.insert("search_words", deals, {
            "word": "'thing'", "kind": f"'field:{fields[key].id}'", "row_id": "i",
        })  # fmt: skip
    await filler.tidy()


def _dated(seconds: str, of_sqlite: str, of_postgres: str, db: Database) -> str:
    if db.is_sqlite:
        return f"strftime('{of_sqlite}', {seconds}, 'unixepoch')"
    return f"to_char(to_timestamp({seconds}) AT TIME ZONE 'UTC', '{of_postgres}')"


def _padded(sql: str, digits: int, db: Database) -> str:
    return f"printf('%0{digits}d', {sql})" if db.is_sqlite else f"lpad(({sql})::text, {digits}, '0')"


async def plan_of(session: AsyncSession, statement: object) -> str:
    """What the database says it would do."""
    compiled = str(statement.compile(session.get_bind(), compile_kwargs={"literal_binds": True}))  # type: ignore[attr-defined]
    explain = "EXPLAIN QUERY PLAN " if session.get_bind().dialect.name == "sqlite" else "EXPLAIN "
    rows = await session.exec(text(explain + compiled.replace(":", "\\:")))  # type: ignore[call-overload]
    return "\n".join(str(row[-1]) for row in rows.all())
