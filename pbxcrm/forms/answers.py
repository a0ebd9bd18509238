"""Whose message an e-mail answers: an upper context, which sends messages, registers how that is found."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.deals.models import Deal


@dataclass(frozen=True, slots=True)
class AnsweredMessage:
    """A message that we sent about a deal, and that an e-mail answers."""

    deal: Deal
    delivery_id: int
    subject: str


Find = Callable[[AsyncSession, Sequence[str]], Awaitable[AnsweredMessage | None]]
_find: list[Find] = []


def register_answers(find: Find) -> None:
    """Register who finds the message by the Message-IDs that an e-mail names, each without what follows its @."""
    _find[:] = [find]


async def answered_message(session: AsyncSession, message_ids: Sequence[str]) -> AnsweredMessage | None:
    """The message of ours that an e-mail answers, if it names one."""
    return await _find[0](session, message_ids) if _find and message_ids else None
