"""What is read of people."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from sqlalchemy import bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer, visible_users
from pbxcrm.people.models import Extension, LoginSession, MobileNumber, PopupMode, Role, Team, User
from pbxcrm.shared.config_cache import cached_until_changed
from pbxcrm.shared.core_sql import fetch
from pbxcrm.shared.db import UtcDateTime
from pbxcrm.shared.errors import Invalid, NotAllowed, NotFound


@dataclass(frozen=True)
class Directory:
    """All people at once, for decisions that must not wait for a query each. Inactive people are in it, marked so."""

    users: dict[int, User]
    teams: dict[int, Team]
    by_extension: dict[str, int]  # extension -> user id
    extensions: dict[int, list[str]] = field(default_factory=dict)  # user id -> extensions
    by_mobile: dict[str, int] = field(default_factory=dict)  # E.164 -> user id

    def user_of(self, extension: str | None) -> User | None:
        """Whose extension it is; None for nobody, and for somebody who has left."""
        user_id = self.by_extension.get(extension or "")
        user = self.users.get(user_id) if user_id is not None else None
        return user if user is not None and user.is_active else None

    def user_of_mobile(self, number: str | None) -> User | None:
        """Whose mobile the number (E.164) is; None where it is nobody's or they are switched off."""
        return self.active(self.by_mobile.get(number or ""))

    def extension_of_mobile(self, number: str | None) -> str | None:
        """The first extension of whose mobile it is."""
        user = self.user_of_mobile(number)
        return next(iter(self.extensions.get(user.id or 0, ())), None) if user is not None else None

    def active(self, user_id: int | None) -> User | None:
        """The person, unless they have left."""
        user = self.users.get(user_id) if user_id is not None else None
        return user if user is not None and user.is_active else None

    def with_cards(self, user_ids: Iterable[int | None]) -> set[int]:
        """Those of them who want call cards; the others are not asked how their calls ended."""
        return {
            user_id
            for user_id in user_ids
            if user_id is not None and (user := self.users.get(user_id)) is not None and user.popup != PopupMode.OFF
        }

    def managers_of(self, user_id: int | None) -> list[User]:
        """Who answers for this person: the team's manager, else managers of the same team, else any manager, else an admin."""
        user = self.users.get(user_id) if user_id is not None else None
        team = self.teams.get(user.team_id) if user is not None and user.team_id is not None else None
        named = self.active(team.manager_id) if team is not None else None
        if named is not None and named.id != user_id:
            return [named]
        managers = [u for u in self._active_of[Role.MANAGER] if u.id != user_id]
        same_team = [u for u in managers if user is not None and u.team_id == user.team_id]
        return same_team or managers or [u for u in self._active_of[Role.ADMIN] if u.id != user_id]

    @cached_property
    def _active_of(self) -> dict[Role, list[User]]:
        """Those who may answer for others, by role; found once, for each fact of a call asks for them."""
        found: dict[Role, list[User]] = {Role.MANAGER: [], Role.ADMIN: []}
        for _, user in sorted(self.users.items()):
            if user.is_active and user.role in found:
                found[Role(user.role)].append(user)
        return found

    def manager_of(self, user_id: int | None) -> User | None:
        """The manager of the person's team, or None."""
        return next(iter(self.managers_of(user_id)), None)

    def team_of(self, user_id: int | None) -> set[int]:
        """Ids of everybody in this person's team and of those who manage it."""
        user = self.users.get(user_id) if user_id is not None else None
        if user is None:
            return set()
        return self._in_team[user.team_id] | {m.id for m in self.managers_of(user_id) if m.id is not None}

    def teammates(self, viewer: Viewer) -> set[int]:
        """The same as ``access.teammates``: ids of one's own team and of those one manages, oneself among them."""
        return {viewer.user_id}.union(
            *(self._in_team.get(team_id, ()) for team_id in (viewer.team_id, *viewer.managed_team_ids))
        )

    @cached_property
    def _in_team(self) -> dict[int | None, set[int]]:
        found: dict[int | None, set[int]] = {}
        for user_id, user in self.users.items():
            found.setdefault(user.team_id, set()).add(user_id)
        return found

    def audience(self, *user_ids: int | None) -> set[int]:
        """Who may hear of what concerns these people: themselves and whoever manages them."""
        known = {user_id for user_id in user_ids if user_id is not None}
        return known | {
            manager.id for user_id in known for manager in self.managers_of(user_id) if manager.id is not None
        }

    def name(self, user_id: int | None) -> str:
        """Their name, empty for nobody."""
        user = self.users.get(user_id) if user_id is not None else None
        return user.name if user is not None else ""

    def login(self, user_id: int | None) -> str | None:
        """Their login, None for nobody."""
        user = self.users.get(user_id) if user_id is not None else None
        return user.login if user is not None else None


async def load_directory(session: AsyncSession) -> Directory:
    """As it is now; read anew only once somebody has changed it."""
    return await cached_until_changed(session, _read_directory)


async def _read_directory(session: AsyncSession) -> Directory:
    users = {user.id: user for user in (await session.exec(select(User))).all() if user.id is not None}
    teams = {team.id: team for team in (await session.exec(select(Team))).all() if team.id is not None}
    by_extension: dict[str, int] = {}
    extensions: dict[int, list[str]] = {}
    for row in (await session.exec(select(Extension).order_by(col(Extension.number)))).all():
        by_extension[row.number] = row.user_id
        extensions.setdefault(row.user_id, []).append(row.number)
    by_mobile = {row.number: row.user_id for row in (await session.exec(select(MobileNumber))).all()}
    return Directory(users, teams, by_extension, extensions, by_mobile)


async def list_users(session: AsyncSession, viewer: Viewer) -> list[User]:
    """Everybody whom the viewer may see, by name; those who have left come last."""
    found = await session.exec(
        select(User).where(visible_users(viewer)).order_by(col(User.is_active).desc(), col(User.name), col(User.id))
    )
    return list(found.all())


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
    """The viewer's own row; raises NotAllowed when it has been switched off since they were recognised."""
    user = await session.get(User, viewer.user_id)
    if user is None or not user.is_active:
        raise NotAllowed("people.gone", "Your account has been switched off.")
    return user


async def access_assignee(session: AsyncSession, viewer: Viewer, user_id: int, *, field: str) -> User:
    """Somebody the viewer may give things to; raises Invalid at ``field`` of the form."""
    found = await session.exec(select(User).where(User.id == user_id, col(User.is_active), visible_users(viewer)))
    user = found.first()
    if user is None:
        raise Invalid(field, "people.not_found", "There is no such person, or they are not in your team.")
    return user


async def get_user_by_login(session: AsyncSession, login: str) -> User | None:
    """The person with this login, in any case of letters; None when there is none."""
    return (await session.exec(select(User).where(User.login == login.strip().lower()))).first()


async def logins_of(session: AsyncSession, user_ids: Iterable[int | None]) -> dict[int | None, str]:
    """The logins of these people; None (nobody) has none."""
    wanted = {user_id for user_id in user_ids if user_id is not None}
    found = await session.exec(select(User.id, User.login).where(col(User.id).in_(wanted)))
    return {user_id: login for user_id, login in found.all()}  # noqa: C416 (rows are no pairs to the type checker)


async def viewer_of(session: AsyncSession, user: User) -> Viewer:
    """``user`` as the access module wants to know them."""
    return _as_viewer(await load_directory(session), user)


def _as_viewer(people: Directory, user: User, session_id: int | None = None) -> Viewer:
    assert user.id is not None
    return Viewer(
        user_id=user.id,
        login=user.login,
        name=user.name,
        role=Role(user.role),
        team_id=user.team_id,
        managed_team_ids=tuple(team_id for team_id, team in people.teams.items() if team.manager_id == user.id),
        extensions=tuple(people.extensions.get(user.id, ())),
        language=user.language,
        theme=user.theme,
        popup=user.popup,
        sound=user.sound,
        notify=user.notify,
        session_id=session_id,
    )


def token_hash(token: str) -> str:
    """What is stored of a token: its SHA-256; the token itself is nowhere."""
    return hashlib.sha256(token.encode()).hexdigest()


# Built once: every request asks this, and every open stream each fifteen seconds.
_BY_SESSION = select(LoginSession.user_id, LoginSession.id).where(
    LoginSession.token_hash == bindparam("token_hash"),
    col(LoginSession.revoked_at).is_(None),
    LoginSession.expires_at > bindparam("now", type_=UtcDateTime),
)


async def get_viewer_by_session(session: AsyncSession, token: str, now: datetime) -> Viewer | None:
    """The person behind a session cookie, or None when it is unknown, expired or revoked."""
    for user_id, session_id in await fetch(session, _BY_SESSION, {"token_hash": token_hash(token), "now": now}):
        people = await load_directory(session)
        user = people.active(user_id)
        return None if user is None else _as_viewer(people, user, session_id)
    return None


async def list_sessions(session: AsyncSession, user_id: int, now: datetime) -> list[LoginSession]:
    """Browsers this person is logged in with, the one that logged in last first."""
    found = await session.exec(
        select(LoginSession)
        .where(LoginSession.user_id == user_id, col(LoginSession.revoked_at).is_(None), LoginSession.expires_at > now)
        .order_by(col(LoginSession.created_at).desc(), col(LoginSession.id).desc())
    )
    return list(found.all())


async def mobiles_of(session: AsyncSession, user_ids: list[int]) -> dict[int, list[str]]:
    """Their mobile numbers (E.164), by person."""
    found: dict[int, list[str]] = {user_id: [] for user_id in user_ids}
    rows = await session.exec(
        select(MobileNumber).where(col(MobileNumber.user_id).in_(user_ids)).order_by(col(MobileNumber.number))
    )
    for row in rows.all():
        found[row.user_id].append(row.number)
    return found


async def extensions_of(session: AsyncSession, user_ids: list[int]) -> dict[int, list[str]]:
    """Each person's extensions, in order."""
    found: dict[int, list[str]] = {user_id: [] for user_id in user_ids}
    rows = await session.exec(
        select(Extension).where(col(Extension.user_id).in_(user_ids)).order_by(col(Extension.number))
    )
    for row in rows.all():
        found[row.user_id].append(row.number)
    return found
