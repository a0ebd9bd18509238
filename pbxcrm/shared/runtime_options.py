"""Options that an administrator can change while the product runs: one row per option, typed by ``Options``."""

from typing import Any, Literal

from pydantic import BaseModel
from pydantic import Field as Limit
from sqlalchemy import JSON
from sqlmodel import Field, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.shared.columns import TableModel
from pbxcrm.shared.config_cache import cached_config


@cached_config
class Option(TableModel, table=True):
    """The JSON value of an option under a stable key, a field of ``Options``."""

    __tablename__ = "options"

    key: str = Field(max_length=64, primary_key=True)
    value: Any = Field(sa_type=JSON, nullable=False)


LONGEST_OWN = 254  # letters of a text among the options: the longest address


class Options(BaseModel):
    """Every option with its default. Times are working minutes unless their name says otherwise."""

    owner_order: tuple[str, ...] = ("responsible", "last_talked", "last_rang", "line", "manager")  # C5
    retry_minutes: tuple[int, ...] = (
        10,
        120,
    )  # next attempts after "didn't reach"; after the last: next working morning
    retry_outbound: bool = True  # a call of ours that did not reach a client with an open deal plans the next one
    click_to_call_expiry_seconds: int = Limit(30, ge=5)
    claim_minutes: int = Limit(15, ge=1)  # real minutes after which a claimed callback without an attempt is released
    discount_limit_seller: int = Limit(10, ge=0, le=100)  # per cent that a seller gives without asking
    discount_limit_manager: int = Limit(100, ge=0, le=100)
    same_product: Literal["sum", "add", "skip"] = "sum"  # what adding a product that a deal has already does
    message_own_name: str = Limit("", max_length=LONGEST_OWN)  # what messages to clients call our company
    message_own_phone: str = Limit("", max_length=LONGEST_OWN)
    message_own_site: str = Limit("", max_length=LONGEST_OWN)
    message_language: Literal["", "uk", "ru", "en"] = (
        ""  # of clients whose language is not known; empty: a template's first
    )
    message_quiet: str = "21:00-09:00"  # hours without messages to clients, by the clock of the office
    message_most_a_day: int = Limit(1, ge=0, le=100)  # messages of rules to one client; 0: without a limit
    message_needs_consent: bool = False  # only to clients who agreed; otherwise to all who did not refuse
    message_test_email: str = Limit("", max_length=LONGEST_OWN)  # gets what rules would send that only watch
    message_test_number: str = Limit("", max_length=LONGEST_OWN)
    first_run_kept: tuple[str, ...] = ()  # first steps whose shipped defaults an administrator has confirmed
    first_run_put_away: bool = False


async def load_options(session: AsyncSession) -> Options:
    """The stored options; defaults for the others."""
    rows = (await session.exec(select(Option))).all()
    return Options.model_validate({row.key: row.value for row in rows})


async def save_option(session: AsyncSession, options: Options, key: str, value: Any) -> Options:
    """Store ``value`` under ``key`` and return the changed ``options``. Raises pydantic's ValidationError."""
    changed = Options.model_validate({**options.model_dump(), key: value})
    await session.merge(Option(key=key, value=changed.model_dump(mode="json")[key]))
    return changed
