"""Takes from cards of calls what would bring an erased client back by an undo."""

from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.hooks import Erasing
from pbxcrm.screenpop.audience import say_dock_changed
from pbxcrm.screenpop.models import WrapUp
from pbxcrm.shared.core_sql import one_of
from pbxcrm.shared.locking import lock_rows


async def erase_from_cards(session: AsyncSession, erasing: Erasing) -> None:
    """Handler of ``contact_erasing``: what an outcome made may hold the number. A card that is open shows it."""
    for card in await lock_rows(session, WrapUp, one_of(session, col(WrapUp.call_id), erasing.held.calls)):
        card.made = {}
        if card.done_at is None:
            say_dock_changed(session, erasing.at, card.user_id, call_id=card.call_id)
