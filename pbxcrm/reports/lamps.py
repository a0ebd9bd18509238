"""The report on lamps (I6): how many lit, how many were put out before escalation, how many reached the manager."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Viewer
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.checkpoints.access import visible_lamps
from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.checkpoints.rules import entry_of
from pbxcrm.deals.models import Deal
from pbxcrm.people.directory import load_directory
from pbxcrm.people.models import User
from pbxcrm.reports.grouping import middle, of_person, percent, split
from pbxcrm.reports.lamp_rows import LampRow, load_lamp_rows
from pbxcrm.reports.report import Asked, Behind, Column, ColumnKind, Report, ReportLine, Table
from pbxcrm.shared.numbers import format_for_people
from pbxcrm.shared.reasons import N_

NOBODY, CALLBACKS, NO_STAGE = N_("Nobody"), N_("Callbacks"), N_("No stage")
MOST = 50_000  # lamps in one report; users must split a longer period


@dataclass(frozen=True, slots=True)
class _Lit:
    """A lamp that lit in the period. ``went_on``: the same wait was escalated. ``minutes``: working minutes until it was put out."""

    row: LampRow
    went_on: bool
    minutes: float | None

    @property
    def lamp(self) -> Lamp:
        return self.row.lamp


async def load(session: AsyncSession, viewer: Viewer, asked: Asked) -> Table:
    """Lamps that lit in the period and that the viewer may see, by stage or by person; only the first ``MOST``."""
    people = await load_directory(session)
    calendars = await load_calendars(session, people)
    query = select(Lamp).where(
        visible_lamps(viewer),
        col(Lamp.lit_at) >= asked.since,
        col(Lamp.lit_at) < asked.until,
        *asked.of_people(Lamp.owner_id),
    )
    if asked.pipeline_id is not None:
        query = query.where(col(Lamp.deal_id).in_(select(Deal.id).where(Deal.pipeline_id == asked.pipeline_id)))
    lamps = (await session.exec(query.order_by(col(Lamp.lit_at), col(Lamp.id)).limit(MOST))).all()
    later = await session.exec(select(Lamp).where(col(Lamp.is_escalation), col(Lamp.lit_at) >= asked.since))
    escalated = {(lamp.checkpoint_id, entry_of(lamp)) for lamp in later.all()}
    rows = []
    for row in await load_lamp_rows(session, lamps):
        lamp = row.lamp
        until = lamp.out_at if lamp.state == LampState.OUT else None
        working = calendars.of_user(lamp.owner_id)
        minutes = working.minutes_between(lamp.lit_at, until) if until is not None and lamp.lit_at is not None else None
        went_on = (lamp.checkpoint_id, entry_of(lamp)) in escalated
        rows.append(_Lit(row, went_on, minutes))

    def key_of(each: _Lit) -> tuple[str, str]:
        if asked.by == "owner":
            return _person(each.row.owner)
        if each.row.stage is not None:
            return str(each.row.stage.id), each.row.stage.name
        return ("callbacks", CALLBACKS) if each.lamp.callback_id is not None else ("none", NO_STAGE)

    return split(rows, key_of, _line, lambda everything: _line("", "", everything))


def _person(owner: User | None) -> tuple[str, str]:
    return of_person(owner.id if owner is not None else None, owner.name if owner is not None else "", NOBODY)


def _line(key: str, name: str, lamps: Sequence[_Lit]) -> ReportLine:
    first = [each for each in lamps if not each.lamp.is_escalation]
    groups = {
        "lit": first,
        "in_time": [each for each in first if each.minutes is not None and not each.went_on],
        "burning": [each for each in first if each.lamp.state == LampState.BURNING],
        "escalated": [each for each in lamps if each.lamp.is_escalation],
    }
    values = {
        **{column: len(rows) for column, rows in groups.items()},
        "percent_in_time": percent(len(groups["in_time"]), len(first)),
        "median_minutes": middle([each.minutes for each in first if each.minutes is not None]),
    }
    return ReportLine(key, name, values, {column: [_behind(each) for each in rows] for column, rows in groups.items()})


def _behind(each: _Lit) -> Behind:
    row, lit_at = each.row, each.lamp.lit_at
    assert lit_at is not None
    if row.episode is not None:
        title = format_for_people(row.episode.client_number) if row.episode.client_number else "—"
        return Behind("callback", row.episode.id or 0, title, lit_at)
    return Behind("deal", row.deal.id or 0 if row.deal else 0, row.deal.title if row.deal else "—", lit_at)


LAMPS = Report(
    name="lamps",
    title=N_("Lamps"),
    definition=N_(
        "Lamps that lit in the period, of deals and of callbacks. Lit: whoever should have acted was asked. Out in time: work put it "
        "out before the manager was asked. With the manager: the next step asked the manager. Reaction is the median of working "
        "minutes from the lamp to the work, by the calendar of whoever's work it is. A lamp counts where the deal stood when it lit."
    ),
    dimensions={"stage": N_("By stage"), "owner": N_("By person")},
    columns=(
        Column("lit", N_("Lit"), ColumnKind.COUNT, opens=True),
        Column("in_time", N_("Out in time"), ColumnKind.COUNT, opens=True),
        Column("percent_in_time", N_("Share out in time"), ColumnKind.PERCENT),
        Column("median_minutes", N_("Reaction, median"), ColumnKind.MINUTES),
        Column("burning", N_("Burning now"), ColumnKind.COUNT, opens=True),
        Column("escalated", N_("With the manager"), ColumnKind.COUNT, opens=True),
    ),
    load=load,
    bar="lit",
)
