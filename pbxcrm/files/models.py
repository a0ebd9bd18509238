"""The table of files."""

from datetime import datetime

from sqlmodel import Field

from pbxcrm.shared.columns import ID, TableModel, maybe_link, maybe_utc_column, row_id, utc_column


class AttachedFile(TableModel, table=True):
    """A file on a deal or a task: exactly one of ``deal_id`` and ``task_id`` is set. Its bytes are in the store under ``sha256``."""

    __tablename__ = "files"

    id: int | None = row_id()
    deal_id: int | None = maybe_link("deals.id")
    task_id: int | None = maybe_link("tasks.id")
    name: str = Field(
        max_length=200
    )  # as it was called, without folders and invisible letters (``rules.clean_file_name``)
    size: int = Field(sa_type=ID)  # bytes
    content_type: str = Field(max_length=100)  # found in its content (``kinds.kind_of``)
    sha256: str = Field(max_length=64, index=True)  # lower-case hex
    by_id: int | None = maybe_link("users.id", index=False)
    at: datetime = utc_column()
    removed_at: datetime | None = maybe_utc_column()  # it can be put back: the bytes stay
    removed_by_id: int | None = maybe_link("users.id", index=False)
