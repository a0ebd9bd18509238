"""Takes a client who is erased out of deals: stages, dates, amounts and people of the office stay."""

from sqlalchemy import delete, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.audit.actions import do_forget_details, write_down
from pbxcrm.audit.models import AuditEntry
from pbxcrm.contacts.hooks import GONE, Erasing
from pbxcrm.deals.actions import say_deal_changed
from pbxcrm.deals.models import BulkChange, Deal, DealMerge, DealPerson, DealTag, StageMove, is_by_structure
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.value_actions import do_forget_values
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.core_sql import one_of
from pbxcrm.shared.locking import lock_rows

PERSON_CHANGES = ("deal.person_added", "deal.person_role", "deal.person_removed")


async def erase_from_deals(session: AsyncSession, erasing: Erasing) -> None:
    """Handler of ``contact_erasing``."""
    held, people = erasing.held, await load_directory(session)
    deals = await lock_rows(session, Deal, one_of(session, col(Deal.id), held.deals))
    for deal in deals:
        say_deal_changed(session, deal, erasing.at, people)
        deal.title, deal.contact_id, deal.client_number = GONE, None, None
        deal.reason = dict(erasing.why)
        deal.lost_reason = GONE if deal.lost_reason else ""  # that it was lost for a reason stays, the words go
        deal.version += 1
    await do_forget_values(session, FieldEntity.DEAL, deals)
    await _erase_words(session, erasing)
    for column in (DealTag.deal_id, BulkChange.deal_id, DealMerge.from_id, DealMerge.into_id):
        of_them = one_of(session, col(column), held.deals)
        await session.exec(delete(column.class_).where(of_them).execution_options(synchronize_session=False))  # type: ignore[attr-defined]
    await do_forget_details(session, "deal", held.deals)
    await _take_off(session, erasing)


async def _erase_words(session: AsyncSession, erasing: Erasing) -> None:
    """The words of moves go, and what other people are to the client. That a stage was removed from under the deal stays: figures must not count it as work."""
    of_them = one_of(session, col(StageMove.deal_id), erasing.held.deals)
    moves = await session.exec(select(StageMove.id, StageMove.reason).where(of_them))
    told = [move_id or 0 for move_id, why in moves.all() if why and not is_by_structure(why)]
    for change in (
        update(StageMove).where(of_them).values(from_lost_reason=""),
        update(StageMove).where(one_of(session, col(StageMove.id), told)).values(reason=dict(erasing.why)),
        update(DealPerson).where(one_of(session, col(DealPerson.deal_id), erasing.held.deals)).values(role=""),
    ):
        await session.exec(change.execution_options(synchronize_session=False))


async def _take_off(session: AsyncSession, erasing: Erasing) -> None:
    """From deals of others the client goes as one of their people; the audit log of these deals names them, with their role."""
    of_them = one_of(session, col(DealPerson.contact_id), erasing.held.contacts)
    ids = sorted(set((await session.exec(select(DealPerson.deal_id).where(of_them))).all()))
    people = await load_directory(session)
    for deal in (await session.exec(select(Deal).where(one_of(session, col(Deal.id), ids)))).all():
        say_deal_changed(session, deal, erasing.at, people)
    await session.exec(delete(DealPerson).where(of_them).execution_options(synchronize_session=False))
    await write_down(session)
    told = select(AuditEntry.id, AuditEntry.data).where(
        col(AuditEntry.entity) == "deal",
        one_of(session, col(AuditEntry.entity_id), [str(one) for one in ids]),
        col(AuditEntry.action).in_(PERSON_CHANGES),
    )
    about = [
        row_id or 0
        for row_id, data in (await session.exec(told)).all()
        if data.get("contact_id") in erasing.held.contacts
    ]
    await do_forget_details(session, "deal", ids, one_of(session, col(AuditEntry.id), about))
