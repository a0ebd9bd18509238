"""The lists and counts of tasks that pages show."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, func, literal_column, true
from sqlalchemy import select as columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.shared.core_sql import fetch
from pbxcrm.shared.text_match import part_of
from pbxcrm.shared.trigrams import holds_words
from pbxcrm.tasks.access import visible_tasks
from pbxcrm.tasks.models import Task, TaskStatus, is_assignment, is_next_step, is_open
from pbxcrm.tasks.queries import TaskRow, answered_for, as_rows, counted_once, due_order, own_day
from pbxcrm.tasks.work_queries import reached_manager


@dataclass(frozen=True, slots=True)
class TaskChoice:
    """The filters of a list on a page. ``assignee_id`` None: of everybody whom the viewer may see. ``text``: parts of the title."""

    assignee_id: int | None = None
    nobodys: bool = False
    kind: str = ""
    text: str = ""
    contact_id: int | None = None
    due_before: datetime | None = None  # due at this time or earlier
    due_from: datetime | None = None  # due later than this time

    def conditions(self, *, among_all: bool = False) -> list[ColumnElement[bool]]:
        """The conditions for the WHERE clause of a query for tasks. ``among_all``: no index gives the few that the text is tested of."""
        found: list[ColumnElement[bool]] = []
        if self.assignee_id is not None:
            found.append(col(Task.assignee_id) == self.assignee_id)
        if self.nobodys:
            found.append(col(Task.assignee_id).is_(None))
        if self.kind:
            found.append(col(Task.kind) == self.kind)
        if self.contact_id is not None:
            found.append(col(Task.contact_id) == self.contact_id)
        if self.due_before is not None:
            found.append(col(Task.due_at) <= self.due_before)
        if self.due_from is not None:
            found.append(col(Task.due_at) > self.due_from)
        if self.text.strip():
            fits = (
                holds_words(Task.title_folded, self.text) if among_all else part_of(col(Task.title_folded), self.text)
            )
            found.append(fits)
        return found

    def open(self, viewer: Viewer) -> list[ColumnElement[bool]]:
        """The conditions for open tasks of this choice, each missed call once. One's own are those of ``own_day``."""
        if self.assignee_id == viewer.user_id and not self._tells_all:
            return [is_open(), *own_day(viewer), *self.conditions()]
        return [is_open(), self._once(viewer, still_open=True), *self.conditions()]

    def closed(self, viewer: Viewer) -> list[ColumnElement[bool]]:
        """The conditions for done or cancelled tasks of this choice, each missed call once."""
        return [
            col(Task.status) != TaskStatus.OPEN.value,
            self._once(viewer, still_open=False),
            *self.conditions(among_all=True),
        ]

    @property
    def _tells_all(self) -> bool:
        """With a filter by kind or text every task is shown."""
        return bool(self.kind or self.text.strip())

    def _once(self, viewer: Viewer, *, still_open: bool) -> ColumnElement[bool]:
        """Show a missed call as one row."""
        if self._tells_all:
            return true()
        in_list = answered_for(viewer)
        if self.assignee_id is not None:
            return counted_once(lambda whole: col(whole.assignee_id) == self.assignee_id, still_open=still_open)
        if self.nobodys:
            return counted_once(lambda whole: col(whole.assignee_id).is_(None), still_open=still_open)
        return counted_once(in_list, still_open=still_open)


MOST_COUNTED = 300  # open tasks of a list that does not fit a page


@dataclass(frozen=True, slots=True)
class OpenCounts:
    """How many open tasks a list has by when they are due, of at most ``MOST_COUNTED``, the earliest. ``more``: the key of the part of
    which there are more than it says, and more after it; empty if all are counted.
    """

    by_day: Mapping[str, int]  # overdue, today, tomorrow, later
    more: str

    @property
    def all(self) -> int:
        """All that are counted."""
        return sum(self.by_day.values())


async def count_open(
    session: AsyncSession,
    viewer: Viewer,
    *filters: ColumnElement[bool],
    after: tuple[datetime, int] | None,
    bounds: tuple[datetime, datetime, datetime],
) -> OpenCounts:
    """The counts of the list that ``list_tasks`` gives from the same place on. ``bounds``: now, the end of today, and of tomorrow."""
    some = due_order(select(col(Task.due_at)), after).where(visible_tasks(viewer), *filters).limit(MOST_COUNTED + 1)
    due, (now, today, tomorrow) = some.subquery().c.due_at, bounds
    parts = {
        "overdue": due <= now,
        "today": (due > now) & (due < today),
        "tomorrow": (due >= today) & (due < tomorrow),
        "later": due >= tomorrow,
    }
    counted = columns(*(func.count(case((part, 1))) for part in parts.values()))
    found = dict(zip(parts, (await fetch(session, counted))[0], strict=True))
    more = ""
    if sum(found.values()) > MOST_COUNTED:
        more = next(key for key in reversed(found) if found[key])
        found[more] -= 1
    return OpenCounts(found, more)


async def overdue_by_person(
    session: AsyncSession, viewer: Viewer, now: datetime, *, among: Collection[int] | None = None
) -> dict[int | None, int]:
    """The number of overdue tasks by assignee id, as in the list of each person, over what the viewer may see.

    ``among``: only of these people. Then no task of others is tested by the deal it is about.
    """
    once = counted_once(lambda whole: col(whole.assignee_id).is_not_distinct_from(col(Task.assignee_id)))
    of_them = () if among is None else (col(Task.assignee_id).in_(among),)
    found = await session.exec(
        select(Task.assignee_id, func.count())
        .where(*of_them, visible_tasks(viewer), is_open(), col(Task.due_at) <= now, once)
        .group_by(col(Task.assignee_id))
    )
    return dict(found.all())


async def reached_count(session: AsyncSession, viewer: Viewer) -> int:
    """How many open tasks of the viewer stand among the escalations instead of in their own list (``own_day``)."""
    mine = (col(Task.assignee_id) == viewer.user_id, is_open(), reached_manager(viewer))
    return (await session.exec(select(func.count()).select_from(Task).where(*mine))).one()


def to_check(viewer: Viewer) -> list[ColumnElement[bool]]:
    """Conditions for assignments that the viewer gave, that are done and not checked yet."""
    return [
        col(Task.given_by_id) == viewer.user_id,
        is_assignment(),
        col(Task.status) == literal_column("'done'"),  # in the words of ``ix_tasks_to_check``
        col(Task.checked_at).is_(None),
    ]


async def to_check_count(session: AsyncSession, viewer: Viewer) -> int:
    """The number of assignments that the viewer has to check."""
    return (await session.exec(select(func.count()).select_from(Task).where(*to_check(viewer)))).one()


@dataclass(frozen=True, slots=True)
class Load:
    """The open tasks of a person: overdue, due in the rest of the day, and due in the rest of the week."""

    user_id: int | None
    overdue: int
    today: int
    week: int


async def load_by_person(
    session: AsyncSession, viewer: Viewer, now: datetime, day_ends: datetime, week_ends: datetime
) -> list[Load]:
    """The load of each person over what the viewer may see, each missed call once. The person with most overdue tasks comes first."""
    once = counted_once(lambda whole: col(whole.assignee_id).is_not_distinct_from(col(Task.assignee_id)))
    due = col(Task.due_at)

    def counted(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
        return func.coalesce(func.sum(case((and_(*conditions), 1), else_=0)), 0)

    found = await session.exec(
        select(
            Task.assignee_id,
            counted(due <= now),
            counted(due > now, due < day_ends),
            counted(due >= day_ends, due < week_ends),
        )
        .where(visible_tasks(viewer), is_open(), once)
        .group_by(col(Task.assignee_id))
    )
    rows = [Load(user_id, int(late), int(today), int(week)) for user_id, late, today, week in found.all()]
    return sorted(rows, key=lambda row: (-row.overdue, -row.today, row.user_id or 0))


async def list_closed(
    session: AsyncSession,
    viewer: Viewer,
    asked: TaskChoice,
    *,
    before: tuple[datetime, int] | None = None,
    limit: int = 50,
) -> list[TaskRow]:
    """Tasks that are done or cancelled, the latest first; ``before`` is (done_at, id) of the last one shown."""
    done = col(Task.done_at)
    query = select(Task).where(visible_tasks(viewer), done.is_not(None), *asked.closed(viewer))
    if before is not None:
        query = query.where((done < before[0]) | ((done == before[0]) & (col(Task.id) < before[1])))
    found = await session.exec(query.order_by(done.desc(), col(Task.id).desc()).limit(limit))
    return await as_rows(session, list(found.all()))


async def open_tasks_of_deal(session: AsyncSession, deal_id: int) -> list[TaskRow]:
    """The open tasks of a deal, earliest first, each missed call once. The caller must have checked access to the deal."""
    found = await session.exec(
        select(Task)
        .where(
            Task.deal_id == deal_id,
            Task.status == TaskStatus.OPEN.value,
            is_next_step(),
            counted_once(lambda whole: col(whole.deal_id) == deal_id),
        )
        .order_by(col(Task.due_at), col(Task.id))
    )
    return await as_rows(session, list(found.all()))
