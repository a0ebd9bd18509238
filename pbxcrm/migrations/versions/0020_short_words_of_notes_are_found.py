"""Index words of three letters whose keys are shorter, because keys have no soft signs and doubled letters."""

import sqlalchemy as sa
from alembic import op

from pbxcrm.shared.search_keys import words_of

revision = "0020"
down_revision = "0016"
branch_labels = None
depends_on = None

WORDED = (("notes", "text"), ("contacts", "note"))
AT_ONCE = 2000  # rows
SHORT = 3  # letters of a key; keys of this length and longer were already indexed


def upgrade() -> None:
    connection = op.get_bind()
    words = sa.table("search_words", sa.column("word"), sa.column("kind"), sa.column("row_id"))
    connection.execute(sa.delete(words).where(sa.func.length(words.c.word) < SHORT))
    for name, column in WORDED:
        table = sa.table(name, sa.column("id"), sa.column(column))
        last = 0
        query = sa.select(table.c.id, table.c[column]).order_by(table.c.id).limit(AT_ONCE)
        while rows := connection.execute(query.where(table.c.id > last)).all():
            last = rows[-1][0]
            found = [
                {"word": word, "kind": name, "row_id": row_id}
                for row_id, text in rows
                for word in words_of(text or "")
                if len(word) < SHORT
            ]
            if found:
                connection.execute(sa.insert(words), found)


def downgrade() -> None:
    words = sa.table("search_words", sa.column("word"))
    op.execute(sa.delete(words).where(sa.func.length(words.c.word) < SHORT))
