"""Run by Alembic: applies the migrations on the connection that ``pbxcrm.migrations`` opened."""

from alembic import context

from pbxcrm.migrations import comparing
from pbxcrm.migrations.copying import copy_alone

copy_alone()
connection = context.config.attributes["connection"]
context.configure(connection=connection, render_as_batch=connection.dialect.name == "sqlite", **comparing())
# No transaction is begun or ended here: ``pbxcrm.migrations`` does that.
context.run_migrations()
