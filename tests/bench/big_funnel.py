"""A funnel of a million deals. The database generates the rows: inserting them from Python would take minutes."""

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from json import dumps

from sqlalchemy import ColumnDefault, text
from sqlalchemy.engine import make_url
from sqlmodel import SQLModel

from pbxcrm.shared.db import Database


class Filler:
    """Runs statements on one database. In each, ``i`` counts the rows from 1. PostgreSQL runs two at a time, SQLite one."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.turn = asyncio.Semaphore(1 if db.is_sqlite else 2)

    def moment(self, seconds: str) -> str:
        """The SQL for the time ``seconds`` after 1970."""
        if self.db.is_sqlite:
            return f"strftime('%Y-%m-%d %H:%M:%S', {seconds}, 'unixepoch') || '.000000'"
        return f"to_timestamp({seconds})"

    def at(self, moment: datetime) -> str:
        """The SQL for a time, to the second."""
        return self.moment(f"{moment.timestamp():.0f}")

    async def insert(self, table: str, count: int, columns: dict[str, str]) -> None:
        """Insert ``count`` rows; ``columns`` gives the SQL of each column that has not the default of its model."""
        columns = {**_defaults(table, self.db), **columns}
        names, values = ", ".join(columns), ", ".join(columns.values())
        statement = f"INSERT INTO {table} ({names}) SELECT {values} FROM {self.numbers(count)}"
        async with self.turn:
            if self.db.is_sqlite:
                await asyncio.to_thread(self._write, statement)
                return
            async with self.db.engine.begin() as connection:
                await connection.execute(text("SET LOCAL session_replication_role = replica"))  # checks no foreign keys
                await connection.execute(text(statement))

    def numbers(self, count: int) -> str:
        """The SQL for a table with ``i`` from 1 to ``count``."""
        if self.db.is_sqlite:
            return (
                f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i FROM n)"
            )
        return f"(SELECT generate_series(CAST(1 AS BIGINT), {count}) AS i) AS n"

    async def at_once(self, statements: Sequence[str]) -> None:
        """Run statements that do not need each other, each in a transaction of its own, with much memory for indexes."""

        async def run(statement: str) -> None:
            async with self.turn, self.db.engine.connect() as connection:
                if self.db.is_sqlite:
                    await connection.exec_driver_sql(statement)
                    await connection.commit()
                    return
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                await connection.exec_driver_sql("SET maintenance_work_mem = '1GB'")
                await connection.exec_driver_sql(statement)
                await connection.exec_driver_sql("RESET maintenance_work_mem")

        await asyncio.gather(*(run(statement) for statement in statements))

    def _write(self, statement: str) -> None:
        """Run a statement on SQLite with much memory, without foreign keys and without waiting for the disk."""
        with closing(sqlite3.connect(make_url(self.db.url).database or "", isolation_level=None)) as connection:
            for setting in ("foreign_keys=OFF", "synchronous=OFF", "cache_size=-500000"):
                connection.execute(f"PRAGMA {setting}")
            connection.execute(statement)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    async def tidy(self) -> None:
        """Run ANALYZE or VACUUM, as the databases do by themselves, and advance the id sequences past the inserted ids. What was
        written is on the disk afterwards: else the first commits that are measured would wait for it.
        """
        async with self.db.engine.connect() as connection:
            if self.db.is_sqlite:
                await connection.execute(text("ANALYZE"))
                await connection.commit()
                await self.db.checkpoint()
                await asyncio.to_thread(os.sync)
                return
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            for table in (
                "deals",
                "stage_moves",
                "lamps",
                "contacts",
                "phones",
                "tasks",
                "episodes",
                "calls",
                "call_legs",
            ):
                await connection.execute(
                    text(
                        f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 1 + coalesce((SELECT max(id) FROM {table}), 0))"
                    )
                )
            sizes = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace ORDER BY relpages DESC"
            tables = (await connection.execute(text(sizes))).scalars().all()
        await self.at_once([f"VACUUM ANALYZE {table}" for table in tables])
        await self.at_once(["CHECKPOINT"])
        await asyncio.to_thread(os.sync)


def _defaults(table: str, db: Database) -> dict[str, str]:
    """The SQL for the columns that must have a value and have one by default."""
    found = {}
    for column in SQLModel.metadata.tables[table].columns:
        if column.nullable or column.primary_key or not isinstance(column.default, ColumnDefault):
            continue
        value = column.default.arg(None) if column.default.is_callable else column.default.arg
        found[column.name] = json(db, dumps(value)) if isinstance(value, dict | list) else _literal(value)
    return found


def _literal(value: object) -> str:
    return str(value).lower() if isinstance(value, bool | int | float) else f"'{value}'"


def one_of(values: Sequence[object], by: str) -> str:
    """The SQL for one of the values, chosen by ``by`` modulo their number."""
    cases = " ".join(f"WHEN {n} THEN {value}" for n, value in enumerate(values))
    return f"CASE ({by}) % {len(values)} {cases} END"


def json(db: Database, empty: str = "{}") -> str:
    """The SQL for an empty JSON object, or an empty list (``[]``)."""
    return f"'{empty}'" if db.is_sqlite else f"CAST('{empty}' AS json)"


@dataclass(frozen=True, slots=True)
class Years:
    """What ``fill_years`` makes: ``deals`` spread evenly over ``years`` until ``until``, in one pipeline, by ``owners``."""

    deals: int
    owners: Sequence[int]
    open_stages: Sequence[int]
    closed_stages: Sequence[int]
    checkpoint_id: int  # whose lamps have lit, burn and are armed
    manager_id: int
    until: datetime
    years: float = 5
    pipeline_id: int = 1
    open_every: int = 10  # of so many deals one is still open

    def began(self, nth: str = "i", of: int = 0) -> str:
        """The SQL for the seconds when the ``nth`` of ``of`` things (the deals) happened."""
        apart = timedelta(days=365 * self.years).total_seconds() / (of or self.deals)
        return f"({self.until.timestamp():.0f} - ({of or self.deals} - {nth}) * {apart})"

    @property
    def clients(self) -> int:
        """Each client has four deals."""
        return max(1, self.deals // 4)


async def fill_years(filler: Filler, office: Years) -> None:
    """Deals with their moves, clients, lamps, tasks, callbacks and calls, as many as an office has after ``office.years``."""
    await _clients(filler, office)
    await _deals(filler, office)
    await _lamps(filler, office)
    await _tasks(filler, office)
    await _callbacks(filler, office)
    await _calls(filler, office)
    await filler.tidy()


async def _clients(filler: Filler, office: Years) -> None:
    made = filler.moment(office.began("4 * i"))
    await filler.insert("contacts", office.clients, {
        "id": "i", "name": "'Client ' || i", "name_folded": "'client ' || i", "name_order": "'client ' || i", "responsible_id": one_of(office.owners, "i"), "created_at": made,
    })  # fmt: skip
    await filler.insert("phones", office.clients, {"id": "i", "contact_id": "i", "number": NUMBER})


async def _deals(filler: Filler, office: Years) -> None:
    """All deals but one of ``open_every`` are closed within a week. Each moved once from the first stage."""
    made, now = office.began(), f"{office.until.timestamp():.0f}"
    over = f"({made} + (i % 7 + 1) * 20000)"
    is_open = f"(i % {office.open_every} = 0 OR {over} > {now})"
    last = f"(CASE WHEN {is_open} THEN {made} + 0.9 * ({now} - {made}) * (i % 3) / 3 ELSE {over} END)"
    stage = f"CASE WHEN {is_open} THEN {one_of(office.open_stages, f'i / {office.open_every}')} ELSE {one_of(office.closed_stages, f'i / {office.open_every}')} END"
    await filler.insert("deals", office.deals, {
        "id": "i", "title": "'Deal ' || i", "title_folded": "'deal ' || i", "pipeline_id": str(office.pipeline_id), "stage_id": stage,
        "responsible_id": one_of(office.owners, "i"), "contact_id": f"1 + i % {office.clients}", "client_number": _number(f"1 + i % {office.clients}"),
        "amount": "(i % 1000) * 10000", "currency": "'UAH'", "created_at": filler.moment(made), "stage_since": filler.moment(last),
        "closed_at": f"CASE WHEN {is_open} THEN NULL ELSE {filler.moment(over)} END",
    })  # fmt: skip
    first = str(office.open_stages[0])
    await filler.insert(
        "stage_moves", office.deals, {"id": "i", "deal_id": "i", "to_stage_id": first, "at": filler.moment(made)}
    )
    await filler.insert("stage_moves", office.deals, {
        "id": f"{office.deals} + i", "deal_id": "i", "from_stage_id": first, "from_since": filler.moment(made), "to_stage_id": stage,
        "at": filler.moment(last),
    })  # fmt: skip


async def _lamps(filler: Filler, office: Years) -> None:
    """Every second deal had a lamp, every tenth of them went on to the manager; those of open deals of two days burn. Every open deal
    has an armed one, due within a month."""
    half, every = office.deals // 2, office.open_every
    now = office.until.timestamp()
    lamp = {"checkpoint_id": str(office.checkpoint_id), "subject": "'deal'", "minutes": "480"}

    def lit(deal: str, step: int) -> dict[str, str]:
        made = office.began(deal)
        burns, at = (
            f"({deal} % {every} = 0 AND {made} > {now - 2 * 86400:.0f})",
            filler.moment(f"{made} + {7200 * (step + 1)}"),
        )
        return {
            **lamp, "step": str(step), "deal_id": deal, "owner_id": one_of(office.owners, deal), "entered_at": filler.moment(made),
            "state": f"CASE WHEN {burns} THEN 'burning' ELSE 'out' END", "due_at": at, "lit_at": at, "asked_at": at,
            "out_at": f"CASE WHEN {burns} THEN NULL ELSE {filler.moment(f'{made} + 18000')} END",
            "stage_id": one_of(office.open_stages, deal),
        }  # fmt: skip

    await filler.insert("lamps", half, {
        **lit("2 * i", 0), "id": "i", "entry": "'m' || (2 * i) || ':'", "addressee_id": one_of(office.owners, "2 * i"),
    })  # fmt: skip
    await filler.insert("lamps", half // 10, {
        **lit("20 * i", 1), "id": f"{half} + i", "entry": "'m' || (20 * i) || ':/1'", "addressee_id": str(office.manager_id),
        "is_escalation": "true",
    })  # fmt: skip
    await filler.insert("lamps", office.deals // every, {
        **lamp, "id": f"{office.deals} + i", "step": "0", "deal_id": f"{every} * i", "entry": f"'a' || ({every} * i) || ':'",
        "owner_id": one_of(office.owners, f"{every} * i"), "state": "'armed'", "entered_at": filler.moment(f"{now:.0f}"),
        "due_at": filler.moment(f"{now:.0f} + 600 + i * 1000 % 2592000"),
    })  # fmt: skip


async def _tasks(filler: Filler, office: Years) -> None:
    """One for each deal; of the last month's every tenth is open, some of them overdue."""
    made, now = office.began(), office.until.timestamp()
    is_open = f"(i % 10 = 3 AND {made} > {now - 30 * 86400:.0f})"
    done = f"({made} + (i % 3) * 70000)"
    ended = f"(NOT {is_open} AND {done} <= {now:.0f})"
    await filler.insert("tasks", office.deals, {
        "id": "i", "kind": one_of(["'todo'", "'lamp'", "'control'", "'assignment'"], "i"), "title": "'Call about ' || i",
        "title_folded": "'call about ' || i", "due_at": filler.moment(f"{made} + 86400 * (1 + i % 4)"),
        "assignee_id": one_of(office.owners, "i"), "given_by_id": f"CASE WHEN i % 4 = 3 THEN {office.manager_id} ELSE NULL END",
        "deal_id": "i", "contact_id": f"1 + i % {office.clients}", "status": f"CASE WHEN {ended} THEN 'done' ELSE 'open' END",
        "created_at": filler.moment(made), "done_at": f"CASE WHEN {ended} THEN {filler.moment(done)} ELSE NULL END",
        "checked_at": f"CASE WHEN {ended} AND i % 400 <> 3 THEN {filler.moment(done)} ELSE NULL END",
    })  # fmt: skip


async def _callbacks(filler: Filler, office: Years) -> None:
    count = office.deals * 3 // 10
    missed = office.began(of=count)
    is_open = f"i > {count - 300}"
    ends = one_of(["'reached'", "'recovered'", "'reached'", "'dismissed'"], "i")
    await filler.insert("episodes", count, {
        "id": "i", "client_key": f"'contact:' || (1 + i % {office.clients})", "client_number": _number(f"1 + i % {office.clients}"),
        "contact_id": f"1 + i % {office.clients}", "first_missed_at": filler.moment(missed), "last_missed_at": filler.moment(missed),
        "owner_id": one_of(office.owners, "i"), "norm_from": filler.moment(missed),
        "status": f"CASE WHEN {is_open} THEN 'open' ELSE {ends} END",
        "closed_at": f"CASE WHEN {is_open} THEN NULL ELSE {filler.moment(f'{missed} + 60 * (i % 90)')} END",
    })  # fmt: skip
    # Every third had a lamp, by which it is found again.
    lit = filler.moment(f"{office.began('3 * i', count)} + 1200")
    await filler.insert("lamps", count // 3, {
        "id": f"{2 * office.deals} + i", "checkpoint_id": str(office.checkpoint_id), "step": "0", "subject": "'callback'", "callback_id": "3 * i",
        "entry": "'c' || (3 * i) || ':'", "owner_id": one_of(office.owners, "3 * i"), "state": "'out'", "minutes": "20", "entered_at": lit,
        "due_at": lit, "lit_at": lit, "asked_at": lit, "out_at": lit,
    })  # fmt: skip


async def _calls(filler: Filler, office: Years) -> None:
    """One for each deal, every fifth missed, with one leg."""
    at, talked = filler.moment(office.began()), "i % 5 <> 0"
    owner, client = one_of(office.owners, "i"), f"1 + i % {office.clients}"
    await filler.insert("calls", office.deals, {
        "id": "i", "pbx": "'default'", "linkedid": "i || '.1'", "direction": "'inbound'",
        "outcome": f"CASE WHEN {talked} THEN 'answered' ELSE 'missed' END", "client_number": _number(client), "started_at": at,
        "answered_at": f"CASE WHEN {talked} THEN {at} ELSE NULL END", "ended_at": at, "wait_seconds": "5.0", "talk_seconds": "60.0",
        "contact_id": client, "deal_id": "i", "responsible_id": owner,
    })  # fmt: skip
    await filler.insert("call_legs", office.deals, {
        "id": "i", "call_id": "i", "channel_id": "i || '.2'", "extension": "'101'", "user_id": owner, "dialled_at": at,
        "result": f"CASE WHEN {talked} THEN 'talked' ELSE 'no_answer' END",
    })  # fmt: skip


def _number(of: str) -> str:
    return f"'+38067' || substr('' || (10000000 + {of}), 2)"


NUMBER = _number("i")
