"""The card of a deal with 2,000 entries in its timeline, and its next page: server time, bytes and queries, beside a deal with 20."""

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert
from sqlmodel import SQLModel

from pbxcrm.audit.models import AuditEntry
from pbxcrm.calls.models import Call
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Note, StageMove
from pbxcrm.migrations import upgrade
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from pbxcrm.tasks.models import Task
from tests.bench.bench_big import measure
from tests.bench.big_funnel import Filler
from tests.bench.table import Figure
from tests.databases import fresh_name, postgres_programs, running_postgres, running_redis
from tests.office import open_office

GOAL_MS, GOAL_KB = 100, 100
ENTRIES = (20, 2_000)
LOGINS = ("admin", "maria", "ivan")


async def fill(db: Database, entries: int, now: datetime) -> int:
    """A deal of Ivan's with so many entries: a fifth each of notes, calls, tasks, moves and changes. Returns its id."""
    office = await open_office(db)
    ivan = office.id("ivan")
    async with db.write() as session:
        deal = await create_deal(
            session, await office.viewer(session, "ivan"), title="Kitchen", currency="UAH", region="UA", now=now
        )
        deal_id, stage_id = deal.id or 0, deal.stage_id
        at = [now - timedelta(hours=n) for n in range(entries // 5)]
        rows: tuple[tuple[type[SQLModel], list[dict[str, object]]], ...] = (
            (Note, [
                {"deal_id": deal_id, "author_id": ivan, "text": f"Wants an offer for oak, number {n}", "at": each, "version": 1}
                for n, each in enumerate(at)
            ]),
            (Call, [
                {
                    "pbx": "default", "linkedid": f"{n}.1", "direction": "inbound", "outcome": "answered", "withheld": False, "rang": ["101"],
                    "talked": ["101"], "transfers": [], "ringing": [], "talking": [], "started_at": each, "ended_at": each, "talk_seconds": 60.0,
                    "click_to_call": False, "channel_ids": [], "deal_id": deal_id, "responsible_id": ivan, "reason": {}, "client_name_folded": "",
                }
                for n, each in enumerate(at)
            ]),
            (Task, [
                {
                    "kind": "todo", "title": f"Send offer {n}", "title_folded": f"send offer {n}", "title_code": {}, "note": "", "assignee_id": ivan,
                    "due_at": each, "deal_id": deal_id, "about": "", "result": "", "status": "done", "done_at": each, "reason": {},
                    "created_by_id": ivan, "created_at": each, "version": 1,
                }
                for n, each in enumerate(at)
            ]),
            (StageMove, [{"deal_id": deal_id, "from_stage_id": stage_id, "to_stage_id": stage_id, "at": each, "reason": {}} for each in at]),
            (AuditEntry, [
                {
                    "at": each, "actor_id": ivan, "action": "deal.edited", "entity": "deal", "entity_id": str(deal_id), "reason": {},
                    "data": {"changed": {"title": {"before": f"Kitchen {n}", "after": "Kitchen"}}},
                }
                for n, each in enumerate(at)
            ]),
        )  # fmt: skip
        for table, values in rows:
            await session.execute(insert(table), values)
    return deal_id


async def measured(settings: Settings, redis_url: str, on: str, entries: int) -> list[Figure]:
    await upgrade(settings.database_url)
    db = Database(settings.database_url)
    try:
        deal_id = await fill(db, entries, datetime.now(UTC))
        await Filler(db).tidy()
        paths = (f"/deals/{deal_id}", f"/deals/{deal_id}/timeline", f"/deals/{deal_id}/timeline?kind=calls")
        found = await measure(db, settings, redis_url, paths, logins=LOGINS)
        return [
            Figure(
                f"{on}: {path.replace(str(deal_id), 'N')} of {entries:,} entries as {login}",
                f"{page.p50:.0f} / {page.p95:.0f} ms, CPU {page.cpu:.0f} ms, {page.size / 1000:.0f} kB, {page.queries} queries",
                f"{GOAL_MS} ms, {GOAL_KB} kB",
                page.p95 < GOAL_MS and page.size < GOAL_KB * 1000,
            )
            for (login, path), page in found.items()
        ]
    finally:
        await db.close()


def run() -> list[Figure]:
    figures: list[Figure] = []
    with running_redis() as redis_url:
        for entries in ENTRIES:
            with tempfile.TemporaryDirectory() as folder:
                settings = Settings(data_dir=Path(folder), redis_url=redis_url)
                figures += asyncio.run(measured(settings, redis_url, "SQLite", entries))
        if (programs := postgres_programs()) is not None:
            with running_postgres(programs) as server, tempfile.TemporaryDirectory() as folder:

                async def on_postgres(entries: int) -> list[Figure]:
                    url = await server.create(fresh_name())
                    settings = Settings(data_dir=Path(folder), redis_url=redis_url, database_url=url)
                    return await measured(settings, redis_url, "PostgreSQL", entries)

                for entries in ENTRIES:
                    figures += asyncio.run(on_postgres(entries))
    return figures
