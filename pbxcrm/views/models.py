"""Saved views of the board and of the lists of deals, clients and companies."""

from datetime import datetime

from sqlmodel import Field

from pbxcrm.shared.columns import TableModel, link, maybe_link, maybe_utc_column, row_id


class SavedView(TableModel, table=True):
    """A saved selection of deals, clients or companies, of a person or of a team. ``query`` holds its filters as in an address.

    ``is_default``: what its people see when they open the board; a person's own default comes before the team's.
    """

    __tablename__ = "deal_views"

    id: int | None = row_id()
    name: str = Field(max_length=60)
    entity: str = Field(default="deal", max_length=8, sa_column_kwargs={"server_default": "deal"})  # a FieldEntity
    owner_id: int = link("users.id")  # who saved it
    team_id: int | None = maybe_link("teams.id")  # None: of the owner alone
    query: str = Field(max_length=2000)
    is_default: bool = False
    deleted_at: datetime | None = maybe_utc_column()  # kept for a while, for undo
    version: int = 1
