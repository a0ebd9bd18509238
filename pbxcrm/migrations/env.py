"""Run by Alembic: applies the migrations on the connection that ``pbxcrm.migrations`` opened."""

from alembic import context

from pbxcrm.migrations.metadata import every_table

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=every_table(),
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
)
# The transaction is the caller's: it began it and alone ends it.
context.run_migrations()
