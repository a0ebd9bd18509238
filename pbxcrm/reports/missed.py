"""The report on missed calls (I5): callbacks whose clients got through by themselves, who were called back and how fast, who are left."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Viewer
from pbxcrm.callbacks.access import visible_episodes
from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.callbacks.queries import DecisionContext, load_context, working_of
from pbxcrm.callbacks.rules import was_dismissed, was_not_reached
from pbxcrm.calls.models import Line as PhoneLine
from pbxcrm.reports.grouping import day_of, hour_of, middle, of_person, percent, shared_in, split, valued
from pbxcrm.reports.report import Asked, Behind, Column, ColumnKind, Report, ReportLine, RowsBehind, Table
from pbxcrm.shared.numbers import format_for_people
from pbxcrm.shared.reasons import N_

NOBODY = N_("Nobody")
NO_LINE = N_("No line")


async def load(session: AsyncSession, viewer: Viewer, asked: Asked) -> Table:
    """Callbacks that began in the period and that the viewer may see, by phone line, hour, day or person."""
    context = await load_context(session)
    query = select(Episode).where(
        visible_episodes(viewer),
        col(Episode.first_missed_at) >= asked.since,
        col(Episode.first_missed_at) < asked.until,
    )
    query = query.where(*asked.of_people(Episode.owner_id))
    episodes = (await session.exec(query.order_by(col(Episode.first_missed_at)))).all()
    lines = {line.id: line.name for line in (await session.exec(select(PhoneLine))).all()}

    def key_of(episode: Episode) -> tuple[str, str]:
        if asked.by == "line":
            return str(episode.line_id or "none"), lines.get(episode.line_id, NO_LINE)
        if asked.by == "hour":
            return hour_of(episode.first_missed_at, asked.timezone)
        if asked.by == "day":
            return day_of(episode.first_missed_at, asked.timezone)
        return of_person(episode.owner_id, context.people.name(episode.owner_id), NOBODY)

    def line_of(key: str, name: str, group: Sequence[Episode]) -> ReportLine:
        return _line(key, name, group, context, asked.now)

    return split(episodes, key_of, line_of, lambda everything: line_of("", "", everything))


def _line(key: str, name: str, group: Sequence[Episode], context: DecisionContext, now: datetime) -> ReportLine:
    def of(*statuses: EpisodeStatus) -> list[Episode]:
        return [episode for episode in group if episode.status in statuses]

    counted = [episode for episode in group if not was_dismissed(episode)]
    given_up = [episode for episode in group if was_not_reached(episode)]
    lucky, reached, left = of(EpisodeStatus.RECOVERED), of(EpisodeStatus.REACHED), of(EpisodeStatus.OPEN)

    def waited(episode: Episode) -> float:
        return working_of(context, episode).minutes_between(episode.first_missed_at, episode.closed_at or now)

    norm = context.norm
    returned, late = [*lucky, *reached], [episode for episode in left if waited(episode) > norm]
    groups = {
        "missed": counted,
        "recovered": lucky,
        "reached": reached,
        "in_norm": [episode for episode in returned if waited(episode) <= norm],
        "judged": [*returned, *late, *given_up],
        "left": left,
        "not_reached": given_up,
        "dismissed": [episode for episode in group if was_dismissed(episode)],
    }
    values = {
        **{column: len(rows) for column, rows in groups.items()},
        "median_minutes": middle([waited(episode) for episode in reached]),
        "percent_returned": percent(len(returned), len(counted)),
    }
    behind = {
        **{column: RowsBehind(rows, _behind) for column, rows in groups.items()},
        "median_minutes": valued(reached, waited, _behind),
        "percent_returned": shared_in(counted, returned, _behind),
    }
    return ReportLine(key, name, values, behind)


def _behind(episode: Episode) -> Behind:
    title = format_for_people(episode.client_number) if episode.client_number else "—"
    return Behind("callback", episode.id or 0, title, episode.first_missed_at)


MISSED = Report(
    name="missed",
    title=N_("Missed calls"),
    question=N_("Whom did we miss, and who called them back, how fast?"),
    definition=N_(
        "Missed in the period and to be called back. A client who calls again while that is open still counts once; one who is missed "
        "again after it was settled counts again. Lucky: the client got through by themselves. "
        "Called back: we reached them; how fast is the median of working minutes from the first missed call to the talk. "
        "Returned in the norm: lucky or called back before the time was up, out of those we have talked to or whose time is up. "
        "Left: still open. Not reached: called as often as the schedule says, in vain. Those that somebody dismissed with a reason are shown apart and count nowhere else."
    ),
    dimensions={"owner": N_("By person"), "line": N_("By line"), "hour": N_("By hour"), "day": N_("By day")},
    columns=(
        Column("missed", N_("Missed"), ColumnKind.COUNT, opens=True),
        Column("recovered", N_("Lucky"), ColumnKind.COUNT, opens=True),
        Column("reached", N_("Called back"), ColumnKind.COUNT, opens=True),
        Column("in_norm", N_("Returned in the norm"), ColumnKind.COUNT, opens=True),
        Column("judged", N_("Judged by the norm"), ColumnKind.COUNT, opens=True),
        Column("median_minutes", N_("Called back within, median"), ColumnKind.MINUTES, opens=True),
        Column("left", N_("Left"), ColumnKind.COUNT, opens=True),
        Column("not_reached", N_("Not reached"), ColumnKind.COUNT, opens=True),
        Column("percent_returned", N_("Talked to"), ColumnKind.PERCENT, opens=True),
        Column("dismissed", N_("Dismissed"), ColumnKind.COUNT, opens=True),
    ),
    load=load,
    bar="missed",
)
