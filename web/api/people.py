"""The API names people by their login."""

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.people.queries import get_user_by_login
from pbxcrm.shared.errors import Invalid


async def user_id_of(session: AsyncSession, login: str | None, field: str) -> int | None:
    """The user id of a login; None for no login. Raises Invalid at ``field``. It does not check whether they may be assigned."""
    if login is None:
        return None
    user = await get_user_by_login(session, login)
    if user is None:
        raise Invalid(field, "people.not_found", "There is no such person, or they are not in your team.")
    return user.id
