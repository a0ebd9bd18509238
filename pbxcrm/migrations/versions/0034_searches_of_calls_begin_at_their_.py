"""Searches of calls begin at their callers, lists at covering indexes."""

import sqlalchemy as sa
from alembic import op

from pbxcrm.migrations.trigrams import add_trigrams, drop_trigrams

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

SEARCHED = (("callers", "number"), ("callers", "name_folded"), ("tasks", "title_folded"))


def upgrade() -> None:
    op.create_table(
        "callers",
        sa.Column("number", sa.String(length=64), nullable=False),
        sa.Column("name_folded", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", "name_folded", name=op.f("pk_callers")),
    )
    op.execute(
        "INSERT INTO callers (number, name_folded) SELECT DISTINCT coalesce(client_number, ''), client_name_folded FROM calls"
        " WHERE coalesce(client_number, '') <> '' OR client_name_folded <> ''"
    )
    with op.batch_alter_table("call_legs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_call_legs_user_id"))
        batch_op.create_index("ix_call_legs_user_id", ["user_id", "call_id"], unique=False)

    with op.batch_alter_table("calls", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_calls_client_name_folded"), sqlite_where=sa.text("client_name_folded <> ''"))
        batch_op.create_index(
            "ix_calls_client_name_folded",
            ["client_name_folded", "started_at", "id"],
            unique=False,
            sqlite_where=sa.text("client_name_folded <> ''"),
            postgresql_where=sa.text("client_name_folded <> ''"),
        )
        batch_op.drop_index(batch_op.f("ix_calls_client_number"))
        batch_op.create_index("ix_calls_client_number", ["client_number", "started_at", "id"], unique=False)
        batch_op.drop_index(batch_op.f("ix_calls_contact_id"))
        batch_op.create_index(
            "ix_calls_contact_id", ["contact_id", "started_at", "id", "responsible_id", "deal_id"], unique=False
        )
    add_trigrams(*SEARCHED)


def downgrade() -> None:
    drop_trigrams(*SEARCHED)
    with op.batch_alter_table("calls", schema=None) as batch_op:
        batch_op.drop_index("ix_calls_contact_id")
        batch_op.create_index(
            batch_op.f("ix_calls_contact_id"), ["contact_id", "responsible_id", "deal_id"], unique=False
        )
        batch_op.drop_index("ix_calls_client_number")
        batch_op.create_index(batch_op.f("ix_calls_client_number"), ["client_number", "started_at"], unique=False)
        batch_op.drop_index(
            "ix_calls_client_name_folded",
            sqlite_where=sa.text("client_name_folded <> ''"),
            postgresql_where=sa.text("client_name_folded <> ''"),
        )
        batch_op.create_index(
            batch_op.f("ix_calls_client_name_folded"),
            ["client_name_folded"],
            unique=False,
            sqlite_where=sa.text("client_name_folded <> ''"),
        )

    with op.batch_alter_table("call_legs", schema=None) as batch_op:
        batch_op.drop_index("ix_call_legs_user_id")
        batch_op.create_index(batch_op.f("ix_call_legs_user_id"), ["user_id"], unique=False)

    op.drop_table("callers")
