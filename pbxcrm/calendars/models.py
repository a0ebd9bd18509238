"""Tables of working time: calendars with weekly spans and differing dates, and leaves."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from pbxcrm.shared.columns import NEVER_REUSED, TableModel, link, maybe_link, row_id, utc_column
from pbxcrm.shared.config_cache import cached_config


@cached_config
class Calendar(TableModel, table=True):
    """A calendar. Teams and people refer to theirs (``calendar_id``); those without one use the default."""

    __tablename__ = "calendars"
    __table_args__ = NEVER_REUSED

    id: int | None = row_id()
    name: str = Field(max_length=100, unique=True)
    timezone: str = Field(max_length=64)  # IANA name
    is_default: bool = False
    version: int = 1


@cached_config
class CalendarSpan(TableModel, table=True):
    """Work from ``start_minute`` to ``end_minute`` after local midnight; an end over 1440 runs into the next day."""

    __tablename__ = "calendar_spans"

    id: int | None = row_id()
    calendar_id: int = link("calendars.id", ondelete="CASCADE")
    weekday: int  # 0 = Monday
    start_minute: int
    end_minute: int


@cached_config
class CalendarDay(TableModel, table=True):
    """A date with other hours than its weekday: a day off, or other spans (as ``HH:MM-HH:MM`` separated by commas)."""

    __tablename__ = "calendar_days"
    __table_args__ = (UniqueConstraint("calendar_id", "day"),)

    id: int | None = row_id()
    calendar_id: int = link("calendars.id", ondelete="CASCADE")
    day: date
    spans: str = Field(default="", max_length=200)  # empty: a day off
    name: str = Field(default="", max_length=100)


@cached_config
class Leave(TableModel, table=True):
    """A person is away from ``starts_at`` until ``ends_at`` (exclusive); ``deputy_id`` stands in."""

    __tablename__ = "leaves"
    __table_args__ = NEVER_REUSED

    id: int | None = row_id()
    user_id: int = link("users.id")
    starts_at: datetime = utc_column()
    ends_at: datetime = utc_column()
    whole_days: bool = True  # entered as dates: whole local days of the person's calendar
    deputy_id: int | None = maybe_link("users.id", index=False)  # None: their manager

    def days(self, timezone: ZoneInfo) -> tuple[date, date]:
        """The first and the last local day of the leave."""
        first, end = self.starts_at.astimezone(timezone), self.ends_at.astimezone(timezone) - timedelta(microseconds=1)
        return first.date(), end.date()
