"""Working time: a week of spans in a time zone. Days that differ (holidays, moved days) come with the full engine."""

from datetime import date

from sqlmodel import Field, SQLModel

from pbxcrm.shared.columns import link, row_id
from pbxcrm.shared.config_cache import cached_config


@cached_config
class Calendar(SQLModel, table=True):
    __tablename__ = "calendars"

    id: int | None = row_id()
    name: str = Field(max_length=100, unique=True)
    timezone: str = Field(max_length=64)  # IANA name
    is_default: bool = False


@cached_config
class CalendarSpan(SQLModel, table=True):
    """Work from ``start_minute`` to ``end_minute`` after local midnight; an end over 1440 runs into the next day."""

    __tablename__ = "calendar_spans"

    id: int | None = row_id()
    calendar_id: int = link("calendars.id", ondelete="CASCADE")
    weekday: int  # 0 = Monday
    start_minute: int
    end_minute: int


@cached_config
class CalendarDay(SQLModel, table=True):
    """A date that is not like its weekday: a day off, or other spans (as ``HH:MM-HH:MM`` separated by commas)."""

    __tablename__ = "calendar_days"

    id: int | None = row_id()
    calendar_id: int = link("calendars.id", ondelete="CASCADE")
    day: date
    spans: str = Field(default="", max_length=200)  # empty: a day off
    name: str = Field(default="", max_length=100)
