"""Typing errors in names are found: the spellings of the words of all names."""

import sqlalchemy as sa
from alembic import op

from pbxcrm.shared.spellings import spellings_of, words_to_spell

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

AT_ONCE = 5_000  # rows


def upgrade() -> None:
    op.create_table(
        "name_spellings",
        sa.Column("spelling", sa.String(length=40), nullable=False),
        sa.Column("word", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("spelling", "word", name=op.f("pk_name_spellings")),
    )
    op.create_index("ix_tasks_title_folded", "tasks", ["title_folded"])
    connection = op.get_bind()
    spellings = sa.table("name_spellings", sa.column("spelling"), sa.column("word"))
    known: set[str] = set()
    for name in ("contacts", "companies"):
        table = sa.table(name, sa.column("id"), sa.column("name"))
        query = sa.select(table.c.id, table.c.name).order_by(table.c.id).limit(AT_ONCE)
        last = 0
        while rows := connection.execute(query.where(table.c.id > last)).all():
            last = rows[-1][0]
            fresh = {word for _, called in rows for word in words_to_spell(called or "")} - known
            known |= fresh
            found = [{"spelling": spelling, "word": word} for word in fresh for spelling in spellings_of(word)]
            if found:
                connection.execute(sa.insert(spellings), found)


def downgrade() -> None:
    op.drop_index("ix_tasks_title_folded", table_name="tasks")
    op.drop_table("name_spellings")
