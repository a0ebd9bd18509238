"""Who is asked while somebody is away, said before their leave is saved and afterwards. Nothing is written."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Role
from pbxcrm.calendars.models import Leave
from pbxcrm.checkpoints.addressee_rules import Addressee, addressee_of
from pbxcrm.checkpoints.context import EngineContext, load_engine
from pbxcrm.people.models import Team
from pbxcrm.people.whom import MANAGER, RESPONSIBLE


@dataclass(frozen=True, slots=True)
class LeaveLook:
    """Who is asked meanwhile. ``own``: about the person's own work. ``escalations``: about what reaches the manager of each team whose
    escalations are theirs.
    """

    own: Addressee
    escalations: Sequence[tuple[Team | None, Addressee]]


async def who_is_asked(
    session: AsyncSession, user_id: int, deputy_id: int | None, at: datetime, *, is_saved: bool = False
) -> LeaveLook:
    """Who is asked at ``at``, within the leave. ``is_saved``: the leave is among the stored ones, whose deputies then count."""
    context = await load_engine(session)
    then = context if is_saved else _with_leave(context, user_id, deputy_id, at)
    people = context.people
    samples: dict[int | None, int] = {}
    for owner_id, user in sorted(people.users.items()):
        if user.is_active and user.role == Role.SELLER:
            samples.setdefault(user.team_id, owner_id)
    found = [
        (people.teams.get(team_id) if team_id is not None else None, addressee_of(then, MANAGER, owner_id, at))
        for team_id, owner_id in samples.items()
        if (manager := people.manager_of(owner_id)) is not None and manager.id == user_id
    ]
    return LeaveLook(addressee_of(then, RESPONSIBLE, user_id, at), found)


async def asked_during(session: AsyncSession, leave: Leave, now: datetime) -> LeaveLook:
    """Who is asked during a stored leave, now or when it begins."""
    return await who_is_asked(session, leave.user_id, leave.deputy_id, max(now, leave.starts_at), is_saved=True)


def _with_leave(context: EngineContext, user_id: int, deputy_id: int | None, at: datetime) -> EngineContext:
    known = context.calendars.leaves
    new = Leave(user_id=user_id, starts_at=at, ends_at=at + timedelta(seconds=1), deputy_id=deputy_id)
    leaves = {**known, user_id: (new, *known.get(user_id, ()))}
    return replace(context, calendars=replace(context.calendars, leaves=leaves))
