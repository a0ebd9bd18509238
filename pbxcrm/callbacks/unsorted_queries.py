"""What a person needs to decide about unsorted deals: the deal with its last call, the newest note, and the client's other deals."""

from dataclasses import dataclass

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.calls.access import audible_calls
from pbxcrm.calls.models import Call
from pbxcrm.deals.merge_queries import OtherDeals, others_of
from pbxcrm.deals.models import Note
from pbxcrm.deals.queries import DealRow, as_rows
from pbxcrm.deals.unsorted_queries import list_unsorted


@dataclass(frozen=True, slots=True)
class UnsortedRow:
    """A deal with what helps to decide: its last call, the newest note, and the client's other open deals.

    ``hears``: whether the viewer may hear the recording of the call.
    """

    row: DealRow
    others: OtherDeals
    call: Call | None
    hears: bool
    note: Note | None


async def load_unsorted(session: AsyncSession, who: Viewer, limit: int) -> list[UnsortedRow]:
    """The unsorted deals that the viewer sees, the one that waits longest first, in a fixed number of queries."""
    deals = await list_unsorted(session, who, limit)
    ids = [deal.id or 0 for deal in deals]
    others = await others_of(session, who, deals)
    last: dict[int | None, Call] = {}
    calls = await session.exec(
        select(Call).where(col(Call.deal_id).in_(ids), col(Call.merged_into_id).is_(None)).order_by(col(Call.id))
    )
    for call in calls.all():
        last[call.deal_id] = call
    audible = set(
        (
            await session.exec(
                select(Call.id).where(col(Call.id).in_([call.id for call in last.values()]), audible_calls(who))
            )
        ).all()
    )
    notes: dict[int | None, Note] = {}
    for note in (await session.exec(select(Note).where(col(Note.deal_id).in_(ids)).order_by(col(Note.id)))).all():
        notes[note.deal_id] = note
    rows: list[UnsortedRow] = []
    for row in await as_rows(session, deals):
        heard = last.get(row.deal.id)
        hears = heard is not None and heard.id in audible
        rows.append(UnsortedRow(row, others[row.deal.id or 0], heard, hears, notes.get(row.deal.id)))
    return rows
