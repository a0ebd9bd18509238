"""A digest by e-mail, and quiet hours."""

import sqlalchemy as sa
from alembic import op

from pbxcrm.migrations.adding import add_filled

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

WAITS = sa.text("state IN ('waiting', 'sending')")
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.add_column(sa.Column("digest_at", sa.Integer(), nullable=True))
    add_filled(
        "users",
        sa.Column("email", sa.String(length=254), nullable=False, server_default=""),
        sa.Column("quiet_desktop", sa.String(length=60), nullable=False, server_default=""),
        sa.Column("quiet_digest", sa.String(length=60), nullable=False, server_default=""),
    )
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
    with op.batch_alter_table("users", schema=None) as batch_op:
        for name in ("quiet_digest", "quiet_desktop", "email", "digest_at"):
            batch_op.drop_column(name)
