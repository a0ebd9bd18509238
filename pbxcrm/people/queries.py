"""Queries on people."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Permission, Role, Viewer, may
from pbxcrm.people.access import sees_user, visible_users
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.people.models import Extension, LoginSession, MobileNumber, Team, User
from pbxcrm.shared.config_cache import VERSION_BESIDE, cached_until_changed, note_version
from pbxcrm.shared.core_sql import fetch
from pbxcrm.shared.db import UtcDateTime
from pbxcrm.shared.errors import Invalid, NotAllowed, NotFound


async def list_users(session: AsyncSession, viewer: Viewer) -> list[User]:
    """The people the viewer sees, by name; inactive ones come last."""
    found = await session.exec(
        select(User).where(visible_users(viewer)).order_by(col(User.is_active).desc(), col(User.name), col(User.id))
    )
    return list(found.all())


async def active_users(session: AsyncSession, viewer: Viewer) -> list[User]:
    """The active people the viewer sees, by name, from memory: the rows belong to no session and are not to be changed."""
    people = await load_directory(session)
    users = await cached_until_changed(session, _by_name)
    return [user for user in users if user.is_active and sees_user(viewer, user.id or 0, people)]


async def _by_name(session: AsyncSession) -> Sequence[User]:
    return (await session.exec(select(User).order_by(col(User.name), col(User.id)))).all()


async def list_teams(session: AsyncSession) -> list[Team]:
    """All teams by name."""
    return list((await session.exec(select(Team).order_by(col(Team.name)))).all())


async def access_user(session: AsyncSession, viewer: Viewer, user_id: int) -> User:
    """The person, if the viewer may see them. Raises NotFound."""
    user = (await session.exec(select(User).where(User.id == user_id, visible_users(viewer)))).first()
    if user is None:
        raise NotFound("people.not_found", "There is no such person, or they are not in your team.")
    return user


async def access_self(session: AsyncSession, viewer: Viewer) -> User:
    """The viewer's own row; raises NotAllowed if the account has been deactivated meanwhile."""
    user = await session.get(User, viewer.user_id)
    if user is None or not user.is_active:
        raise NotAllowed("people.gone", "Your account has been switched off.")
    return user


async def access_assignee(session: AsyncSession, viewer: Viewer, user_id: int, *, field: str) -> User:
    """An active person the viewer may assign things to; raises Invalid for the form field ``field``."""
    found = await session.exec(select(User).where(User.id == user_id, col(User.is_active), visible_users(viewer)))
    user = found.first()
    if user is None:
        raise Invalid(field, "people.not_found", "There is no such person, or they are not in your team.")
    return user


async def access_worker(
    session: AsyncSession, viewer: Viewer, user_id: int, *, field: str, permission: Permission = Permission.DEALS_EDIT
) -> User:
    """The same of somebody whose role has the ``permission`` to do the work; raises Invalid for the form field ``field``."""
    user = await access_assignee(session, viewer, user_id, field=field)
    if not may(user.role, permission):
        raise Invalid(field, "people.cannot_work", "Their role may not work on it. Choose somebody else.")
    return user


async def get_user_by_login(session: AsyncSession, login: str) -> User | None:
    """The person with this login (case does not matter); None if there is none."""
    return (await session.exec(select(User).where(User.login == login.strip().lower()))).first()


async def logins_of(session: AsyncSession, user_ids: Iterable[int | None]) -> dict[int | None, str]:
    """User id → login; None among the ids is skipped."""
    wanted = {user_id for user_id in user_ids if user_id is not None}
    found = await session.exec(select(User.id, User.login).where(col(User.id).in_(wanted)))
    return {user_id: login for user_id, login in found.all()}  # noqa: C416 (rows are no pairs to the type checker)


async def viewer_of(session: AsyncSession, user: User) -> Viewer:
    """The viewer for ``user``."""
    return _as_viewer(await load_directory(session), user)


def _as_viewer(people: Directory, user: User, session_id: int | None = None) -> Viewer:
    assert user.id is not None
    return Viewer(
        user_id=user.id,
        login=user.login,
        name=user.name,
        role=Role(user.role),
        team_id=user.team_id,
        managed_team_ids=people.teams_led_by(user),
        stands_in_for=people.stands_in_for(user.id),
        extensions=tuple(people.extensions.get(user.id, ())),
        language=user.language,
        theme=user.theme,
        popup=user.popup,
        sound=user.sound,
        notify=user.notify,
        quiet_desktop=user.quiet_desktop,
        session_id=session_id,
    )


def token_hash(token: str) -> str:
    """The SHA-256 of a token, which is stored instead of the token."""
    return hashlib.sha256(token.encode()).hexdigest()


# Built once: every request runs it, and every open stream every fifteen seconds.
_BY_SESSION = select(LoginSession.user_id, LoginSession.id, VERSION_BESIDE).where(
    LoginSession.token_hash == bindparam("token_hash"),
    col(LoginSession.revoked_at).is_(None),
    LoginSession.expires_at > bindparam("now", type_=UtcDateTime),
)


async def get_viewer_by_session(session: AsyncSession, token: str, now: datetime) -> Viewer | None:
    """The viewer for a session cookie, or None if it is unknown, expired or revoked."""
    asked = {"token_hash": token_hash(token), "now": now}
    for user_id, session_id, version in await fetch(session, _BY_SESSION, asked):
        note_version(session, version)
        people = await load_directory(session)
        user = people.active(user_id)
        return None if user is None else _as_viewer(people, user, session_id)
    return None


async def list_sessions(session: AsyncSession, user_id: int, now: datetime) -> list[LoginSession]:
    """The person's open sessions (one per browser), latest login first."""
    found = await session.exec(
        select(LoginSession)
        .where(LoginSession.user_id == user_id, col(LoginSession.revoked_at).is_(None), LoginSession.expires_at > now)
        .order_by(col(LoginSession.created_at).desc(), col(LoginSession.id).desc())
    )
    return list(found.all())


async def mobiles_of(session: AsyncSession, user_ids: list[int]) -> dict[int, list[str]]:
    """User id → mobile numbers (E.164)."""
    found: dict[int, list[str]] = {user_id: [] for user_id in user_ids}
    rows = await session.exec(
        select(MobileNumber).where(col(MobileNumber.user_id).in_(user_ids)).order_by(col(MobileNumber.number))
    )
    for row in rows.all():
        found[row.user_id].append(row.number)
    return found


async def extensions_of(session: AsyncSession, user_ids: list[int]) -> dict[int, list[str]]:
    """User id → extensions, in order."""
    found: dict[int, list[str]] = {user_id: [] for user_id in user_ids}
    rows = await session.exec(
        select(Extension).where(col(Extension.user_id).in_(user_ids)).order_by(col(Extension.number))
    )
    for row in rows.all():
        found[row.user_id].append(row.number)
    return found
