"""What follows where a client has a second open deal in a pipeline and nobody could be asked."""

from collections.abc import Collection
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.deals.hooks import SecondDeal, second_deal
from pbxcrm.deals.models import Deal
from pbxcrm.deals.second_deal_queries import others_there
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.core_sql import load_by_id


async def do_say_second(session: AsyncSession, opened: SecondDeal) -> None:
    """``opened.deal`` has become an open deal of its client in its pipeline: tell of the others there, if any."""
    if opened.deal.closed_at is None and (others := await others_there(session, opened.deal, opened.deal.pipeline_id)):
        await second_deal(session, opened, others)


async def say_second_of_merged(session: AsyncSession, deal_ids: Collection[int], at: datetime) -> None:
    """A program merged two clients, and one got these deals of the other. A person sees on the page which both have in one pipeline."""
    people = await load_directory(session)
    for deal in (await load_by_id(session, Deal, sorted(deal_ids))).values():
        await do_say_second(session, SecondDeal(deal, at, people))
