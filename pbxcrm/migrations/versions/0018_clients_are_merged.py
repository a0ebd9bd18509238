"""Clients are merged."""

import sqlalchemy as sa
from alembic import op

from pbxcrm.contacts.name_likeness import address_key, name_key
from pbxcrm.migrations.adding import add_filled, write_keys

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "merges",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("from_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("into_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("moved", sa.JSON(), nullable=False),
        sa.Column("adopted", sa.JSON(), nullable=False),
        sa.Column("numbers", sa.JSON(), nullable=False),
        sa.Column("emails", sa.JSON(), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("marks", sa.JSON(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("left", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["users.id"], name=op.f("fk_merges_by_id")),
        sa.ForeignKeyConstraint(["from_id"], ["contacts.id"], name=op.f("fk_merges_from_id")),
        sa.ForeignKeyConstraint(["into_id"], ["contacts.id"], name=op.f("fk_merges_into_id")),
        sa.ForeignKeyConstraint(["undone_by_id"], ["users.id"], name=op.f("fk_merges_undone_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_merges")),
    )
    with op.batch_alter_table("merges", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_merges_from_id"), ["from_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_merges_into_id"), ["into_id"], unique=False)

    op.create_table(
        "not_same",
        sa.Column("low_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("high_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["users.id"], name=op.f("fk_not_same_by_id")),
        sa.ForeignKeyConstraint(["high_id"], ["contacts.id"], name=op.f("fk_not_same_high_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["low_id"], ["contacts.id"], name=op.f("fk_not_same_low_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("low_id", "high_id", name=op.f("pk_not_same")),
    )
    add_filled("contacts", sa.Column("name_key", sa.Text(), nullable=False, server_default=""))
    add_filled("emails", sa.Column("address_key", sa.String(length=254), nullable=False, server_default=""))
    write_keys("contacts", "name", "name_key", name_key)
    write_keys("emails", "address", "address_key", address_key)
    with op.batch_alter_table("contacts", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("merged_into_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
        )
        batch_op.create_index(
            "ix_contacts_name_key",
            ["name_key", "id"],
            unique=False,
            sqlite_where=sa.text("name_key <> ''"),
            postgresql_where=sa.text("name_key <> ''"),
        )
        batch_op.create_foreign_key(batch_op.f("fk_contacts_merged_into_id"), "contacts", ["merged_into_id"], ["id"])

    with op.batch_alter_table("emails", schema=None) as batch_op:
        batch_op.create_index("ix_emails_address_key", ["address_key", "contact_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("emails", schema=None) as batch_op:
        batch_op.drop_index("ix_emails_address_key")
        batch_op.drop_column("address_key")

    with op.batch_alter_table("contacts", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_contacts_merged_into_id"), type_="foreignkey")
        batch_op.drop_index(
            "ix_contacts_name_key", sqlite_where=sa.text("name_key <> ''"), postgresql_where=sa.text("name_key <> ''")
        )
        batch_op.drop_column("name_key")
        batch_op.drop_column("merged_into_id")

    op.drop_table("not_same")
    with op.batch_alter_table("merges", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_merges_into_id"))
        batch_op.drop_index(batch_op.f("ix_merges_from_id"))

    op.drop_table("merges")
