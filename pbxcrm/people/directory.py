"""All people, cached in memory: who has an extension, who is in which team, who answers for whom."""

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
    """All people, including inactive ones, for decisions that must not wait for a query."""

    users: dict[int, User]
    teams: dict[int, Team]
    by_extension: dict[str, int]  # extension -> user id
    extensions: dict[int, list[str]] = field(default_factory=dict)  # user id -> extensions
    by_mobile: dict[str, int] = field(default_factory=dict)  # E.164 -> user id

    def user_of(self, extension: str | None) -> User | None:
        """The active owner of the extension; None if there is none."""
        user_id = self.by_extension.get(extension or "")
        user = self.users.get(user_id) if user_id is not None else None
        return user if user is not None and user.is_active else None

    def called(self, extension: str) -> str:
        """An extension for use in a sentence: ``Ivan (101)``, or only ``101`` without an owner."""
        user = self.users.get(self.by_extension.get(extension, 0))
        return f"{user.name} ({extension})" if user is not None else extension

    def user_of_mobile(self, number: str | None) -> User | None:
        """The active owner of the mobile number (E.164); None if there is none."""
        return self.active(self.by_mobile.get(number or ""))

    def extension_of_mobile(self, number: str | None) -> str | None:
        """The first extension of the mobile's active owner; None if there is none."""
        user = self.user_of_mobile(number)
        return next(iter(self.extensions.get(user.id or 0, ())), None) if user is not None else None

    def active(self, user_id: int | None) -> User | None:
        """The active person with this id; None if there is none."""
        user = self.users.get(user_id) if user_id is not None else None
        return user if user is not None and user.is_active else None

    def with_cards(self, user_ids: Iterable[int | None]) -> set[int]:
        """The people among these who want call cards; the others need not give outcomes."""
        return {
            user_id
            for user_id in user_ids
            if user_id is not None and (user := self.users.get(user_id)) is not None and user.popup != PopupMode.OFF
        }

    def managers_of(self, user_id: int | None) -> list[User]:
        """Who answers for this person and sees what is theirs, in the order in which they are asked: the team's manager, the other
        managers who see it, administrators. For nobody (None): every manager, then administrators.
        """
        managers, admins = self._active_of[Role.MANAGER], self._active_of[Role.ADMIN]
        user = self.users.get(user_id) if user_id is not None else None
        if user is None or user_id is None:
            return [*managers, *admins]
        team = self.teams.get(user.team_id) if user.team_id is not None else None
        led_by, sees = team.manager_id if team is not None else None, self.managing(user_id)
        found = [each for each in (*managers, *admins) if each.id in sees or each.role == Role.ADMIN]
        return sorted((each for each in found if each.id != user_id), key=lambda each: each.id != led_by)

    def managers_of_team(self, team_id: int) -> list[User]:
        """The active managers who see a team's people: its own first, then those in it. If there are none, administrators are asked."""
        led_by, ours = self.teams[team_id].manager_id, self.of_team(team_id)
        found = [each for each in self._active_of[Role.MANAGER] if each.id in ours]
        return sorted(found, key=lambda each: each.id != led_by)

    @cached_property
    def _active_of(self) -> dict[Role, list[User]]:
        """Active managers and administrators by role; cached, because every fact of a call needs them."""
        found: dict[Role, list[User]] = {Role.MANAGER: [], Role.ADMIN: []}
        for _, user in sorted(self.users.items()):
            if user.is_active and user.role in found:
                found[Role(user.role)].append(user)
        return found

    def manager_of(self, user_id: int | None) -> User | None:
        """The first of ``managers_of``; None if there is none."""
        return next(iter(self.managers_of(user_id)), None)

    def team_of(self, user_id: int | None) -> set[int]:
        """Ids of everybody in this person's team and of its manager."""
        user = self.users.get(user_id) if user_id is not None else None
        if user is None:
            return set()
        return self._in_team[user.team_id] | {m.id for m in self.managers_of(user_id)[:1] if m.id is not None}

    def teammates(self, viewer: Viewer) -> set[int]:
        """The same as ``access.teammates``: ids of the viewer's own team and the teams they lead, including the viewer
        and those they stand in for.
        """
        return {viewer.user_id, *viewer.stands_in_for}.union(
            *(self._in_team.get(team_id, ()) for team_id in (viewer.team_id, *viewer.managed_team_ids))
        )

    def of_team(self, team_id: int) -> set[int]:
        """Ids of everybody in the team and of who leads it."""
        return self._in_team.get(team_id, set()) | self._over_team(team_id)

    def teams_led_by(self, user: User) -> tuple[int, ...]:
        """Ids of the teams that this person leads: those of which they are the manager, and, if they are one, those of each absent manager
        for whom they stand in, the manager's own team with them. The reverse of ``_over_team``.
        """
        found = [*self._teams_of_manager(user.id)]
        if user.role == Role.MANAGER:
            for absent in (self.users[user_id] for user_id in self.stands_in_for(user.id or 0)):
                if absent.role == Role.MANAGER:
                    found += [
                        *self._teams_of_manager(absent.id),
                        *([absent.team_id] if absent.team_id is not None else []),
                    ]
        return tuple(dict.fromkeys(found))

    def _teams_of_manager(self, user_id: int | None) -> list[int]:
        return [team_id for team_id, team in self.teams.items() if team.manager_id == user_id]

    def _over_team(self, team_id: int | None) -> set[int]:
        """Ids of the team's manager, and of every manager who stands in for a manager of the team."""
        team = self.teams.get(team_id) if team_id is not None else None
        if team is None:
            return set()
        leader = {team.manager_id} if team.manager_id is not None else set()
        heads = {each for each in (*leader, *self._in_team.get(team_id, ())) if self.users[each].role == Role.MANAGER}
        deputies = set().union(*(self.standing_in_for(each) for each in heads))
        return leader | {each for each in deputies if self.users[each].role == Role.MANAGER}

    def sharing_with(self, user_id: int) -> set[int]:
        """The reverse of ``teammates``: ids of the people who have this person among theirs."""
        return self._in_or_over_team_of(user_id) | self.standing_in_for(user_id)

    def _in_or_over_team_of(self, user_id: int) -> set[int]:
        user = self.users.get(user_id)
        if user is None:
            return {user_id}
        return self._in_team[user.team_id] | self._over_team(user.team_id)

    def managing(self, user_id: int) -> set[int]:
        """Ids of every manager who sees this person's rows by their position, including the person if they are a manager. A manager of
        another team who stands in for the person is none of them; who stands in for the manager of the person's team is one.
        """
        found = self._managing.get(user_id)
        if found is None:
            managers = {manager.id for manager in self._active_of[Role.MANAGER] if manager.id is not None}
            found = self._managing[user_id] = self._in_or_over_team_of(user_id) & managers
        return found

    def answering_for(self, *user_ids: int | None) -> set[int]:
        """Ids of these people, all their managers and who stands in for them: who sees their rows (``access.owned``)."""
        known = {user_id for user_id in user_ids if user_id is not None}
        return known.union(*(self.managing(user_id) | self.standing_in_for(user_id) for user_id in known))

    def stands_in_for(self, user_id: int) -> tuple[int, ...]:
        """Ids of the absent people for whom this person stands in, in order. Not whoever has left: their manager has what was theirs."""
        return self._stands_in_for.get(user_id, ())

    def standing_in_for(self, user_id: int) -> set[int]:
        """The reverse of ``stands_in_for``: the id of who stands in for this person; empty for nobody."""
        user = self.active(user_id)
        deputy = self.active(user.stood_in_by_id) if user is not None else None
        return {deputy.id} if deputy is not None and deputy.id is not None else set()

    @cached_property
    def _stands_in_for(self) -> dict[int, tuple[int, ...]]:
        found: dict[int, tuple[int, ...]] = {}
        for user_id in sorted(self.users):
            for deputy_id in self.standing_in_for(user_id):
                found[deputy_id] = (*found.get(deputy_id, ()), user_id)
        return found

    @cached_property
    def _managing(self) -> dict[int, set[int]]:
        """Cache of ``managing``, because every fact of a call needs it."""
        return {}

    @cached_property
    def _in_team(self) -> dict[int | None, set[int]]:
        found: dict[int | None, set[int]] = {}
        for user_id, user in self.users.items():
            found.setdefault(user.team_id, set()).add(user_id)
        return found

    def name(self, user_id: int | None) -> str:
        """A person's name, even if inactive; empty for nobody."""
        user = self.users.get(user_id) if user_id is not None else None
        return user.name if user is not None else ""

    def login(self, user_id: int | None) -> str | None:
        """A person's login, even if inactive; None for nobody."""
        user = self.users.get(user_id) if user_id is not None else None
        return user.login if user is not None else None


async def load_directory(session: AsyncSession) -> Directory:
    """The directory as it is now; cached until somebody changes it."""
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
