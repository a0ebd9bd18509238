"""A seller's own figures for a period (I10)."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Permission, Viewer
from pbxcrm.callbacks.access import visible_episodes
from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.calls.access import visible_calls
from pbxcrm.calls.facts import Direction, Outcome
from pbxcrm.calls.models import Call
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.lost import stands_by_itself
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import load_funnel
from pbxcrm.reports.report import Asked, Behind, Column, ColumnKind, Report, ReportLine, Table
from pbxcrm.shared.numbers import format_for_people
from pbxcrm.shared.reasons import N_
from pbxcrm.tasks.access import visible_tasks
from pbxcrm.tasks.models import Task, TaskStatus


async def load(session: AsyncSession, viewer: Viewer, asked: Asked) -> Table:
    """The figures of ``asked.user_id``, else of the viewer, over what the viewer may see."""
    who = asked.user_id if asked.user_id is not None else viewer.user_id
    lines = [*await _calls(session, viewer, who, asked), *await _callbacks(session, viewer, who, asked)]
    lines += [*await _deals(session, viewer, who, asked), *await _tasks(session, viewer, who, asked)]
    return Table(lines)


async def _calls(session: AsyncSession, viewer: Viewer, who: int, asked: Asked) -> list[ReportLine]:
    found = await session.exec(
        select(Call).where(
            visible_calls(viewer),
            Call.responsible_id == who,
            col(Call.started_at) >= asked.since,
            col(Call.started_at) < asked.until,
        )
    )
    calls = [call for call in found.all() if call.merged_into_id is None and call.direction != Direction.INTERNAL]

    def behind(rows: Sequence[Call]) -> list[Behind]:
        return [
            Behind(
                "call", row.id or 0, format_for_people(row.client_number) if row.client_number else "—", row.started_at
            )
            for row in rows
        ]

    answered = [call for call in calls if call.outcome == Outcome.ANSWERED]
    return [
        _line("calls", N_("Calls"), len(calls), behind(calls)),
        _line("talks", N_("Conversations"), len(answered), behind(answered)),
    ]


async def _callbacks(session: AsyncSession, viewer: Viewer, who: int, asked: Asked) -> list[ReportLine]:
    found = await session.exec(
        select(Episode).where(
            visible_episodes(viewer),
            Episode.owner_id == who,
            col(Episode.first_missed_at) >= asked.since,
            col(Episode.first_missed_at) < asked.until,
        )
    )
    episodes = found.all()
    called = [each for each in episodes if each.status == EpisodeStatus.REACHED]
    left = [each for each in episodes if each.status == EpisodeStatus.OPEN]

    def behind(rows: Sequence[Episode]) -> list[Behind]:
        return [
            Behind(
                "callback",
                row.id or 0,
                format_for_people(row.client_number) if row.client_number else "—",
                row.first_missed_at,
            )
            for row in rows
        ]

    return [
        _line("called_back", N_("Missed, called back"), len(called), behind(called)),
        _line("left", N_("Missed, left"), len(left), behind(left)),
    ]


async def _deals(session: AsyncSession, viewer: Viewer, who: int, asked: Asked) -> list[ReportLine]:
    funnel = await load_funnel(session)
    mine = (visible_deals(viewer), Deal.responsible_id == who)
    made = (
        await session.exec(
            select(Deal).where(*mine, col(Deal.created_at) >= asked.since, col(Deal.created_at) < asked.until)
        )
    ).all()
    closed = (
        await session.exec(
            select(Deal).where(
                *mine, stands_by_itself(), col(Deal.closed_at) >= asked.since, col(Deal.closed_at) < asked.until
            )
        )
    ).all()
    won = [deal for deal in closed if funnel.stages[deal.stage_id].kind == "won"]

    def behind(rows: Sequence[Deal]) -> list[Behind]:
        return [Behind("deal", row.id or 0, row.title, row.closed_at or row.created_at) for row in rows]

    amount = sum((deal.amount for deal in won if deal.amount is not None), Decimal(0))
    return [
        _line("deals", N_("Deals made"), len(made), behind(made)),
        _line("won", N_("Deals won"), len(won), behind(won)),
        _line(
            "won_amount",
            N_("Sum of the deals won"),
            amount,
            [replace(row, value=deal.amount) for row, deal in zip(behind(won), won, strict=True)],
        ),
        _line("lost", N_("Deals lost"), len(closed) - len(won), behind([deal for deal in closed if deal not in won])),
    ]


async def _tasks(session: AsyncSession, viewer: Viewer, who: int, asked: Asked) -> list[ReportLine]:
    mine = (visible_tasks(viewer), col(Task.part_of_id).is_(None), Task.assignee_id == who)
    done = (
        await session.exec(
            select(Task).where(
                *mine,
                Task.status == TaskStatus.DONE.value,
                col(Task.done_at) >= asked.since,
                col(Task.done_at) < asked.until,
            )
        )
    ).all()
    late = (
        await session.exec(select(Task).where(*mine, Task.status == TaskStatus.OPEN.value, Task.due_at <= asked.now))
    ).all()

    def behind(rows: Sequence[Task]) -> list[Behind]:
        return [Behind("task", row.id or 0, row.title, row.due_at) for row in rows]

    return [
        _line("tasks_done", N_("Tasks done"), len(done), behind(done)),
        _line("tasks_overdue", N_("Tasks overdue now"), len(late), behind(late)),
    ]


def _line(key: str, name: str, value: int | Decimal, behind: list[Behind]) -> ReportLine:
    return ReportLine(key, name, {"value": value}, {"value": behind})


OWN_KPI = Report(
    name="own_kpi",
    title=N_("My figures"),
    question=N_("My calls, callbacks, deals and tasks."),
    definition=N_(
        "Your calls with clients, your deals and your tasks in the period, and what was missed in it and yours to call back: a client who is "
        "missed again after that was settled counts again. What is overdue is as of now."
    ),
    dimensions={"figure": N_("By figure")},
    columns=(Column("value", N_("Value"), ColumnKind.COUNT, opens=True),),
    load=load,
    needs=Permission.OWN_PROFILE,
)
