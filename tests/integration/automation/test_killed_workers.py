"""Thousands of events, twenty rules, two real workers that are killed again and again: each step exactly once, in order.

What came out is compared with a slow and obvious reference: the events one after the other, each rule asked in its order.
"""

import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert
from sqlmodel import col, func, select

from pbxcrm.automation.models import AutomationEvent, RuleRun, RunStep
from pbxcrm.deals.models import DealTag, Note, Tag
from pbxcrm.shared.db import Database
from tests.integration.automation.conftest import RuleDesk
from tests.waiting import until
from tests.workers import mortal_workers

pytestmark = pytest.mark.timeout(1800)  # a busy machine takes minutes for a thousand steps
RULES, DEALS, EVENTS, BLOWS = 20, 25, 100, 8
SIZES = ("S", "M", "L", "XL")
#: The events tell their size in a word that conditions may ask for.
OUTCOME = dict(zip(SIZES, ("answered", "missed", "busy", "failed"), strict=True))


def reference(events: list[tuple[int, str]]) -> tuple[Counter[tuple[int, str]], dict[int, set[str]], int]:
    """The notes and tags that twenty rules leave, and how many firings there are, if each event is heard once and in order."""
    notes: Counter[tuple[int, str]] = Counter()
    tags: dict[int, set[str]] = {}
    for deal_id, size in events:
        for number in range(RULES):
            if size != SIZES[number % len(SIZES)]:
                continue
            notes[deal_id, f"Rule {number}"] += 1
            tags.setdefault(deal_id, set()).difference_update(f"size {each}" for each in SIZES)
            tags[deal_id].add(f"size {size}")
    return notes, tags, len(events) * RULES


async def test_each_step_once_and_in_order_though_workers_die(
    desk: RuleDesk, database: Database, tmp_path: Path
) -> None:
    dice = random.Random(12)
    for number in range(RULES):
        size = SIZES[number % len(SIZES)]
        await desk.rule(
            {"kind": "field_changed", "fields": ["source"]},
            {"kind": "note", "text": f"Rule {number}"},
            {"kind": "tag", "add": [f"size {size}"], "remove": [f"size {each}" for each in SIZES if each != size]},
            name=f"Rule {number}",
            conditions={"field": "call.outcome", "op": "=", "value": OUTCOME[size]},
            most_per_hour=1000,
        )
    deals = [await desk.deal(second=True) for _ in range(DEALS)]
    events = [(dice.choice(deals), dice.choice(SIZES)) for _ in range(EVENTS)]
    now = datetime.now(UTC)
    rows = [
        {
            "at": now, "act": "deal.edited", "subject": f"deal:{deal_id}", "deal_id": deal_id, "chain": [], "tries": 0, "due_at": now,
            "data": {"changed": {"source": {}}, "outcome": OUTCOME[size]},
        }
        for deal_id, size in events
    ]  # fmt: skip
    async with database.write() as session:
        await (await session.connection()).execute(insert(AutomationEvent), rows)

    async def left() -> int:
        workers.check()
        async with database.read() as session:
            return (await session.exec(select(func.count()).select_from(AutomationEvent))).one()

    async with mortal_workers(database, tmp_path) as workers:
        for blow in range(BLOWS):
            wanted = EVENTS - (blow + 1) * EVENTS // (BLOWS + 2)

            async def came_down(most: int = wanted) -> bool:
                return await left() <= most

            await until(came_down, 600)
            workers.hit(with_redis=blow == BLOWS // 2)

        async def empty() -> bool:
            return await left() == 0

        await until(empty, 900)
    notes, tags, firings = reference(events)
    async with database.read() as session:
        found = (await session.exec(select(Note.deal_id, Note.text))).all()
        runs = (await session.exec(select(RuleRun.rule_id, RuleRun.event_id, RuleRun.status))).all()
        steps = (await session.exec(select(RunStep.run_id, RunStep.position))).all()
        tagged = (
            await session.exec(select(DealTag.deal_id, Tag.name).join(Tag, col(Tag.id) == col(DealTag.tag_id)))
        ).all()
    assert Counter(found) == notes
    assert len(runs) == firings == len({(rule_id, event_id) for rule_id, event_id, _ in runs})
    assert Counter(status for _, _, status in runs)["done"] == notes.total()
    assert len(steps) == len(set(steps)) == 2 * notes.total()
    by_deal: dict[int, set[str]] = {}
    for deal_id, name in tagged:
        by_deal.setdefault(deal_id, set()).add(name)
    assert by_deal == tags, "the last event of each deal was handled last"
