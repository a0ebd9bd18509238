"""A funnel of a million deals. The database generates the rows: inserting them from Python would take minutes."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import text

from pbxcrm.shared.db import Database


class Filler:
    """Runs statements on one database. In each, ``i`` counts the rows from 1."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def moment(self, seconds: str) -> str:
        """The SQL for the time ``seconds`` after 1970."""
        if self.db.is_sqlite:
            return f"strftime('%Y-%m-%d %H:%M:%S', {seconds}, 'unixepoch') || '.000000'"
        return f"to_timestamp({seconds})"

    def at(self, moment: datetime) -> str:
        """The SQL for a time, to the second."""
        return self.moment(f"{moment.timestamp():.0f}")

    async def insert(self, table: str, count: int, columns: dict[str, str]) -> None:
        """Insert ``count`` rows; ``columns`` gives the SQL of each column."""
        numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
        names, values = ", ".join(columns), ", ".join(columns.values())
        async with self.db.engine.begin() as connection:
            await connection.execute(text(f"INSERT INTO {table} ({names}) {numbers} SELECT {values} FROM n"))

    async def tidy(self) -> None:
        """Run ANALYZE or VACUUM, as the databases do by themselves, and advance the id sequences past the inserted ids."""
        async with self.db.engine.connect() as connection:
            if self.db.is_sqlite:
                await connection.execute(text("ANALYZE"))
                await connection.commit()
                return
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            for table in ("deals", "stage_moves", "lamps"):
                await connection.execute(
                    text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 1 + (SELECT max(id) FROM {table}))")
                )
            await connection.execute(text("VACUUM ANALYZE"))


def one_of(values: Sequence[object], by: str) -> str:
    """The SQL for one of the values, chosen by ``by`` modulo their number."""
    cases = " ".join(f"WHEN {n} THEN {value}" for n, value in enumerate(values))
    return f"CASE ({by}) % {len(values)} {cases} END"


def json(db: Database, empty: str = "{}") -> str:
    """The SQL for an empty JSON object, or an empty list (``[]``)."""
    return f"'{empty}'" if db.is_sqlite else f"CAST('{empty}' AS json)"


async def fill_deals(
    filler: Filler,
    count: int,
    *,
    pipeline_id: int,
    open_stages: Sequence[int],
    closed_stages: Sequence[int],
    owners: Sequence[int],
    until: datetime,
    years: float,
) -> None:
    """Insert deals, spread evenly over ``years`` until ``until``, with their moves. Nine in ten are closed within a week."""
    apart = timedelta(days=365 * years).total_seconds() / count
    made = f"({until.timestamp():.0f} - ({count} - i) * {apart})"
    over = f"({made} + (i % 7) * 86400)"
    is_open = f"(i % 10 = 0 OR {over} > {until.timestamp():.0f})"
    stage = f"CASE WHEN {is_open} THEN {one_of(open_stages, 'i / 10')} ELSE {one_of(closed_stages, 'i / 10')} END"
    empty = json(filler.db)
    await filler.insert("deals", count, {
        "id": "i", "title": "'Deal ' || i", "title_folded": "'deal ' || i", "pipeline_id": str(pipeline_id), "stage_id": stage,
        "responsible_id": one_of(owners, "i"), "amount": "(i % 1000) * 10000", "currency": "'UAH'", "source": "''", "lost_reason": "''",
        "created_at": filler.moment(made), "stage_since": filler.moment(f"CASE WHEN {is_open} THEN {made} ELSE {over} END"),
        "closed_at": f"CASE WHEN {is_open} THEN NULL ELSE {filler.moment(over)} END", "reason": empty, "version": "1",
    })  # fmt: skip
    move = {"from_lost_reason": "''", "reason": empty, "deal_id": "i"}
    await filler.insert("stage_moves", count, {
        **move, "id": "i", "to_stage_id": str(open_stages[0]), "at": filler.moment(made),
    })  # fmt: skip
    closing = {
        **move, "id": f"{count} + i", "from_stage_id": str(open_stages[0]), "from_since": filler.moment(made),
        "to_stage_id": stage, "at": filler.moment(f"CASE WHEN {is_open} THEN {made} ELSE {over} END"),
    }  # fmt: skip
    await filler.insert("stage_moves", count, closing)
