"""A digest by e-mail, and quiet hours."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

WAITS = sa.text("state IN ('waiting', 'sending')")
TEXTS = (("email", 254), ("quiet_desktop", 60), ("quiet_digest", 60))
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # Not in a batch: SQLite would copy the table, which fails because rows reference people.
    op.add_column("users", sa.Column("digest_at", sa.Integer(), nullable=True))
    for name, length in TEXTS:
        op.add_column("users", sa.Column(name, sa.String(length=length), nullable=False, server_default=""))
    op.create_table(
        "digests",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(length=500), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_digests_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_digests")),
        sa.UniqueConstraint("user_id", "day", name=op.f("uq_digests_user_id_day")),
    )
    op.create_index("ix_digests_waits", "digests", ["next_at"], sqlite_where=WAITS, postgresql_where=WAITS)


def downgrade() -> None:
    op.drop_table("digests")
    for name in ("digest_at", *(name for name, _length in TEXTS)):
        op.drop_column("users", name)
