"""What is a person's and must be handed over when they leave: the numbers for the page on which they are switched off."""

from dataclasses import dataclass

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.models import AutomationRule
from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.checkpoints.access import is_burning
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, Lamp
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.distribution.models import DistributionRule
from pbxcrm.distribution.rules import Kind, members_of
from pbxcrm.people.directory import load_directory
from pbxcrm.people.models import Team, User
from pbxcrm.people.whom import USER
from pbxcrm.tasks.models import StageTask, Task, is_open

MOST = 1000  # nobody counts further; MOST + 1 stands for all larger numbers


@dataclass(frozen=True, slots=True)
class HeldWork:
    """``deals tasks callbacks``: the open ones, at most ``MOST`` + 1; ``lamps``: those about which they are asked. ``stages``: where a
    step or an automatic task names them; ``elsewhere``: how many steps that are of no stage do. ``manager``: who is asked instead.
    """

    deals: int
    tasks: int
    callbacks: int
    lamps: int
    stages: list[Stage]
    elsewhere: int
    rules: list[AutomationRule]  # that name them or tell them of failures
    distribution: list[DistributionRule]
    teams: list[Team]  # that they lead
    manager: User | None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is theirs."""
        named = (self.stages, self.rules, self.distribution, self.teams)
        return not any((self.deals, self.tasks, self.callbacks, self.lamps, self.elsewhere, *named))


async def handover_of(session: AsyncSession, user: User) -> HeldWork:
    """What is theirs now, whether or not they are switched off already."""
    user_id, whom = user.id or 0, f"{USER}{user.login}"
    people = await load_directory(session)

    async def number_of(column: object, *conditions: object) -> int:
        some = select(column).where(*conditions).limit(MOST + 1).subquery()  # type: ignore[call-overload]
        return int((await session.exec(select(func.count()).select_from(some))).one())

    of_steps = await session.exec(
        select(Checkpoint.stage_id)
        .join(CheckpointStep, col(CheckpointStep.checkpoint_id) == col(Checkpoint.id))
        .where(CheckpointStep.whom == whom, col(Checkpoint.is_active), col(Checkpoint.archived_at).is_(None))
    )
    asking = of_steps.all()
    of_tasks = await session.exec(select(StageTask.stage_id).where(StageTask.whom == whom, col(StageTask.active)))
    where = {stage_id for stage_id in (*asking, *of_tasks) if stage_id is not None}
    stages = select(Stage).where(col(Stage.id).in_(where), col(Stage.archived_at).is_(None))
    rules = await session.exec(select(AutomationRule).where(col(AutomationRule.archived_at).is_(None)))
    shares = await session.exec(select(DistributionRule).where(col(DistributionRule.deleted_at).is_(None)))
    return HeldWork(
        deals=await number_of(Deal.id, Deal.responsible_id == user_id, col(Deal.closed_at).is_(None)),
        tasks=await number_of(Task.id, Task.assignee_id == user_id, is_open()),
        callbacks=await number_of(Episode.id, Episode.owner_id == user_id, Episode.status == EpisodeStatus.OPEN),
        lamps=await number_of(Lamp.id, Lamp.addressee_id == user_id, is_burning()),
        stages=list((await session.exec(stages.order_by(col(Stage.pipeline_id), col(Stage.position)))).all()),
        elsewhere=sum(stage_id is None for stage_id in asking),
        rules=[each for each in rules if each.owner_id == user_id or any(whom in step.values() for step in each.steps)],
        distribution=[each for each in shares if _names(each, user_id)],
        teams=[team for team in people.teams.values() if team.manager_id == user_id],
        manager=next((each for each in people.managers_of(user_id) if each.id != user_id), None),
    )


def _names(rule: DistributionRule, user_id: int) -> bool:
    return any(each.kind is Kind.USER and each.id == user_id for each in members_of(rule))
