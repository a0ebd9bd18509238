"""Loads what reading a filter of deals needs."""

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.deals.filter_rules import FilterReader
from pbxcrm.deals.queries import load_funnel
from pbxcrm.deals.terms import deal_terms
from pbxcrm.fields.queries import load_fields
from pbxcrm.fields.relative_times import AskedAt
from pbxcrm.fields.rules import Checking
from pbxcrm.people.directory import load_directory


async def filter_reader(session: AsyncSession, viewer: Viewer, clock: AskedAt, region: str) -> FilterReader:
    """The reader of filters, for board, lists, bulk acts, saved views and the API."""
    checking = Checking(region, await load_directory(session))
    terms = deal_terms(await load_fields(session), checking)
    return FilterReader(terms, viewer.user_id, clock, await load_funnel(session))
