"""Take away the clients that tasks were given without a check.

Until now a task made by hand about a deal could name any client besides, and whoever had the task saw that client.
A task of a deal is about the deal's client.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "UPDATE tasks SET contact_id = (SELECT deals.contact_id FROM deals WHERE deals.id = tasks.deal_id)"
        " WHERE created_by_id IS NOT NULL AND deal_id IS NOT NULL AND contact_id IS NOT NULL"
    )
