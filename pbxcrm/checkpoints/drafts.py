"""A new or changed checkpoint: the checks of what was entered (each error names its field), and the checked values, not stored yet."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.checkpoints.context import Watched
from pbxcrm.checkpoints.deal_facts import DATES
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, StepKind, TriggerKind, WorkKind
from pbxcrm.checkpoints.whom_queries import fault_of_team, fault_of_whom
from pbxcrm.deals.fields import BY_KEY
from pbxcrm.deals.models import Pipeline, Stage
from pbxcrm.deals.pipeline_rules import LONGEST_NORM
from pbxcrm.deals.rules import is_closing
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.people.whom import KNOWN, USER, is_whom
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import check_line, longest
from pbxcrm.shared.reasons import N_
from pbxcrm.shared.texts import one_line

MOST_STEPS = 10
MOST_ITEMS = 50  # of a checklist
LONGEST_ITEM = 200  # characters
LONGEST_MINUTES = LONGEST_NORM
LONGEST_OFFSET = 366 * 24 * 60


@dataclass(frozen=True, slots=True)
class StepChange:
    """A step as entered. ``after_minutes`` None in the first step means the norm of the stage."""

    after_minutes: int | None
    whom: str
    what: str
    text: str = ""
    checklist: tuple[str, ...] = ()


def check_name(name: str) -> str:
    """The name in one line. Raises Invalid at ``name``."""
    return check_line(name, Checkpoint.name, "name", "checkpoints.name", "Write a name of up to {most} characters.")


def check_trigger(kind: str, field: str, offset: int) -> None:
    """Check the trigger with its date field and offset. Raises Invalid at ``trigger``, ``date_field`` or ``offset``."""
    if kind not in set(TriggerKind):
        raise Invalid("trigger", "checkpoints.trigger", "Choose what is watched: a stage, a date or silence.")
    if kind == TriggerKind.DATE and field not in DATES:
        raise Invalid("date_field", "checkpoints.date", "Choose the date that is watched.").among(DATES)
    if abs(offset) > LONGEST_OFFSET:
        raise Invalid("offset", "checkpoints.offset", "A lamp lights at most a year before or after its date.")


def check_work(work: Sequence[str], trigger: str, talked_seconds: int) -> list[str]:
    """The kinds of work in the order of ``WorkKind``, each once. Raises Invalid at ``work`` or ``talked_seconds``.

    Nothing else can put out a lamp, so a stage or a date needs one; a conversation always ends a silence.
    """
    if not set(work) <= set(WorkKind) or (not work and trigger in {TriggerKind.STAGE, TriggerKind.DATE}):
        raise Invalid("work", "checkpoints.work", "Choose what counts as work.")
    if not 0 <= talked_seconds <= 24 * 3600:
        raise Invalid("talked_seconds", "checkpoints.talked", "A conversation that counts lasts at most a day.")
    return [kind.value for kind in WorkKind if kind in work]


def check_steps(
    steps: Sequence[StepChange],
    people: Directory,
    *,
    trigger: str,
    needs_minutes: bool,
    lacks_norm: bool = False,
    is_active: bool = True,
) -> list[StepChange]:
    """The checked steps. ``needs_minutes``: there is no stage whose norm the first step could use; ``lacks_norm``: the stage has none.
    Raises Invalid at ``steps``.

    A later step may come together with the one before it, and the first of a date at the date itself: after 0 minutes.
    """
    if not 1 <= len(steps) <= MOST_STEPS:
        raise Invalid("steps", "checkpoints.steps", "A checkpoint has one to {most} steps.", most=MOST_STEPS)
    if lacks_norm and steps[0].after_minutes is None:
        said = N_(
            "The stage has no norm. Say after how much working time the step comes, or give the stage a norm first."
        )
        raise Invalid("steps", "checkpoints.no_norm", said, position=0, part="after")
    first = TriggerKind(trigger) if trigger != TriggerKind.DATE else None
    return [
        _check_step(
            position,
            step,
            people,
            needs_minutes,
            waits_for=first if position == 0 else None,
            is_of_deal=trigger != TriggerKind.CALLBACK,
            is_active=is_active,
        )
        for position, step in enumerate(steps)
    ]


def _check_step(
    position: int,
    step: StepChange,
    people: Directory,
    needs_minutes: bool,
    waits_for: TriggerKind | None,
    is_of_deal: bool,
    is_active: bool,
) -> StepChange:
    """The checked step. ``waits_for``: it is the first one of such a checkpoint, which cannot light at once. ``is_of_deal``: it asks for
    work on a deal, not for a callback.

    The parameters of an error name the step and its part: ``position`` (from 0) and ``part``.
    """

    def refused(part: str, code: str, message: str, **params: str | int) -> Invalid:
        return Invalid("steps", f"checkpoints.{code}", message, position=position, part=part, **params)

    if step.after_minutes is None and (position or needs_minutes):
        raise refused("after", "after", N_("Say after how many working minutes the step comes."))
    if step.after_minutes is not None and not 0 <= step.after_minutes <= LONGEST_MINUTES:
        raise refused("after", "minutes", N_("A step comes after at most five years."))
    if step.after_minutes == 0 and waits_for is TriggerKind.STAGE:
        said = N_("Write at least a minute. What is to be done at once on entering is an automatic task of the stage.")
        raise refused("after", "at_once", said)
    if step.after_minutes == 0 and waits_for is not None:
        raise refused("after", "minutes", N_("The first step comes after at least a minute."))
    if step.what not in set(StepKind):
        raise refused("what", "what", N_("A step makes a task or a control task."))
    if step.whom.startswith(USER) and not is_whom(step.whom, people):
        raise refused(
            "whom", "nobody", N_("There is nobody with the login {login}."), login=step.whom.removeprefix(USER)
        )
    if not is_whom(step.whom, people):
        said = N_("Choose who is asked: the responsible, the manager, a role or a person.")
        raise refused("whom", "whom", said).among(KNOWN)
    fault = fault_of_whom(step.whom, people, is_of_deal=is_of_deal) if is_active else None
    if fault is not None:
        raise refused("whom", fault.code, fault.text)
    text = one_line(step.text)
    if len(text) > longest(CheckpointStep.text):
        raise refused("text", "text", N_("Write a text of up to {most} letters."), most=longest(CheckpointStep.text))
    items = tuple(line for line in (one_line(item) for item in step.checklist) if line)
    if len(items) > MOST_ITEMS or any(len(item) > LONGEST_ITEM for item in items):
        raise refused(
            "checklist",
            "checklist",
            N_("A checklist has at most {most} items of up to {longest} letters."),
            most=MOST_ITEMS,
            longest=LONGEST_ITEM,
        )
    return StepChange(step.after_minutes, step.whom, step.what, text, items)


def check_field(work: Collection[str], trigger: str, field: str, known: Collection[str]) -> str:
    """The field whose filling counts as work, or the date that is watched. Raises Invalid at ``field`` or ``work``."""
    if WorkKind.FIELD_FILLED in work and trigger == TriggerKind.DATE:
        raise Invalid(
            "work", "checkpoints.date_or_field", "A date is watched here, so no field can be watched: remove the field."
        )
    if WorkKind.FIELD_FILLED in work and trigger != TriggerKind.DATE and field not in known:
        raise Invalid("field", "checkpoints.field", "Choose the field whose filling is work.").among(known)
    return field


@dataclass(frozen=True, slots=True)
class CheckpointChange:
    """All values of a new or changed checkpoint. ``begin_now``: its clocks start now, also for deals that are already in the stage."""

    name: str
    trigger: str
    steps: Sequence[StepChange]
    work: Sequence[str] = ()
    pipeline_id: int | None = None
    stage_id: int | None = None
    field: str = ""
    offset_minutes: int = 0
    talked_seconds: int = 0
    is_active: bool = True
    begin_now: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A checked change: ``values`` are columns of ``Checkpoint``."""

    values: dict[str, Any]  # columns are of any type
    steps: list[StepChange]
    stage: Stage | None

    def watched(self, checkpoint_id: int | None = None) -> Watched:
        """The draft as the engine would load it, with the id of an existing checkpoint or as a new one. Belongs to no session."""
        steps = tuple(
            CheckpointStep(
                checkpoint_id=0,
                position=position,
                after_minutes=step.after_minutes,
                whom=step.whom,
                what=step.what,
                text=step.text,
            )
            for position, step in enumerate(self.steps)
        )
        return Watched(
            Checkpoint(id=checkpoint_id, **self.values), steps, self.stage.norm_minutes if self.stage else None
        )


async def check_change(session: AsyncSession, change: CheckpointChange, checkpoint_id: int | None = None) -> Draft:
    """Check a change, of an existing checkpoint or a new one. Raises Invalid at the wrong field.

    Whoever cannot work on these deals is refused only while it is switched on, so that it can always be switched off.
    """
    people = await load_directory(session)
    name = check_name(change.name)
    check_trigger(change.trigger, change.field, change.offset_minutes)
    work = check_work(change.work, change.trigger, change.talked_seconds)
    stage = await _place(session, change)
    is_of_stage = change.trigger == TriggerKind.STAGE
    steps = check_steps(
        change.steps,
        people,
        trigger=change.trigger,
        needs_minutes=change.trigger in {TriggerKind.SILENCE, TriggerKind.CALLBACK} or (is_of_stage and stage is None),
        lacks_norm=is_of_stage and change.is_active and stage is not None and stage.norm_minutes is None,
        is_active=change.is_active,
    )
    if change.is_active and change.trigger != TriggerKind.CALLBACK:
        await _check_teams(session, change, steps, people, checkpoint_id)
    values: dict[str, Any] = {
        "name": name,
        "field": check_field(work, change.trigger, change.field, BY_KEY),
        "trigger": change.trigger,
        "work": work,
        "talked_seconds": change.talked_seconds,
        "pipeline_id": stage.pipeline_id if stage else change.pipeline_id,
        "stage_id": change.stage_id,
        "offset_minutes": change.offset_minutes,
        "is_active": change.is_active,
    }
    if change.is_active:
        await _check_only_one(session, values, checkpoint_id)
    return Draft(values, steps, stage)


async def _check_only_one(session: AsyncSession, values: Mapping[str, Any], checkpoint_id: int | None) -> None:
    """Raises Invalid at ``trigger`` when another active checkpoint has the same clock: it watches the same place, date and work, so each
    deal would have two lamps and two tasks. Another norm for the same clock is another step.
    """
    same = ("trigger", "pipeline_id", "stage_id", "field", "offset_minutes", "talked_seconds")
    query = select(Checkpoint).where(
        *(getattr(Checkpoint, name).is_not_distinct_from(values[name]) for name in same),
        col(Checkpoint.is_active),
        col(Checkpoint.archived_at).is_(None),
        col(Checkpoint.id).is_distinct_from(checkpoint_id),
    )
    for other in (await session.exec(query)).all():
        if set(other.work) == set(values["work"]):
            said = N_("“{name}” watches the same already. Add a step there, or choose other work.")
            raise Invalid("trigger", "checkpoints.twice", said, name=other.name)


async def _check_teams(
    session: AsyncSession,
    change: CheckpointChange,
    steps: Sequence[StepChange],
    people: Directory,
    checkpoint_id: int | None,
) -> None:
    """Raises Invalid at a step that is new in naming a manager who does not see all deals that are watched now."""
    query = select(CheckpointStep.whom).where(CheckpointStep.checkpoint_id == checkpoint_id)
    known = set((await session.exec(query)).all()) if checkpoint_id is not None else set()
    for position, step in enumerate(steps):
        if step.whom in known:
            continue
        fault = await fault_of_team(
            session, step.whom, people, stage_id=change.stage_id, pipeline_id=change.pipeline_id
        )
        if fault is not None:
            code = f"checkpoints.{fault.code}"
            raise Invalid("steps", code, fault.text, position=position, part="whom", **fault.params)


async def _place(session: AsyncSession, change: CheckpointChange) -> Stage | None:
    """The stage of the change, None without one. Raises Invalid at ``stage_id`` or ``pipeline_id``."""
    if change.stage_id is not None:
        stage = await session.get(Stage, change.stage_id)
        if stage is None or stage.archived_at is not None:
            raise Invalid("stage_id", "deals.no_stage", "There is no such stage any more.")
        if change.pipeline_id not in {None, stage.pipeline_id}:
            raise Invalid("pipeline_id", "deals.other_pipeline", "The stage belongs to another pipeline.")
        if is_closing(stage) and change.is_active:
            said = N_("Deals are closed in this stage, so nothing is watched there. Choose another stage.")
            raise Invalid("stage_id", "checkpoints.closing", said)
        return stage
    if change.trigger == TriggerKind.STAGE:
        raise Invalid("stage_id", "checkpoints.stage", "Choose the stage that is watched.")
    if change.pipeline_id is not None and await session.get(Pipeline, change.pipeline_id) is None:
        raise Invalid("pipeline_id", "pipelines.not_found", "There is no such pipeline.")
    return None
