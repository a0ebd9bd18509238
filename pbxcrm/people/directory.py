"""All people at once, kept in memory: whose extension that is, who is in whose team, who answers for whom."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Role, Viewer
from pbxcrm.people.models import Extension, MobileNumber, PopupMode, Team, User
from pbxcrm.shared.config_cache import cached_until_changed


@dataclass(frozen=True)
class Directory:
    """All people at once, for decisions that must not wait for a query each. Inactive people are in it, marked so."""

    users: dict[int, User]
    teams: dict[int, Team]
    by_extension: dict[str, int]  # extension -> user id
    extensions: dict[int, list[str]] = field(default_factory=dict)  # user id -> extensions
    by_mobile: dict[str, int] = field(default_factory=dict)  # E.164 -> user id

    def user_of(self, extension: str | None) -> User | None:
        """Whose the extension is; None where it is nobody's or its owner is switched off."""
        user_id = self.by_extension.get(extension or "")
        user = self.users.get(user_id) if user_id is not None else None
        return user if user is not None and user.is_active else None

    def called(self, extension: str) -> str:
        """``Ivan (101)``: an extension as a sentence names it; by itself where it is nobody's."""
        user = self.users.get(self.by_extension.get(extension, 0))
        return f"{user.name} ({extension})" if user is not None else extension

    def user_of_mobile(self, number: str | None) -> User | None:
        """Whose mobile the number (E.164) is; None where it is nobody's or they are switched off."""
        return self.active(self.by_mobile.get(number or ""))

    def extension_of_mobile(self, number: str | None) -> str | None:
        """The first extension of whose mobile it is."""
        user = self.user_of_mobile(number)
        return next(iter(self.extensions.get(user.id or 0, ())), None) if user is not None else None

    def active(self, user_id: int | None) -> User | None:
        """The person of this id; None where there is none or they are switched off."""
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
        """The first of the managers who answer for a person; None where there is none."""
        return next(iter(self.managers_of(user_id)), None)

    def team_of(self, user_id: int | None) -> set[int]:
        """Ids of everybody in this person's team and of those who manage it."""
        user = self.users.get(user_id) if user_id is not None else None
        if user is None:
            return set()
        return self._in_team[user.team_id] | {m.id for m in self.managers_of(user_id) if m.id is not None}

    def teammates(self, viewer: Viewer) -> set[int]:
        """The same as ``access.teammates``: ids of one's own team and of those one leads, oneself among them."""
        return {viewer.user_id}.union(
            *(self._in_team.get(team_id, ()) for team_id in (viewer.team_id, *viewer.managed_team_ids))
        )

    def sharing_with(self, user_id: int) -> set[int]:
        """The same the other way round: whose ``teammates`` this person is among."""
        user = self.users.get(user_id)
        if user is None:
            return {user_id}
        team = self.teams.get(user.team_id) if user.team_id is not None else None
        leader = {team.manager_id} if team is not None and team.manager_id is not None else set()
        return self._in_team[user.team_id] | leader

    def managing(self, user_id: int) -> set[int]:
        """Ids of every manager who sees what is this person's, themselves among them where they are one."""
        found = self._managing.get(user_id)
        if found is None:
            managers = {manager.id for manager in self._active_of[Role.MANAGER] if manager.id is not None}
            found = self._managing[user_id] = self.sharing_with(user_id) & managers
        return found

    def answering_for(self, *user_ids: int | None) -> set[int]:
        """These people themselves and every manager of theirs: who sees what is theirs (``access.owned``)."""
        known = {user_id for user_id in user_ids if user_id is not None}
        return known.union(*(self.managing(user_id) for user_id in known))

    @cached_property
    def _managing(self) -> dict[int, set[int]]:
        """Found once for each: every fact of a call asks."""
        return {}

    @cached_property
    def _in_team(self) -> dict[int | None, set[int]]:
        found: dict[int | None, set[int]] = {}
        for user_id, user in self.users.items():
            found.setdefault(user.team_id, set()).add(user_id)
        return found

    def name(self, user_id: int | None) -> str:
        """A person's name, also of one who is switched off; empty for nobody."""
        user = self.users.get(user_id) if user_id is not None else None
        return user.name if user is not None else ""

    def login(self, user_id: int | None) -> str | None:
        """A person's login, also of one who is switched off; None for nobody."""
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
