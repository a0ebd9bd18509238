"""A change of the lines of a deal, from the lock to what follows. Every change goes through ``open_change`` and ``close_change``.

Opening locks the deal. Closing asks for discounts that need approval, records what changed with what undoes it, sets the amount of the
deal where its pipeline takes it from the lines, and says that the deal changed.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.deals.actions import access_deal_for_change, do_count_change, do_edit_deal
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import load_funnel
from pbxcrm.money.discount_rules import GivenBefore, TypedReason, check_limits, given_now
from pbxcrm.money.discount_task_actions import settle_asked
from pbxcrm.money.history_rules import Snapshot, key_of, snapshot, told_of
from pbxcrm.money.line_authors import LineAuthor, by
from pbxcrm.money.line_rules import DealLines, asked_of, discount_of, priced
from pbxcrm.money.models import DealDiscount, DealLine
from pbxcrm.money.queries import limit_of, lines_of
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import NotFound
from pbxcrm.shared.runtime_options import load_options

LINES_CHANGED = "deal.lines"  # the action in the audit log


@dataclass(slots=True)
class LineChange:
    """The deal, locked, its lines in hand, and how they were before."""

    deal: Deal
    lines: list[DealLine]
    whole: DealDiscount
    was: dict[int, Snapshot]  # by id of the line; 0: the whole
    given: GivenBefore
    author: LineAuthor
    typed: dict[int, TypedReason] = field(default_factory=dict)  # by identity of the row
    undo: list[dict[str, Any]] = field(
        default_factory=list
    )  # once it is closed: each changed row by id, its version, and what it was

    @property
    def live(self) -> list[DealLine]:
        """The lines that are not removed, in order."""
        return [line for line in self.lines if line.removed_at is None]

    @property
    def rows(self) -> list[DealLine | DealDiscount]:
        """The lines, also removed ones, and the discount on the whole."""
        return [*self.lines, self.whole]

    def what_changed(self) -> list[dict[str, Any]]:
        """Each row that the change has changed, by id (0: the discount on the whole): what it was, None for a new line, and what it is."""
        now = {key_of(row): snapshot(row) for row in self.rows}
        return [{"id": each["id"], "was": each["was"], "is": now[each["id"]]} for each in self.undo]

    def line(self, line_id: int) -> DealLine:
        """One that is not removed. Raises NotFound."""
        found = next((line for line in self.live if line.id == line_id), None)
        if found is None:
            raise NotFound("money.no_line", "This line is not on the deal any more.")
        return found


async def open_change(session: AsyncSession, viewer: Viewer, deal_id: int, version: int | None = None) -> LineChange:
    """The lines of a deal that the viewer changes. Raises NotFound, NotAllowed, Conflict for an old ``version`` of the deal."""
    check(viewer, Permission.DEALS_EDIT)
    return await open_locked(session, await access_deal_for_change(session, viewer, deal_id, version), by(viewer))


async def open_locked(session: AsyncSession, deal: Deal, author: LineAuthor) -> LineChange:
    """The same for a deal that the caller has locked, after a check of access or for a rule."""
    before = await lines_of(session, deal.id or 0)
    was = {line.id or 0: snapshot(line) for line in before.lines} | {0: snapshot(before.whole)}
    return LineChange(deal, list(before.lines), before.whole, was, given_now(before), author)


async def close_change(session: AsyncSession, change: LineChange, now: datetime, *, settled: bool = False) -> DealLines:
    """Everything that follows a change. Returns the lines as they are now.

    ``settled``: an undo or a decision. What it comes to was allowed, and it is not undone itself.
    """
    live, author = change.live, change.author
    if not settled:
        limit = limit_of(author.role, await load_options(session))
        check_limits(change.given, live, change.whole, change.typed, limit)
    after = priced(live, change.whole)
    session.add_all(line for line in change.lines if line.id is None)
    if change.whole.id is None and (discount_of(change.whole) or asked_of(change.whole)):
        session.add(change.whole)
    await session.flush()
    change.undo, told = _count(change)
    if not change.undo:
        return after
    deal = change.deal
    record(
        session,
        now,
        LINES_CHANGED,
        "deal",
        deal.id,
        actor=author.actor,
        reason=author.why,
        lines=told,
        total=str(after.price.total),
        undo=[] if settled else change.undo,
    )
    await settle_asked(session, author, deal, change.rows, change.was, now)
    people = await load_directory(session)
    pipeline = (await load_funnel(session)).pipelines[deal.pipeline_id]
    if pipeline.amount_by_lines and live and deal.amount != after.price.total:
        values = {"amount": after.price.total}
        await do_edit_deal(session, deal, now, actor=author.actor, people=people, values=values, why=author.why)
    else:
        await do_count_change(session, deal, now, people)
    return after


def _count(change: LineChange) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Count the versions of the rows that changed. Returns what undoes it, and what the history tells."""
    steps: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    for row in change.rows:
        was, after = change.was.get(key_of(row)), snapshot(row)
        if was == after or row.id is None:
            continue
        if was is not None:
            row.version += 1
        steps.append({"id": key_of(row), "version": row.version, "was": was})
        told.append(told_of(row, was, after))
    return steps, [each for each in told if each]
