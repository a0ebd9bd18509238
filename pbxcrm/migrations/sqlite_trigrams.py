"""SQLite's indexes for parts of names and numbers, as ``trigrams.py`` makes them on PostgreSQL.

Each is a table of FTS5, and triggers that tell it what changes. It is up to date exactly if its triggers are there: a migration that
copies a table drops them, and an SQLite without FTS5 could not run them. So every upgrade, also one that changes nothing else, makes
missing ones again from the rows and drops those that this SQLite cannot keep.
"""

# ruff: noqa: S608  # the names are constants of this module

from collections.abc import Mapping

from sqlalchemy import Connection

from pbxcrm.shared.trigrams import ENDING, TOKENIZER, index_of, sqlite_has_them

SEARCHED = (
    ("contacts", "name_folded"),
    ("companies", "name_folded"),
    ("phones", "number"),
    ("deals", "title_folded"),
    ("deals", "client_number"),
    ("tasks", "title_folded"),
    ("callers", "number"),
    ("callers", "name_folded"),
)
#: The key of a table that has no ``id``. Its rows have no number that survives a VACUUM, so the index keeps the key itself.
_KEYS = {"callers": ("number", "name_folded")}


def keep_indexes(connection: Connection) -> None:
    """Make the indexes that are missing or out of date; without FTS5 drop their triggers, so that rows can be written."""
    if connection.dialect.name != "sqlite":
        return
    there = _triggers(connection)
    if not sqlite_has_them():
        for trigger in there:
            connection.exec_driver_sql(f"DROP TRIGGER {trigger}")
        return
    for table, column in SEARCHED:
        wanted = _triggers_of(table, column)
        if not wanted.keys() <= there:
            for trigger in wanted:
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {trigger}")
            _fill(connection, table, column)
            for statement in wanted.values():
                connection.exec_driver_sql(statement)


def are_kept(connection: Connection) -> bool:
    """Whether the database has the indexes that this SQLite can keep, and no others."""
    wanted = {name for each in SEARCHED for name in _triggers_of(*each)} if sqlite_has_them() else set()
    return connection.dialect.name != "sqlite" or _triggers(connection) == wanted


def _triggers(connection: Connection) -> set[str]:
    asked = f"SELECT name FROM sqlite_master WHERE type = 'trigger' AND name GLOB '*{ENDING}_*'"
    return set(connection.exec_driver_sql(asked).scalars())


def _fill(connection: Connection, table: str, column: str) -> None:
    index = index_of(table, column)
    if table not in _KEYS:
        connection.exec_driver_sql(
            f"CREATE VIRTUAL TABLE IF NOT EXISTS {index} USING fts5({column}, content='{table}', content_rowid='id',"
            f" tokenize='{TOKENIZER}', columnsize=0)"
        )
        connection.exec_driver_sql(f"INSERT INTO {index} ({index}) VALUES ('rebuild')")
        return
    others = "".join(f", {key} UNINDEXED" for key in _KEYS[table] if key != column)
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {index}")
    connection.exec_driver_sql(
        f"CREATE VIRTUAL TABLE {index} USING fts5({column}{others}, tokenize='{TOKENIZER}', columnsize=0)"
    )
    keys = ", ".join(_KEYS[table])
    connection.exec_driver_sql(f"INSERT INTO {index} ({keys}) SELECT {keys} FROM {table} WHERE {column} <> ''")


def _triggers_of(table: str, column: str) -> Mapping[str, str]:
    """The statements that create them, by name."""
    index = index_of(table, column)
    if table not in _KEYS:
        changed = column
        add = f"INSERT INTO {index} (rowid, {column}) VALUES (new.id, new.{column});"
        take = f"INSERT INTO {index} ({index}, rowid, {column}) VALUES ('delete', old.id, old.{column});"
    else:
        changed = ", ".join(_KEYS[table])
        values = ", ".join(f"new.{key}" for key in _KEYS[table])
        same = " AND ".join(f"{key} = old.{key}" for key in _KEYS[table])
        phrase = f"""'"' || replace(old.{column}, '"', '""') || '"'"""
        add = f"INSERT INTO {index} ({changed}) SELECT {values} WHERE new.{column} <> '';"
        take = (
            f"DELETE FROM {index} WHERE rowid IN (SELECT rowid FROM {index} WHERE {index} MATCH {phrase} AND {same});"
        )
    acts = {"insert": ("INSERT", add), "update": (f"UPDATE OF {changed}", take + add), "delete": ("DELETE", take)}
    return {
        f"{index}_{act}": f"CREATE TRIGGER {index}_{act} AFTER {when} ON {table} BEGIN {what} END"
        for act, (when, what) in acts.items()
    }
