"""What follows where a client has a second open deal in a pipeline and nobody could be asked."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.hooks import Relinked
from pbxcrm.deals.hooks import SecondDeal, second_deal
from pbxcrm.deals.models import Deal
from pbxcrm.deals.second_deal_queries import others_there
from pbxcrm.people.directory import load_directory


async def do_say_second(session: AsyncSession, opened: SecondDeal) -> None:
    """``opened.deal`` has become an open deal of its client in its pipeline: tell of the others there, if any."""
    if opened.deal.closed_at is None and (others := await others_there(session, opened.deal, opened.deal.pipeline_id)):
        await second_deal(session, opened, others)


async def say_second_relinked(session: AsyncSession, relinked: Relinked) -> None:
    """Handler of ``contacts.hooks``: deals have another client now. A person who merges two clients sees on the page which open
    deals both have in one pipeline; of a merge by a program, and of a deal that came late, a task says it.
    """
    ids = relinked.rows.get("deals.contact_id", ())
    if relinked.asked or not ids:
        return
    people = await load_directory(session)
    await session.flush()
    # The rows were moved beside the session: those that it has already would still name the former client.
    found = select(Deal).where(col(Deal.id).in_(ids)).order_by(col(Deal.id)).execution_options(populate_existing=True)
    for deal in (await session.exec(found)).all():
        await do_say_second(session, SecondDeal(deal, relinked.at, people))
