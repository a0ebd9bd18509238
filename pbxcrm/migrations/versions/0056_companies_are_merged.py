"""Companies are merged."""

import sqlalchemy as sa
from alembic import op

from pbxcrm.contacts.name_likeness import company_key, domain_key
from pbxcrm.migrations.adding import add_filled, keeping_ids, write_keys

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None

KEYED, OF_OFFICE = sa.text("name_key <> ''"), sa.text("domain_key <> ''")


def upgrade() -> None:
    op.create_table(
        "company_merges",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("from_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("into_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("moved", sa.JSON(), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("marks", sa.JSON(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("left", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["users.id"], name=op.f("fk_company_merges_by_id")),
        sa.ForeignKeyConstraint(["from_id"], ["companies.id"], name=op.f("fk_company_merges_from_id")),
        sa.ForeignKeyConstraint(["into_id"], ["companies.id"], name=op.f("fk_company_merges_into_id")),
        sa.ForeignKeyConstraint(["undone_by_id"], ["users.id"], name=op.f("fk_company_merges_undone_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_company_merges")),
    )
    with op.batch_alter_table("company_merges", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_company_merges_from_id"), ["from_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_company_merges_into_id"), ["into_id"], unique=False)

    op.create_table(
        "not_same_companies",
        sa.Column("low_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("high_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["users.id"], name=op.f("fk_not_same_companies_by_id")),
        sa.ForeignKeyConstraint(
            ["high_id"], ["companies.id"], name=op.f("fk_not_same_companies_high_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["low_id"], ["companies.id"], name=op.f("fk_not_same_companies_low_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("low_id", "high_id", name=op.f("pk_not_same_companies")),
    )
    # Added with its constraint: SQLite would otherwise copy the table, and lose the indexes of custom fields on the way.
    kind = "INTEGER" if op.get_bind().dialect.name == "sqlite" else "BIGINT"
    op.execute(
        f"ALTER TABLE companies ADD COLUMN merged_into_id {kind} "
        "CONSTRAINT fk_companies_merged_into_id REFERENCES companies (id)"
    )
    op.add_column("companies", sa.Column("name_key", sa.Text(), server_default="", nullable=False))
    add_filled("emails", sa.Column("domain_key", sa.String(length=254), nullable=False, server_default=""))
    write_keys("companies", "name", "name_key", company_key)
    write_keys("emails", "address", "domain_key", domain_key)
    for name, table, columns, where in (
        ("ix_companies_name_key", "companies", ["name_key", "id"], KEYED),
        ("ix_emails_domain_key", "emails", ["domain_key", "contact_id"], OF_OFFICE),
    ):
        op.create_index(name, table, columns, unique=False, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    op.drop_index("ix_emails_domain_key", "emails")
    with op.batch_alter_table("emails", table_kwargs=keeping_ids("emails")) as batch:
        batch.drop_column("domain_key")
    op.drop_index("ix_companies_name_key", "companies")
    with op.batch_alter_table("companies", table_kwargs=keeping_ids("companies")) as batch:
        batch.drop_column("name_key")
        batch.drop_column("merged_into_id")
    op.drop_table("not_same_companies")
    op.drop_table("company_merges")
