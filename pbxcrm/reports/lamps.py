"""The report on lamps (I6): how many lit, how many were put out before escalation, how many reached the manager."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select
from sqlalchemy import select as columns
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Viewer
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.callbacks.models import Episode
from pbxcrm.checkpoints.access import visible_lamps
from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.checkpoints.relighting import is_reaction
from pbxcrm.checkpoints.rules import clock_key
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import load_funnel
from pbxcrm.people.directory import load_directory
from pbxcrm.reports.grouping import counted_rows, middle, of_person, percent, shared_in, split, valued
from pbxcrm.reports.report import Asked, Behind, Column, ColumnKind, Report, ReportLine, RowsBehind, Table
from pbxcrm.shared.core_sql import fetch
from pbxcrm.shared.numbers import format_for_people
from pbxcrm.shared.reasons import N_

NOBODY, CALLBACKS, NO_STAGE = N_("Nobody"), N_("Callbacks"), N_("No stage")


@dataclass(frozen=True, slots=True)
class _LitLamp:
    """A lamp that lit in the period. ``went_on``: a later step of the same wait asked a manager. ``minutes``: working minutes until it
    was put out.
    """

    owner_id: int | None
    stage_id: int | None
    callback_id: int | None
    deal_id: int | None
    about: str | None  # the deal's title or the client's number
    lit_at: datetime
    is_burning: bool
    is_out_by_rules: bool
    is_first: bool
    is_escalation: bool
    went_on: bool
    minutes: float | None


async def load(session: AsyncSession, viewer: Viewer, asked: Asked) -> Table:
    """Lamps that lit in the period and that the viewer may see, by stage or by person."""
    people, funnel = await load_directory(session), await load_funnel(session)
    calendars = await load_calendars(session, people)
    waits, went_up = (col(Lamp.checkpoint_id), col(Lamp.entry)), col(Lamp.is_escalation) & (col(Lamp.step) > 0)
    later = await fetch(session, columns(*waits).where(went_up, col(Lamp.lit_at) >= asked.since))
    escalated = {(checkpoint_id, clock_key(entry)) for checkpoint_id, entry in later}
    lit = []
    for lamp in await counted_rows(session, _lit_then(viewer, asked)):
        until = lamp.out_at if lamp.state == LampState.OUT and is_reaction(lamp.out_reason) else None
        working = calendars.of_user(lamp.owner_id)
        lit.append(
            _LitLamp(
                lamp.owner_id,
                lamp.stage_id,
                lamp.callback_id,
                lamp.deal_id,
                lamp.client_number if lamp.callback_id is not None else lamp.title,
                lamp.lit_at,
                lamp.state == LampState.BURNING,
                lamp.state == LampState.OUT and not is_reaction(lamp.out_reason),
                lamp.step == 0,
                lamp.is_escalation,
                (lamp.checkpoint_id, clock_key(lamp.entry)) in escalated,
                working.minutes_between(lamp.lit_at, until) if until is not None else None,
            )
        )

    def key_of(each: _LitLamp) -> tuple[str, str]:
        if asked.by == "owner":
            return of_person(each.owner_id, people.name(each.owner_id), NOBODY)
        stage = funnel.stages.get(each.stage_id)
        if stage is not None:
            return str(stage.id), stage.name
        return ("callbacks", CALLBACKS) if each.callback_id is not None else ("none", NO_STAGE)

    return split(lit, key_of, _line, lambda everything: _line("", "", everything))


def _lit_then(viewer: Viewer, asked: Asked) -> Select[*tuple[Any, ...]]:
    lamp = (
        Lamp.owner_id,
        Lamp.stage_id,
        Lamp.callback_id,
        Lamp.deal_id,
        Lamp.lit_at,
        Lamp.out_at,
        Lamp.out_reason,
        Lamp.state,
        Lamp.step,
        Lamp.is_escalation,
    )
    query = (
        columns(
            *(col(each) for each in (*lamp, Lamp.checkpoint_id, Lamp.entry)),
            col(Deal.title),
            col(Episode.client_number),
        )
        .select_from(Lamp)
        .join(Deal, col(Deal.id) == col(Lamp.deal_id), isouter=True)
        .join(Episode, col(Episode.id) == col(Lamp.callback_id), isouter=True)
        .where(
            visible_lamps(viewer),
            col(Lamp.lit_at) >= asked.since,
            col(Lamp.lit_at) < asked.until,
            *asked.of_people(Lamp.owner_id),
        )
        .order_by(col(Lamp.lit_at), col(Lamp.id))
    )
    return query.where(col(Deal.pipeline_id) == asked.pipeline_id) if asked.pipeline_id is not None else query


def _line(key: str, name: str, lamps: Sequence[_LitLamp]) -> ReportLine:
    first = [each for each in lamps if each.is_first]
    judged = [each for each in first if not each.is_out_by_rules]
    reactions = [each for each in first if each.minutes is not None]
    groups = {
        "lit": first,
        "in_time": [each for each in reactions if not each.went_on],
        "burning": [each for each in first if each.is_burning],
        "escalated": [each for each in lamps if each.is_escalation and not each.is_first],
    }
    values = {
        **{column: len(rows) for column, rows in groups.items()},
        "percent_in_time": percent(len(groups["in_time"]), len(judged)),
        "median_minutes": middle([each.minutes for each in reactions if each.minutes is not None]),
    }
    behind = {
        **{column: RowsBehind(rows, _behind) for column, rows in groups.items()},
        "percent_in_time": shared_in(judged, groups["in_time"], _behind),
        "median_minutes": valued(reactions, lambda each: each.minutes, _behind),
    }
    return ReportLine(key, name, values, behind)


def _behind(each: _LitLamp) -> Behind:
    if each.callback_id is not None:
        return Behind("callback", each.callback_id, format_for_people(each.about) if each.about else "—", each.lit_at)
    return Behind("deal", each.deal_id or 0, each.about or "—", each.lit_at)


LAMPS = Report(
    name="lamps",
    title=N_("Lamps"),
    question=N_("Who reacts to lamps in time, and what reaches the manager?"),
    definition=N_(
        "Lamps that lit in the period, of deals and of callbacks. Lit: the first step of a wait asked somebody, or two people together. "
        "Out in time: work put it out before a later step asked the manager. With the manager: a later step asked the manager. Reaction is the median of working "
        "minutes from the lamp to the work, by the calendar of whoever's work it is. What went out because a checkpoint, a norm or a stage was changed or deals were "
        "merged is no reaction and not in the share. A lamp counts where the deal stood when it lit."
    ),
    dimensions={"stage": N_("By stage"), "owner": N_("By person")},
    by_pipeline=True,
    columns=(
        Column("lit", N_("Lit"), ColumnKind.COUNT, opens=True),
        Column("in_time", N_("Out in time"), ColumnKind.COUNT, opens=True),
        Column("percent_in_time", N_("Share out in time"), ColumnKind.PERCENT, opens=True),
        Column("median_minutes", N_("Reaction, median"), ColumnKind.MINUTES, opens=True),
        Column("burning", N_("Burning now"), ColumnKind.COUNT, opens=True),
        Column("escalated", N_("With the manager"), ColumnKind.COUNT, opens=True),
    ),
    load=load,
    bar="lit",
)
