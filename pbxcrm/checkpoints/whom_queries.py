"""Steps that ask somebody who cannot do what is asked: the same words where a step is entered and where it is stored.

A stored one asks the manager of whoever is responsible instead (``addressee_rules``), so nothing is lost meanwhile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import exists
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Role
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, TriggerKind
from pbxcrm.deals.models import Deal
from pbxcrm.people.directory import Directory
from pbxcrm.people.models import User
from pbxcrm.people.whom import has_left, named, takes_callbacks, works_for_others
from pbxcrm.shared.reasons import N_

SELLING = frozenset({Role.SELLER, Role.MANAGER})


@dataclass(frozen=True, slots=True)
class WhomFault:
    """Why a step cannot ask them, and what to do: the code and English text of an error, with its parameters."""

    code: str
    text: str
    params: Mapping[str, str] = field(default_factory=dict)


def fault_of_whom(whom: str, people: Directory, *, is_of_deal: bool) -> WhomFault | None:
    """The fault of asking them, whatever the deals are. ``is_of_deal``: for work on a deal, not for a callback."""
    if has_left(whom, people):
        return WhomFault("left", N_("This person has left. Choose somebody else."))
    if not is_of_deal and not takes_callbacks(whom, people):
        return WhomFault(
            "cannot_call",
            N_("They cannot call clients back. Choose the responsible, their manager, a seller or an administrator."),
        )
    if is_of_deal and not works_for_others(whom, people):
        return WhomFault(
            "cannot_work",
            N_("They cannot work on the deals of others. Choose the responsible, their manager or an administrator."),
        )
    return None


async def fault_of_team(
    session: AsyncSession, whom: str, people: Directory, *, stage_id: int | None, pipeline_id: int | None
) -> WhomFault | None:
    """The fault of a named manager who does not see all open deals of the stage or pipeline (None: of any), except those of administrators."""
    manager = named(whom, people)
    if manager is None or manager.role != Role.MANAGER or not manager.is_active:
        return None
    others = [
        user_id
        for user_id, user in people.users.items()
        if user.is_active and user.role in SELLING and manager.id not in people.managing(user_id)
    ]
    theirs = exists().where(col(Deal.responsible_id) == col(User.id), col(Deal.closed_at).is_(None))
    if stage_id is not None:
        theirs = theirs.where(col(Deal.stage_id) == stage_id)
    elif pipeline_id is not None:
        theirs = theirs.where(col(Deal.pipeline_id) == pipeline_id)
    found = (await session.exec(select(User).where(col(User.id).in_(others), theirs).limit(1))).first()
    if found is None:
        return None
    team = people.teams.get(found.team_id) if found.team_id is not None else None
    said = N_(
        "{who} cannot open the deals of {team}, which are watched here, too. Choose the manager of whoever is responsible, or an "
        "administrator."
    )
    return WhomFault("other_team", said, {"who": manager.name, "team": team.name if team is not None else found.name})


async def faults_of_steps(
    session: AsyncSession, people: Directory, stored: Sequence[tuple[Checkpoint, Sequence[CheckpointStep]]]
) -> dict[int | None, WhomFault]:
    """The faults of stored steps of switched-on checkpoints, by step id."""
    found: dict[int | None, WhomFault] = {}
    for row, steps in stored:
        is_of_deal = row.trigger != TriggerKind.CALLBACK
        for step in steps if row.is_active else ():
            fault = fault_of_whom(step.whom, people, is_of_deal=is_of_deal)
            if fault is None and is_of_deal:
                fault = await fault_of_team(
                    session, step.whom, people, stage_id=row.stage_id, pipeline_id=row.pipeline_id
                )
            if fault is not None:
                found[step.id] = fault
    return found
