"""The reader of firings for the timeline of a deal."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.models import RuleRun, RunStatus
from pbxcrm.automation.run_queries import as_rows
from pbxcrm.timeline.entries import Entry, EntryKind, TimelineQuery
from pbxcrm.timeline.sources import page_of

#: What was skipped stands in the log of the rule only.
_SHOWN = (
    RunStatus.DONE.value,
    RunStatus.HELD.value,
    RunStatus.FAILED.value,
    RunStatus.WAITING.value,
    RunStatus.UNKNOWN.value,
)


async def read_runs(session: AsyncSession, asked: TimelineQuery) -> list[Entry]:
    """Firings that did something to the deal, or to deals merged into it; none for a client. ``more`` is their ``RunRow``."""
    if asked.deal_id is None:
        return []
    query = select(RuleRun).where(col(RuleRun.deal_id).in_(asked.with_merged), col(RuleRun.status).in_(_SHOWN))
    found = await session.exec(page_of(query, EntryKind.RUN, col(RuleRun.at), col(RuleRun.id), asked))
    return [
        Entry(
            EntryKind.RUN,
            row.run.at,
            row.run.id or 0,
            row.run,
            None,
            row.run.reason,
            users=(row.run.undone_by_id, row.run.by_id),
            more=row,
        )
        for row in await as_rows(session, found.all())
    ]
