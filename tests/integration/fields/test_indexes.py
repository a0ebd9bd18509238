"""An index serves each kind of field on both databases; ticking makes it, unticking drops it, in the worker where the table is big."""

import pytest
from sqlalchemy import func
from sqlmodel import col, select

from pbxcrm.deals.models import Deal, Stage
from pbxcrm.deals.terms import deal_terms
from pbxcrm.fields import index_actions
from pbxcrm.fields.actions import FieldDraft, archive_field, change_field, restore_field
from pbxcrm.fields.conditions import holds, parse, to_sql
from pbxcrm.fields.definition_rules import OptionDraft
from pbxcrm.fields.index_actions import indexes_of
from pbxcrm.fields.models import FieldDefinition, ValueKind
from pbxcrm.fields.queries import load_fields
from pbxcrm.fields.terms import sorted_by
from pbxcrm.shared.background_jobs import BackgroundJob, JobState, work_on
from pbxcrm.shared.db import Database
from pbxcrm.shared.text_match import MANY
from tests.bench.big_funnel import Filler
from tests.bench.field_values import ASKED, BY_WORDS, fill_deals, make_fields, plan_of
from tests.calls import NOON
from tests.integration.fields.making import KYIV, checking, make_deal, make_field, set_values
from tests.office import Office
from tests.waiting import until

DEALS = 4_000


async def _filled(database: Database, office: Office) -> dict[str, FieldDefinition]:
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        fields = await make_fields(session, admin)
        stages = [stage_id or 0 for stage_id in (await session.exec(select(Stage.id))).all()]
    owners = [office.id(login) for login in ("ivan", *["olena"] * 20)]
    await fill_deals(database, DEALS, fields, owners, stages)
    async with database.write() as session:
        for definition in fields.values():
            await change_field(session, admin, definition.id or 0, FieldDraft(filterable=True), version=None, now=NOON)
    await Filler(database).tidy()  # the planner knows nothing of a new index before
    return fields


async def test_each_kind_is_found_by_its_index(database: Database, office: Office) -> None:
    fields = await _filled(database, office)
    async with database.read() as session:
        terms = deal_terms(await load_fields(session), await checking(session))
        deals = (await session.exec(select(Deal))).all()
        for key, asked in ASKED.items():
            condition = parse({"field": f"field.{key}", **asked}, terms)
            query = select(Deal.id).where(to_sql(condition, KYIV)).limit(MANY + 1)  # what a list asks first (``few``)
            plan = await plan_of(session, query)
            wanted = "search_words" if key in BY_WORDS else f"ix_custom_{fields[key].id}"
            assert wanted in plan, f"{key}: {plan}"
            assert "SCAN deals" not in plan.replace("SCAN deals USING", ""), f"{key}: {plan}"
            assert "Seq Scan on deals" not in plan, f"{key}: {plan}"
            found = set((await session.exec(select(Deal.id).where(to_sql(condition, KYIV)))).all())
            if key not in BY_WORDS:  # only of some rows the words are in the index
                assert found == {deal.id for deal in deals if holds(condition, deal, KYIV)}, key
            assert 0 < len(found) < DEALS / 10, key


async def test_a_list_is_sorted_by_the_index(database: Database, office: Office) -> None:
    fields = await _filled(database, office)
    async with database.read() as session:
        terms = deal_terms(await load_fields(session), await checking(session))
        for key in ("text", "number", "money", "date", "moment", "phone", "address"):
            definition = fields[key]
            for descending in (False, True):
                order = sorted_by(terms[f"field.{key}"], descending=descending)
                there = order.value.is_not(None) if order.filled is None else order.filled
                query = select(Deal.id).where(there).order_by(*order.of_filled(col(Deal.id))).limit(50)
                plan = await plan_of(session, query)
                kept = "_sort" if terms[f"field.{key}"].order is not None else ""
                assert f"ix_custom_{definition.id}{kept}" in plan, f"{key}: {plan}"
                assert "Sort" not in plan, f"{key}: {plan}"
                assert "TEMP B-TREE" not in plan, f"{key}: {plan}"


async def test_the_tick_makes_and_drops_the_index(database: Database, office: Office) -> None:
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        several = await make_field(session, admin, ValueKind.SEVERAL)
        assert await indexes_of(session, several) == []
        await change_field(session, admin, several.id or 0, FieldDraft(filterable=True), version=None, now=NOON)
        before = await indexes_of(session, several)
        assert before
        assert several.indexed_at == NOON
        options = [OptionDraft(**each) for each in several.options]
        await change_field(
            session,
            admin,
            several.id or 0,
            FieldDraft(options=[*options, OptionDraft("Stone")]),
            version=None,
            now=NOON,
        )
        assert len(await indexes_of(session, several)) == len(before) + database.is_sqlite  # one for the new option
        await archive_field(session, admin, several.id or 0, version=None, now=NOON)
        assert await indexes_of(session, several) == []
        await restore_field(session, admin, several.id or 0, now=NOON)
        assert await indexes_of(session, several)
        await change_field(session, admin, several.id or 0, FieldDraft(filterable=False), version=None, now=NOON)
        assert await indexes_of(session, several) == []
        assert several.indexed_at is None


async def test_the_worker_makes_the_index_of_a_big_table(
    database: Database, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_actions, "BIG", 2)
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        field = await make_field(session, admin, ValueKind.SEVERAL)
        for number in range(4):
            await set_values(session, admin, await make_deal(session, office, f"Order {number}"), my_several=["Wood"])
    async with database.write() as session:
        await change_field(session, admin, field.id or 0, FieldDraft(filterable=True), version=None, now=NOON)

    async def is_done() -> bool:
        await work_on(database, NOON)
        async with database.read() as session:
            return (await session.exec(select(BackgroundJob.state))).one() not in {JobState.QUEUED, JobState.RUNNING}

    await until(is_done)
    async with database.read() as session:
        job = (await session.exec(select(BackgroundJob))).one()
        assert (job.state, job.error) == (JobState.DONE, "")
        found = await session.get(FieldDefinition, field.id)
        assert found is not None
        assert found.indexed_at == NOON
        assert len(await indexes_of(session, found)) == (5 if database.is_sqlite else 2)
        terms = deal_terms(await load_fields(session), await checking(session))
        condition = parse({"field": "field.my_several", "op": "has", "value": "Wood"}, terms)
        assert (await session.exec(select(func.count(col(Deal.id))).where(to_sql(condition, KYIV)))).one() == 4
