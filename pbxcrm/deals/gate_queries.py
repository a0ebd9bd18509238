"""The one gate: whether a deal may enter a stage. ``actions.do_move_deal`` and ``creation_actions`` ask it for every deal."""

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.deals.field_queries import empty_fields
from pbxcrm.deals.gate_rules import GateFacts, check_gate
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.deals.pipeline_rules import Requirements
from pbxcrm.deals.queries import has_open_task
from pbxcrm.deals.rules import check_enters, is_closing
from pbxcrm.deals.second_deal_queries import others_there
from pbxcrm.shared.hooks import Question
from pbxcrm.shared.lengths import check_optional_text

#: True when this open deal must not be closed before its next task is set.
next_task_missing = Question[Deal]("deals.next_task_missing")
#: Whether the deal of this id has at least so many files.
has_files = Question[int, int]("deals.has_files")


async def check_may_enter(
    session: AsyncSession, deal: Deal, to: Stage, lost_reason: str = "", *, asks_second: bool = False
) -> str:
    """Check that ``deal`` may enter ``to``. A deal without an id is one that is not stored yet: it has no tasks and no files.
    ``asks_second``: it would become open in this pipeline, and a person can be asked whether a second open deal of the client is meant.

    Returns the stripped ``lost_reason``. Raises Conflict for a merged deal, Invalid for an archived stage and for a ``lost_reason``
    that is too long, and GateRefused with everything that ``to`` requires and the deal lacks.
    """
    check_enters(deal, to)
    lost_reason = check_optional_text(lost_reason, Deal.lost_reason, "lost_reason")
    asked, is_stored = Requirements.load(to.requires), deal.id is not None
    facts = GateFacts(
        lost_reason,
        is_stored and is_closing(to) and await next_task_missing(session, deal),
        is_stored and asked.next_task and await has_open_task(session, deal),
        bool(asked.files) and not (is_stored and await has_files(session, deal.id or 0, asked.files)),
        asks_second and bool(await others_there(session, deal, to.pipeline_id)),
        *await empty_fields(session, deal, asked.fields),
    )
    check_gate(to, facts)
    return lost_reason
