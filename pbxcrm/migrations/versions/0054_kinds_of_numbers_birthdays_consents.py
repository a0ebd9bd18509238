"""Kinds of numbers and addresses, birthdays, consents, erased clients."""

import sqlalchemy as sa
from alembic import op

from pbxcrm.migrations.adding import add_filled, keeping_ids

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BORN = sa.text("birth_day IS NOT NULL")


def upgrade() -> None:
    for table in ("phones", "emails"):
        add_filled(
            table,
            sa.Column("kind", sa.String(length=8), nullable=False, server_default=""),
            sa.Column("is_main", sa.Boolean(), nullable=False, server_default=sa.false()),
        )
    with op.batch_alter_table("contacts", table_kwargs=keeping_ids("contacts")) as batch:
        batch.add_column(sa.Column("birth_year", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("birth_day", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_contacts_birth_day", "contacts", ["birth_day", "id"], sqlite_where=_BORN, postgresql_where=_BORN
    )
    op.create_table(
        "consents",
        sa.Column("id", _ID, nullable=False),
        sa.Column("contact_id", _ID, nullable=False),
        sa.Column("is_given", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("text_id", _ID, nullable=True),
        sa.Column("by_id", _ID, nullable=True),
        sa.ForeignKeyConstraint(["by_id"], ["users.id"], name=op.f("fk_consents_by_id")),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_consents_contact_id")),
        sa.ForeignKeyConstraint(["text_id"], ["form_consents.id"], name=op.f("fk_consents_text_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
    )
    op.create_index("ix_consents_contact_id", "consents", ["contact_id", "id"])
    # What came with requests until now.
    op.execute(
        "INSERT INTO consents (contact_id, is_given, at, source, text_id) "
        "SELECT r.contact_id, true, r.at, f.name, c.id FROM form_requests r JOIN web_forms f ON f.id = r.form_id "
        "JOIN form_consents c ON c.form_id = r.form_id AND c.version = r.consent_version "
        "WHERE r.contact_id IS NOT NULL ORDER BY r.id"
    )


def downgrade() -> None:
    op.drop_table("consents")
    op.drop_index("ix_contacts_birth_day", "contacts")
    with op.batch_alter_table("contacts", table_kwargs=keeping_ids("contacts")) as batch:
        batch.drop_column("erased_at")
        batch.drop_column("birth_day")
        batch.drop_column("birth_year")
    for table in ("phones", "emails"):
        with op.batch_alter_table(table, table_kwargs=keeping_ids(table)) as batch:
            batch.drop_column("is_main")
            batch.drop_column("kind")
