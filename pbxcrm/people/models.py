"""Tables of people: users, teams, extensions, sessions, tokens and failed logins."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import text
from sqlmodel import Field

from pbxcrm.shared.columns import ID, TableModel, link, maybe_link, maybe_utc_column, row_id, utc_column
from pbxcrm.shared.config_cache import cached_config
from pbxcrm.shared.numbers import LONGEST_NUMBER


class PopupMode(StrEnum):
    """When the card of a call appears for this person."""

    RINGING = "ringing"
    ANSWERED = "answered"
    OFF = "off"


@cached_config
class Team(TableModel, table=True):
    """People with one manager, who sees their rows."""

    __tablename__ = "teams"

    id: int | None = row_id()
    name: str = Field(max_length=100, unique=True)
    manager_id: int | None = maybe_link("users.id", use_alter=True, name="fk_teams_manager_id")
    calendar_id: int | None = maybe_link("calendars.id")


#: For columns added later: with a default in the database the table need not be rebuilt.
_EMPTY = {"server_default": text("''")}


@cached_config
class User(TableModel, table=True):
    """Somebody who logs in. Users are not deleted: ``is_active`` False ends every access."""

    __tablename__ = "users"

    id: int | None = row_id()
    login: str = Field(max_length=64, unique=True)  # lower case
    name: str = Field(max_length=100)
    role: str = Field(max_length=16)  # a Role
    password_hash: str = Field(max_length=255)
    team_id: int | None = maybe_link("teams.id")
    calendar_id: int | None = maybe_link("calendars.id")  # own shift; else the team's, else the default
    language: str = Field(default="", max_length=5)  # empty: the browser's
    theme: str = Field(default="auto", max_length=8)
    popup: str = Field(default=PopupMode.RINGING.value, max_length=16)
    sound: bool = True
    notify: bool = True  # browser notifications, if the browser allows them
    email: str = Field(default="", max_length=254, sa_column_kwargs=_EMPTY)  # address for the digest
    digest_at: int | None = None  # minutes after midnight in the person's time zone; None: no digest
    quiet_desktop: str = Field(
        default="", max_length=60, sa_column_kwargs=_EMPTY
    )  # hours without notifications: "20:00-08:00"
    quiet_digest: str = Field(default="", max_length=60, sa_column_kwargs=_EMPTY)
    is_active: bool = True
    created_at: datetime = utc_column()
    #: Who does their work now, because they are away. Follows from the leaves (``calendars.stand_ins``, which alone writes it).
    stood_in_by_id: int | None = Field(default=None, sa_type=ID)


@cached_config
class Extension(TableModel, table=True):
    """A phone of a user. A number belongs to one user at a time; earlier owners are in the audit log."""

    __tablename__ = "extensions"

    number: str = Field(max_length=32, primary_key=True)
    user_id: int = link("users.id")


@cached_config
class MobileNumber(TableModel, table=True):
    """A user's telephone outside the PBX. A talk on it counts as one on the user's first extension."""

    __tablename__ = "mobile_numbers"

    number: str = Field(max_length=LONGEST_NUMBER, primary_key=True)  # E.164
    user_id: int = link("users.id")


class LoginSession(TableModel, table=True):
    """A logged-in browser. Only the token's SHA-256 is stored; the session can be revoked at any time."""

    __tablename__ = "login_sessions"

    id: int | None = row_id()
    token_hash: str = Field(max_length=64, unique=True)
    user_id: int = link("users.id")
    created_at: datetime = utc_column()
    expires_at: datetime = utc_column(index=True)
    revoked_at: datetime | None = maybe_utc_column()
    ip: str = Field(default="", max_length=64)
    user_agent: str = Field(default="", max_length=300)
    device_hash: str = Field(default="", max_length=64)  # SHA-256 of the browser's own token; empty: it has none


class ApiToken(TableModel, table=True):
    """A token for programs, with the rights of its owner. Only its SHA-256 is stored."""

    __tablename__ = "api_tokens"

    id: int | None = row_id()
    token_hash: str = Field(max_length=64, unique=True)
    user_id: int = link("users.id")
    name: str = Field(max_length=100)
    created_at: datetime = utc_column()
    expires_at: datetime | None = maybe_utc_column()  # None: never
    used_at: datetime | None = maybe_utc_column()
    revoked_at: datetime | None = maybe_utc_column()


class FailedLogin(TableModel, table=True):
    """A wrong password, kept as long as the throttle needs it."""

    __tablename__ = "failed_logins"

    id: int | None = row_id()
    login: str = Field(max_length=64, index=True)
    ip: str = Field(max_length=64, index=True)
    device_hash: str = Field(default="", max_length=64)  # as in ``LoginSession``
    at: datetime = utc_column(index=True)
