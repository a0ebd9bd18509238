"""Users, identified by their login."""

from typing import Literal

from pydantic import Field

from pbxcrm.access import Permission, Role
from pbxcrm.people.models import User
from pbxcrm.people.queries import extensions_of, list_teams, list_users, mobiles_of
from pbxcrm.shared.errors import NotFound
from web.api.fields import ApiAnswer, ShortListQuery, Word
from web.api.resource import Ask, Page, Resource

users = Resource("users", "Users: those of your own teams, or all for quality control and administrators.")


class UserOut(ApiAnswer):
    """A user, with the data that everybody may see."""

    login: str
    id: int
    name: str
    role: Role
    team: str | None
    extensions: list[str]
    mobiles: list[str] = Field(
        description="Telephones outside the PBX, in E.164; a call on one of them counts as one on the first extension."
    )
    is_active: bool = Field(description="Whether they may still log in.")


class UserQuery(ShortListQuery):
    """Which people; all conditions must hold."""

    role: Literal["seller", "manager", "qc", "admin"] | None = None
    q: Word | None = Field(None, description="A part of a name or login.")


@users.get("/users", needs=Permission.OWN_PROFILE, summary="People to whom you may assign work")
async def read_users(ask: Ask, query: UserQuery) -> Page[UserOut]:
    """All users, on one page unless you ask for less."""
    text = (query.q or "").casefold()
    rows = [
        user
        for user in await list_users(ask.session, ask.viewer)
        if query.role in {None, user.role} and (text in user.name.casefold() or text in user.login)
    ]
    return Page[UserOut].part_of(await _users(ask, rows), query)


@users.get("/users/{login}", needs=Permission.OWN_PROFILE, summary="One person")
async def read_user(ask: Ask, login: str) -> UserOut:
    rows = [user for user in await list_users(ask.session, ask.viewer) if user.login == login.lower()]
    if not rows:
        raise NotFound("people.not_found", "There is no such person, or they are not in your team.")
    return (await _users(ask, rows))[0]


async def _users(ask: Ask, rows: list[User]) -> list[UserOut]:
    ids = [user.id for user in rows if user.id is not None]
    extensions, mobiles = await extensions_of(ask.session, ids), await mobiles_of(ask.session, ids)
    teams = {team.id: team.name for team in await list_teams(ask.session)}
    return [
        UserOut(
            login=user.login,
            id=user.id or 0,
            name=user.name,
            role=Role(user.role),
            team=teams.get(user.team_id),
            extensions=extensions.get(user.id or 0, []),
            mobiles=mobiles.get(user.id or 0, []),
            is_active=user.is_active,
        )
        for user in rows
    ]
