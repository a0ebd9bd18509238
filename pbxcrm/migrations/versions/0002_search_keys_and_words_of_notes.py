"""Search keys in Latin letters, and the words of notes."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from pbxcrm.shared.search_keys import search_key, words_of

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


# What is found by its name, and what by its words: (table, column).
NAMED = (("companies", "name"), ("contacts", "name"), ("deals", "title"), ("tasks", "title"), ("calls", "client_name"))
WORDED = (("notes", "text"), ("contacts", "note"))
AT_ONCE = 2000  # rows


def upgrade() -> None:
    op.create_table(
        "search_words",
        sa.Column(
            "word", sa.String(length=40).with_variant(sa.String(length=40, collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("row_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("word", "kind", "row_id", name=op.f("pk_search_words")),
    )
    with op.batch_alter_table("search_words", schema=None) as batch_op:
        batch_op.create_index("ix_search_words_row", ["kind", "row_id"], unique=False)
    _write_keys(op.get_bind())
    _write_words(op.get_bind())


def downgrade() -> None:
    with op.batch_alter_table("search_words", schema=None) as batch_op:
        batch_op.drop_index("ix_search_words_row")

    op.drop_table("search_words")


def _write_keys(connection: sa.Connection) -> None:
    """Recompute the search keys with the function of the current code, because it searches for these keys."""
    for name, column in NAMED:
        table = sa.table(name, sa.column("id"), sa.column(column), sa.column(f"{column}_folded"))
        for rows in _in_parts(connection, sa.select(table.c.id, table.c[column], table.c[f"{column}_folded"])):
            keys = [
                {"row": row_id, "key": search_key(text)}
                for row_id, text, key in rows
                if key and text and search_key(text) != key
            ]
            if keys:
                change = sa.update(table).where(table.c.id == sa.bindparam("row"))
                connection.execute(change.values({f"{column}_folded": sa.bindparam("key")}), keys)


def _write_words(connection: sa.Connection) -> None:
    words = sa.table("search_words", sa.column("word"), sa.column("kind"), sa.column("row_id"))
    for name, column in WORDED:
        table = sa.table(name, sa.column("id"), sa.column(column))
        for rows in _in_parts(connection, sa.select(table.c.id, table.c[column])):
            found = [
                {"word": word, "kind": name, "row_id": row_id} for row_id, text in rows for word in words_of(text or "")
            ]
            if found:
                connection.execute(sa.insert(words), found)


def _in_parts(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[Sequence[Any]]:
    """The rows in batches by id, so that no row is read twice while rows are updated."""
    last = 0
    row_id = query.selected_columns[0]
    while rows := connection.execute(query.where(row_id > last).order_by(row_id).limit(AT_ONCE)).all():
        last = rows[-1][0]
        yield rows
