"""Whose docks change with a call: those of the people whose phone rings or who talk (``reactions.apply_facts`` names them)."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.shared.events import emit


def say_dock_changed(
    session: AsyncSession, at: datetime, *user_ids: int | None, call_id: int | None = None, rings: bool = False
) -> None:
    """Tell these people's browsers to refresh their docks, in every tab: the card of one call, or all cards.

    With ``rings`` the event is urgent and goes before all others.
    """
    users = {user_id for user_id in user_ids if user_id is not None}
    if users:
        emit(session, "dock", call_id or "", at, users=users, urgent=rings)
