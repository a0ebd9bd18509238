"""Loads what reading a filter of deals needs."""

from collections.abc import Awaitable, Callable
from functools import cache

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.deals.filter_rules import FilterReader
from pbxcrm.deals.queries import load_funnel
from pbxcrm.deals.terms import deal_terms
from pbxcrm.fields.conditions import Vocabulary
from pbxcrm.fields.queries import load_fields
from pbxcrm.fields.relative_times import AskedAt
from pbxcrm.fields.rules import Checking
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.config_cache import cached_until_changed


async def filter_reader(session: AsyncSession, viewer: Viewer, clock: AskedAt, region: str) -> FilterReader:
    """The reader of filters, for board, lists, bulk acts, saved views and the API."""
    terms = await cached_until_changed(session, _terms_in(region))
    return FilterReader(terms, viewer.user_id, clock, await load_funnel(session))


@cache  # of the few regions of a process: the function is what the terms are kept by
def _terms_in(region: str) -> Callable[[AsyncSession], Awaitable[Vocabulary]]:
    async def load(session: AsyncSession) -> Vocabulary:
        return deal_terms(await load_fields(session), Checking(region, await load_directory(session)))

    return load
