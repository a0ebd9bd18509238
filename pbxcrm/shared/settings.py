"""Settings from the environment (``PBXCRM_*``) and an optional TOML file. An entry point loads them and passes them on.

The TOML file is ``PBXCRM_CONFIG``, or ``pbxcrm.toml`` in the data directory; the environment takes precedence.
What people may change while the product runs (rules per line, norms, order of owners) is stored in the database instead.
"""

import re
import tomllib
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pbxcrm.shared.errors import BadSettings
from pbxcrm.shared.mail_urls import trust_of
from pbxcrm.shared.networks import parse_networks


class Pbx(BaseModel):
    """One Asterisk server. ``name`` is its key in the database and the journal and must not change later."""

    name: str = Field(default="default", pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")
    ami_url: str  # ami://user:secret@host:5038
    trunks: tuple[str, ...] = ()  # globs of endpoint names; empty: every endpoint that is not an extension
    extension_pattern: str | None = None  # None: the general setting
    region: str | None = None  # None: the general setting
    dial_channel: str = "PJSIP/{extension}"  # how to ring a seller's own phone for click-to-call
    dial_context: str = "from-internal"  # dialplan context that dials the client for click-to-call
    recordings_dir: Path | None = None  # where MixMonitor writes, as this machine sees it
    cel_csv: Path | None = None  # CEL file, to recover the events of the time we were not connected
    cdr_csv: Path | None = None  # CDR file, used where there is no CEL


class MailboxAddress(BaseModel):
    """A mailbox whose e-mails become requests. ``name`` is its key in the database and must not change later."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")
    url: str  # imaps://user:password@host:993/FOLDER; imap:// with STARTTLS; without a folder INBOX

    @field_validator("url")
    @classmethod
    def _kind_of_mailbox(cls, value: str) -> str:
        if not re.match(r"imaps?://[^/?#@\s]+:[^/?#@\s]+@[^/?#@\s]+(/[^?#]*)?$", value):
            raise ValueError("must be imaps://USER:PASSWORD@HOST:993, with @ and / in the password as %40 and %2F")
        return value


class Settings(BaseSettings):
    """The settings of a process, from the environment (``PBXCRM_…``), then the TOML file. See docs/settings.md."""

    model_config = SettingsConfigDict(env_prefix="PBXCRM_", extra="ignore", frozen=True)

    data_dir: Path = Path("~/.local/share/pbxcrm")
    database_url: str = ""  # empty: SQLite in the data directory
    redis_url: str = ""  # empty: an embedded Redis in the data directory
    ami_url: str = ""  # one PBX; for several use [[pbxs]] in the TOML file
    bind: str = "127.0.0.1:8080"
    region: str = Field(default="UA", pattern=r"^[A-Z]{2}$")
    extension_pattern: str = r"\d{2,5}"
    trunks: tuple[str, ...] = ()
    timezone: str = "Europe/Kyiv"
    language: str = Field(default="en", pattern=r"^(en|uk|ru)$")
    currency: str = Field(default="UAH", pattern=r"^[A-Z]{3}$")
    recordings_dir: Path | None = None
    dial_channel: str = "PJSIP/{extension}"
    dial_context: str = "from-internal"
    cel_csv: Path | None = None
    cdr_csv: Path | None = None
    agi_bind: str = "127.0.0.1:4573"
    dialplan_networks: str = "127.0.0.0/8, ::1"  # who may look callers up without a token, by HTTP and FastAGI
    trusted_proxies: tuple[str, ...] = ()
    allowed_hosts: str = ""  # accepted Host names besides IP addresses and local names; "*" for all
    connections_per_address: int = Field(default=1000, ge=10)
    outgoing_networks: str = ""  # networks inside that webhooks may call, although they are not public
    metrics_networks: str = "127.0.0.0/8, ::1"  # who may read /metrics and the details of /readyz without a token
    smtp_url: str = ""  # smtp://user:password@host:587 or smtps://host:465; empty: no e-mail
    mail_from: str = ""  # the sender of e-mail; required with smtp_url
    mail_ca: Path | None = None  # certificates (PEM) of authorities that mail servers may have besides the system's
    public_url: str = ""  # https://crm.example: how people reach the pages, for links in e-mail
    log_level: str = "INFO"
    files_max_mb: int = Field(default=25, ge=1, le=30)  # one file; a request may be 32 MB long (web/app.py)
    files_total_gb: int = Field(default=20, ge=1)  # all files together
    files_scanner: str = ""  # unix:/run/clamav/clamd.ctl, tcp:HOST:3310, or a command; empty: files are not checked
    journal_keep_days: int = Field(default=7, ge=0)
    pbxs: tuple[Pbx, ...] = ()
    mailboxes: tuple[MailboxAddress, ...] = ()  # their e-mails become requests

    @field_validator("extension_pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be a time zone that this machine knows, for example Europe/Kyiv") from None
        return value

    @field_validator("bind", "agi_bind")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            raise ValueError("must be HOST:PORT, for example 127.0.0.1:8080")
        return value

    @field_validator("dialplan_networks", "metrics_networks", "outgoing_networks")
    @classmethod
    def _networks(cls, value: str) -> str:
        try:
            parse_networks(value)
        except ValueError as error:
            raise ValueError(
                f"must be networks with commas between them, for example 127.0.0.0/8, ::1 ({error})"
            ) from None
        return value

    @field_validator("database_url")
    @classmethod
    def _kind_of_database(cls, value: str) -> str:
        if value and not re.match(r"(sqlite|postgres|postgresql)(\+\w+)?://", value):
            raise ValueError("must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME")
        return value

    @field_validator("redis_url")
    @classmethod
    def _kind_of_redis(cls, value: str) -> str:
        if value and not re.match(r"(redis|rediss|unix)://", value):
            raise ValueError("must be redis://HOST:6379/0, rediss://… or unix:///PATH")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _kind_of_mail(cls, value: str) -> str:
        if value and not re.match(r"smtps?://[^/?#]+$", value):
            raise ValueError("must be smtp://USER:PASSWORD@HOST:587 or smtps://USER:PASSWORD@HOST:465")
        return value

    @field_validator("mail_from")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not re.fullmatch(r"[^\s<>@,;]+@[^\s<>@,;]+", value):
            raise ValueError("must be an e-mail address, for example crm@example.com")
        return value

    @field_validator("mail_ca")
    @classmethod
    def _authorities(cls, value: Path | None) -> Path | None:
        try:
            trust_of(value)
        except OSError as error:
            raise ValueError(
                f"must be a file with certificates of authorities (PEM): {error.strerror or error}"
            ) from None
        return value

    @field_validator("public_url")
    @classmethod
    def _page_address(cls, value: str) -> str:
        if value and not re.match(r"https?://[^\s]+$", value):
            raise ValueError("must be how people reach the pages, for example https://crm.example.com")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _fill_in(self) -> Self:
        data_dir = self.data_dir.expanduser().resolve()
        object.__setattr__(self, "data_dir", data_dir)
        if not self.database_url:
            object.__setattr__(self, "database_url", f"sqlite:///{data_dir / 'pbxcrm.db'}")
        if self.smtp_url and not self.mail_from:
            raise ValueError("PBXCRM_MAIL_FROM is missing: say who e-mail is from, for example crm@example.com")
        pbxs = self.pbxs
        if self.ami_url:
            pbxs = (Pbx(name="default", ami_url=self.ami_url, trunks=self.trunks), *pbxs)
        object.__setattr__(self, "pbxs", tuple(self._with_general(pbx) for pbx in pbxs))
        names = [pbx.name for pbx in self.pbxs]
        if len(names) != len(set(names)):
            raise ValueError("two PBXs have the same name")
        boxes = [mailbox.name for mailbox in self.mailboxes]
        if len(boxes) != len(set(boxes)):
            raise ValueError("two mailboxes have the same name")
        return self

    def _with_general(self, pbx: Pbx) -> Pbx:
        """``pbx`` with the general value for each setting that it does not define itself."""
        general = {
            name: getattr(self, name)
            for name in (
                "extension_pattern",
                "region",
                "recordings_dir",
                "cel_csv",
                "cdr_csv",
                "dial_channel",
                "dial_context",
            )
            if name not in pbx.model_fields_set or getattr(pbx, name) is None
        }
        return pbx.model_copy(update=general)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The sources for pydantic, highest precedence first."""
        # ``init_settings`` are the values of the TOML file; the environment takes precedence over them.
        return env_settings, init_settings

    def region_of(self, pbx: str) -> str:
        """The region of the PBX named ``pbx`` (two letters), else the general one."""
        return next((p.region for p in self.pbxs if p.name == pbx and p.region), self.region)

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is an SQLite file."""
        return self.database_url.startswith("sqlite")


def load_settings(environ: dict[str, str]) -> Settings:
    """Settings from ``environ`` and the TOML file. Raises BadSettings with a message that names the wrong one."""
    data_dir = Path(environ.get("PBXCRM_DATA_DIR") or Settings.model_fields["data_dir"].default).expanduser()
    named = environ.get("PBXCRM_CONFIG")
    path = Path(named) if named else data_dir / "pbxcrm.toml"
    values: dict[str, Any] = {}
    if named or path.exists():
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise BadSettings(
                "settings.file", "The settings file {path} cannot be read: {error}", path=str(path), error=str(error)
            ) from error
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = "PBXCRM_" + "_".join(str(part) for part in first["loc"]).upper() if first["loc"] else "settings"
        raise BadSettings(
            "settings.value", "{name} is wrong: {why}", name=name, why=first["msg"].removeprefix("Value error, ")
        ) from error
