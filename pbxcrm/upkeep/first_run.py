"""The steps a new installation still needs. Facts in the database tick a step. Steps that cannot be seen there (“the shipped
working hours are right for us”) can be confirmed by the administrator.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlmodel import col, exists, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check, may
from pbxcrm.audit.actions import record
from pbxcrm.audit.models import AuditEntry
from pbxcrm.calls.models import Call
from pbxcrm.pbx.queries import pbx_statuses
from pbxcrm.pbx.state import PbxState
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.runtime_options import Options, load_options, save_option


class FirstRunStep(StrEnum):
    """The steps of the first run, in order."""

    PBX = "pbx"  # a PBX from the settings is listened to, or has been heard
    CALL = "call"  # a call has been heard
    PEOPLE = "people"  # somebody who takes calls has an extension
    HOURS = "hours"  # a calendar was changed, or the shipped one is right
    STAGES = "stages"  # a pipeline or stage was changed, or the shipped ones are right


ESSENTIAL = frozenset({FirstRunStep.PBX, FirstRunStep.CALL, FirstRunStep.PEOPLE})
KEEPABLE = frozenset({FirstRunStep.HOURS, FirstRunStep.STAGES})
# What the database knows, asked at once: an administrator's every page counts what is left.
_FACTS = (FirstRunStep.CALL, FirstRunStep.HOURS, FirstRunStep.STAGES)
_WHICH = select(
    exists(select(Call.id).limit(1)),
    exists(select(AuditEntry.id).where(col(AuditEntry.entity) == "calendar").limit(1)),
    exists(select(AuditEntry.id).where(col(AuditEntry.entity).in_(("pipeline", "stage"))).limit(1)),
)


@dataclass(frozen=True, slots=True)
class FirstRun:
    """The state of the first run. ``done``: finished steps; ``put_away``: the administrator wants no reminder."""

    done: frozenset[FirstRunStep]
    put_away: bool

    @property
    def left(self) -> int:
        """How many steps remain."""
        return len(FirstRunStep) - len(self.done)

    @property
    def comes_by_itself(self) -> bool:
        """Whether the page opens by itself: an essential step is missing, and nobody has put the page away."""
        return not self.put_away and not self.done >= ESSENTIAL


async def load_first_run(session: AsyncSession, configured: Sequence[str]) -> FirstRun:
    """Find out which steps are done. ``configured``: the names of the PBXs in the settings."""
    return await _look(session, configured, await load_options(session))


async def _look(session: AsyncSession, configured: Sequence[str], options: Options) -> FirstRun:
    done = {FirstRunStep(name) for name in options.first_run_kept if name in KEEPABLE}
    heard = {
        status.pbx
        for status in await pbx_statuses(session)
        if status.last_event_at is not None or status.state == PbxState.LISTENING
    }
    if heard & set(configured):
        done.add(FirstRunStep.PBX)
    people = await load_directory(session)
    if any(
        user.is_active and may(user.role, Permission.CALLBACKS_WORK) and people.extensions.get(user_id)
        for user_id, user in people.users.items()
    ):
        done.add(FirstRunStep.PEOPLE)
    done |= {step for step, there in zip(_FACTS, (await session.exec(_WHICH)).one(), strict=True) if there}
    return FirstRun(frozenset(done), options.first_run_put_away)


async def count_left(session: AsyncSession, configured: Sequence[str]) -> int:
    """The number of remaining steps for the navigation; 0 once the page was put away."""
    options = await load_options(session)
    return 0 if options.first_run_put_away else (await _look(session, configured, options)).left


async def keep_as_it_is(session: AsyncSession, viewer: Viewer, step: str, now: datetime) -> None:
    """Tick a step whose shipped settings the administrator confirms. Raises Invalid for a step that facts tick."""
    check(viewer, Permission.SETTINGS_EDIT)
    if step not in KEEPABLE:
        raise Invalid("step", "first_run.step", "This step is ticked by itself once it is done.")
    options = await load_options(session)
    if step not in options.first_run_kept:
        await save_option(session, options, "first_run_kept", (*options.first_run_kept, step))
        record(session, now, "first_run.kept", "options", step, actor=viewer)


async def put_away(session: AsyncSession, viewer: Viewer, now: datetime, *, away: bool) -> None:
    """Stop opening the page by itself and counting its steps in the navigation; ``away`` False: start again."""
    check(viewer, Permission.SETTINGS_EDIT)
    options = await load_options(session)
    if options.first_run_put_away != away:
        await save_option(session, options, "first_run_put_away", away)
        record(session, now, "first_run.put_away", "options", "first_run", actor=viewer, away=away)
