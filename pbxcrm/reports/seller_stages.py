"""The report on sellers by stage (I4): in which stage whose deals go on less often than the team's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Viewer
from pbxcrm.deals.models import Deal, StageMove
from pbxcrm.deals.queries import load_funnel
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.reports.grouping import percent
from pbxcrm.reports.report import Asked, Behind, Column, ColumnKind, Report, ReportLine, RowsBehind, Table
from pbxcrm.reports.stage_stays import NOBODY, Exit, ReportedStages, StageStay, load_ways
from pbxcrm.shared.reasons import N_

FEWEST = 10  # deals of a person in a stage below which nobody is judged


async def load(session: AsyncSession, viewer: Viewer, asked: Asked) -> Table:
    """Stays that ended in the period, by person and stage, each compared with the person's team.

    The team is the whole one that the viewer may see, also when one person is asked for.
    """
    people, stages = await load_directory(session), ReportedStages.of(await load_funnel(session))
    # Joined, each deal once: with IN, PostgreSQL reads every deal there has ever been.
    within = (col(StageMove.at) >= asked.since, col(StageMove.at) < asked.until)
    moved = select(StageMove.deal_id).where(*within).distinct().subquery("moved")
    ended = [
        stay
        for _, stays in await load_ways(session, viewer, stages, moved.c.deal_id == col(Deal.id))
        for stay in stays
        if stay.left_at is not None
        and asked.since <= stay.left_at < asked.until
        and not stay.stage.is_closed
        and asked.pipeline_id in {None, stay.stage.pipeline_id}
    ]
    by_person: dict[tuple[int | None, int], list[StageStay]] = {}
    by_team: dict[tuple[int | None, int], list[StageStay]] = {}
    for stay in ended:
        stage_id = stay.stage.id
        by_person.setdefault((stay.deal.responsible_id, stage_id), []).append(stay)
        by_team.setdefault((_team_of(people, stay.deal.responsible_id), stage_id), []).append(stay)
    asked_for = [key for key in by_person if _is_asked(people, asked, key[0])]
    teams = {key: _Counted.of(by_team[key]) for key in {(_team_of(people, user_id), of) for user_id, of in asked_for}}
    lines = [
        _line(_Counted.of(by_person[user_id, stage_id]), teams[_team_of(people, user_id), stage_id], people, asked.by)
        for user_id, stage_id in asked_for
    ]
    everything = _Counted.of([stay for key in asked_for for stay in by_person[key]])
    totals = {**everything.values, "percent_team": None, "points": None}
    return Table(sorted(lines, key=_place(asked.by, stages)), ReportLine("", "", totals, everything.behind))


def _is_asked(people: Directory, asked: Asked, user_id: int | None) -> bool:
    is_team = asked.team_id is None or _team_of(people, user_id) == asked.team_id
    return is_team and asked.user_id in {None, user_id}


def _team_of(people: Directory, user_id: int | None) -> int | None:
    user = people.users.get(user_id or 0)
    return user.team_id if user is not None else None


def _line(own: "_Counted", team: "_Counted", people: Directory, by: str) -> ReportLine:
    stay = own.stays[0]
    person, stage = people.name(stay.deal.responsible_id) or NOBODY, stay.stage.name
    theirs, mine = team.values["percent_on"], own.values["percent_on"]
    is_judged = len(own.stays) >= FEWEST and mine is not None and theirs is not None
    values = {
        **own.values,
        "percent_team": theirs,
        "points": mine - theirs if is_judged and mine is not None and theirs is not None else None,
    }
    behind = {**own.behind, "percent_team": team.behind["percent_on"]}
    name, under = (stage, person) if by == "stage" else (person, stage)
    return ReportLine(f"{stay.deal.responsible_id or 0}-{stay.stage.id}", name, values, behind, under)


@dataclass(frozen=True, slots=True)
class _Counted:
    """Stays with their figures and the rows behind these. Those of a team stand behind the lines of all its people, so they are
    counted once.
    """

    stays: Sequence[StageStay]
    values: Mapping[str, int | None]
    behind: Mapping[str, Sequence[Behind]]

    @classmethod
    def of(cls, stays: Sequence[StageStay]) -> "_Counted":
        on = [stay for stay in stays if stay.exit is Exit.ADVANCED]
        lost = [stay for stay in stays if stay.exit is Exit.LOST]
        values = {"left": len(stays), "on": len(on), "lost": len(lost), "percent_on": percent(len(on), len(stays))}
        share = RowsBehind(stays, lambda stay: replace(_behind(stay), value=stay.exit is Exit.ADVANCED))
        rows = {"left": stays, "on": on, "lost": lost}
        behind = {column: RowsBehind(found, _behind) for column, found in rows.items()}
        return cls(stays, values, {**behind, "percent_on": share, "points": share})


def _place(by: str, stages: ReportedStages) -> Callable[[ReportLine], Any]:
    """The order of the lines: the worst difference first, or by name and then along the funnel."""

    def place(line: ReportLine) -> tuple[object, ...]:
        stage = stages.by_id[int(line.key.partition("-")[2])]
        along = (stage.pipeline_id, stage.order)
        if by == "difference":
            points = line.values["points"]
            return (points is None, points or 0, line.name, along)
        return (line.name, along) if by == "owner" else (along, line.under)

    return place


def _behind(stay: StageStay) -> Behind:
    return Behind("deal", stay.deal.id, stay.deal.title, stay.left_at or stay.entered_at)


SELLER_STAGES = Report(
    name="seller_stages",
    title=N_("Sellers by stage"),
    question=N_("In which stages do a seller's deals sink more often than the team's?"),
    definition=N_(
        "Deals that left a stage in the period, each time they left it, by whose they are now, and how many of them went on to a later "
        "stage. Each person is "
        "compared with their whole team in the same stage: the difference says where somebody's deals sink. With fewer than ten deals "
        "nobody is judged, and no difference is shown."
    ),
    dimensions={"difference": N_("Worst first"), "owner": N_("By person"), "stage": N_("By stage")},
    columns=(
        Column("left", N_("Deals that left it"), ColumnKind.COUNT, opens=True),
        Column("on", N_("Went on"), ColumnKind.COUNT, opens=True),
        Column("lost", N_("Lost"), ColumnKind.COUNT, opens=True),
        Column("percent_on", N_("Conversion"), ColumnKind.PERCENT, opens=True),
        Column("percent_team", N_("Conversion of the team"), ColumnKind.PERCENT, opens=True),
        Column("points", N_("Difference, points"), ColumnKind.COUNT, opens=True),
    ),
    load=load,
    by_pipeline=True,
)
