"""Messages that a firing wrote and that were held back: a firing is *done* only if none of its messages was."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.models import RunStep, StepStatus
from pbxcrm.shared.reasons import Reason, reason


async def held_back(session: AsyncSession, run_id: int | None) -> Sequence[Mapping[str, Any]]:
    """What the steps say whose messages were held back, stored Reasons."""
    query = select(RunStep.result).where(RunStep.run_id == run_id, RunStep.status == StepStatus.HELD.value)
    return (await session.exec(query.order_by(col(RunStep.id)))).all()


def why_held(results: Sequence[Mapping[str, Any]]) -> Reason:
    """Why a firing ended so, from what its steps say."""
    whys: list[Reason] = []
    for each in results:
        found = Reason.load(each)
        whys += [why for why in (found.because if found is not None else ()) if why not in whys]
    return reason("automation.held", *whys)
