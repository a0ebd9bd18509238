"""The data that every decision about lamps needs: people, calendars and the active checkpoints, cached in memory until one changes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.queries import Calendars, load_calendars
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, TriggerKind, WorkKind
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.deals.rules import is_closing
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared import reasons
from pbxcrm.shared.config_cache import cached_until_changed


@dataclass(frozen=True, slots=True)
class Watched:
    """An active checkpoint with its steps in order. ``norm``: the norm of its stage in working minutes."""

    checkpoint: Checkpoint
    steps: tuple[CheckpointStep, ...]
    norm: int | None = None

    @property
    def id(self) -> int:
        """The id of the checkpoint; 0 for one that is not stored."""
        return self.checkpoint.id or 0

    @property
    def minutes(self) -> tuple[float, ...] | None:
        """The working minutes of each step. None if the first step has none because its stage has no norm: then nothing is watched."""
        first = self.steps[0].after_minutes if self.steps else None
        if first is None:
            first = self.norm
        if first is None and self.checkpoint.trigger == TriggerKind.DATE:
            first = 0
        if first is None or not self.steps:
            return None
        return (first, *(step.after_minutes or 0 for step in self.steps[1:]))

    @property
    def only_asks_for_field(self) -> bool:
        """Whether it waits for nothing but a field: then it watches a deal only while that is empty."""
        kinds = set(self.checkpoint.work) - {WorkKind.STAGE_MOVED.value}
        return self.checkpoint.trigger == TriggerKind.STAGE and kinds == {WorkKind.FIELD_FILLED.value}

    def watches_date(self, name: str) -> bool:
        """Whether it watches this one of ``deal_facts.DATES``."""
        return self.checkpoint.trigger == TriggerKind.DATE and self.checkpoint.field == name


@dataclass(frozen=True, slots=True)
class Watching:
    """Every active checkpoint, by id and by what it watches."""

    by_id: Mapping[int, Watched]
    of_deals: Sequence[Watched]
    of_callbacks: Watched | None

    def of_stage(self, pipeline_id: int, stage_id: int) -> list[Watched]:
        """The checkpoints that watch deals in this stage."""
        return [
            each
            for each in self.of_deals
            if each.checkpoint.stage_id in {None, stage_id} and each.checkpoint.pipeline_id in {None, pipeline_id}
        ]

    def unwatched(self, stages: Iterable[Stage]) -> frozenset[int]:
        """The ids of those stages in which nobody is reminded of an open deal."""
        return frozenset(
            stage.id or 0
            for stage in stages
            if not is_closing(stage) and not self.of_stage(stage.pipeline_id, stage.id or 0)
        )

    def watches_date(self, name: str) -> bool:
        """Whether any checkpoint watches this one of ``deal_facts.DATES``."""
        return any(each.watches_date(name) for each in self.of_deals)

    def of_deal(self, deal: Deal) -> list[Watched]:
        """The checkpoints that watch the deal in its current stage; none for a closed deal."""
        return self.of_stage(deal.pipeline_id, deal.stage_id) if deal.closed_at is None else []


async def load_watching(session: AsyncSession) -> Watching:
    """The active checkpoints, from a cache that is reloaded after a change."""
    return await cached_until_changed(session, _read)


async def _read(session: AsyncSession) -> Watching:
    rows = await session.exec(
        select(Checkpoint)
        .where(col(Checkpoint.is_active), col(Checkpoint.archived_at).is_(None))
        .order_by(col(Checkpoint.id))
    )
    steps: dict[int, list[CheckpointStep]] = {}
    for step in (await session.exec(select(CheckpointStep).order_by(col(CheckpointStep.position)))).all():
        steps.setdefault(step.checkpoint_id, []).append(step)
    norms = dict((await session.exec(select(Stage.id, Stage.norm_minutes))).all())
    found = [Watched(row, tuple(steps.get(row.id or 0, ())), norms.get(row.stage_id)) for row in rows.all()]
    return Watching(
        {each.id: each for each in found},
        [each for each in found if each.checkpoint.trigger != TriggerKind.CALLBACK and each.minutes is not None],
        next((each for each in found if each.checkpoint.trigger == TriggerKind.CALLBACK), None),
    )


@dataclass(frozen=True, slots=True)
class EngineContext:
    """People, calendars and active checkpoints, as every decision about lamps needs them."""

    people: Directory
    calendars: Calendars
    watching: Watching

    def working_of(self, owner_id: int | None) -> WorkingTime:
        """The working time by which norms of this owner run: the calendar of their team."""
        owner = self.people.users.get(owner_id) if owner_id is not None else None
        return self.calendars.of_team(owner.team_id if owner is not None else None)

    def check_hours(self, owner_id: int | None, *, of_team: bool) -> None:
        """Raise ValueError where the hours of the owner or their team cannot be read: a lamp is not lit by hours that may be wrong."""
        broken = self.calendars.broken_of(owner_id, of_team=of_team)
        if broken is not None:
            raise ValueError(reasons.text(broken.why))


async def load_engine(session: AsyncSession) -> EngineContext:
    """Load the context in this session."""
    people = await load_directory(session)
    return EngineContext(people, await load_calendars(session, people), await load_watching(session))
