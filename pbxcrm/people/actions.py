"""Adds and edits people, their extensions and teams, and ends sessions."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Role, Viewer, check, leads
from pbxcrm.audit.actions import record
from pbxcrm.people.api_tokens import revoke_tokens
from pbxcrm.people.hooks import access_ended, person_changed
from pbxcrm.people.login_throttle import ACCOUNT_WINDOW
from pbxcrm.people.models import Extension, FailedLogin, LoginSession, MobileNumber, PopupMode, Team, User
from pbxcrm.people.queries import access_self, get_user_by_login, token_hash
from pbxcrm.people.rules import check_extensions, check_login, check_name
from pbxcrm.shared.db import lock
from pbxcrm.shared.errors import Invalid, NotFound
from pbxcrm.shared.events import emit
from pbxcrm.shared.reasons import Reason, reason


async def add_user(
    session: AsyncSession,
    actor: Viewer | None = None,
    *,
    login: str,
    name: str,
    role: str,
    password_hash: str,
    extensions: Iterable[str] = (),
    mobiles: Iterable[str] = (),
    team: str | int | None = None,
    language: str = "",
    now: datetime | None = None,
) -> User:
    """Add a person. ``team`` is an id or a name (a new name creates the team). ``actor`` None: by the command line.
    ``password_hash`` comes from ``passwords.hash_password``, called before this transaction.

    Raises Invalid for a wrong field; then nothing is stored.
    """
    at = now or datetime.now(UTC)
    if actor is not None:
        check(actor, Permission.PEOPLE_EDIT)
    login, name, role = check_login(login), check_name(name), _check_role(role)
    wanted = check_extensions(list(extensions))
    if await get_user_by_login(session, login) is not None:
        raise Invalid("login", "people.login_taken", "The login “{login}” is taken.", login=login)
    await check_free(session, wanted, None)
    user = User(login=login, name=name, role=role, password_hash=password_hash, language=language, created_at=at)
    user.team_id = await _team_id(session, team)
    session.add(user)
    await session.flush()
    assert user.id is not None
    for extension in wanted:
        session.add(Extension(number=extension, user_id=user.id))
    await _set_mobiles(session, user.id, mobiles)
    record(
        session,
        at,
        "user.added",
        "user",
        user.id,
        actor=actor,
        reason=_by_command_line(actor),
        login=login,
        role=role,
        extensions=wanted,
    )
    say_people_changed(session, at)
    await session.flush()
    return user


async def edit_user(
    session: AsyncSession,
    actor: Viewer,
    user_id: int,
    *,
    name: str,
    role: str,
    extensions: Iterable[str],
    mobiles: Iterable[str] | None = None,
    team: str | int | None,
    is_active: bool = True,
    password_hash: str = "",
    now: datetime,
    begin_now: bool = False,
) -> User:
    """Change a person; ``begin_now``: lamps that would be late only by the hours of another team are counted from now. An empty ``password_hash`` keeps the password. A person who is deactivated or gets a new password is
    logged out everywhere at once, and their API tokens are revoked.
    """
    check(actor, Permission.PEOPLE_EDIT)
    user = await session.get(User, user_id)
    if user is None:
        raise NotFound("people.not_found", "There is no such person, or they are not in your team.")
    wanted = check_extensions(list(extensions))
    await check_free(session, wanted, user_id)
    role = _check_role(role)
    loses_admin = user.role == Role.ADMIN and (role != Role.ADMIN or not is_active)
    if loses_admin and not await _other_admins(session, user_id):
        raise Invalid("role", "people.last_admin", "This is the last administrator: make somebody else one first.")
    before = (user.role, user.team_id, user.is_active)
    user.name, user.role = check_name(name), role
    user.team_id, user.is_active = await _team_id(session, team), is_active
    if password_hash:
        user.password_hash = password_hash
    had = set((await session.exec(select(Extension.number).where(Extension.user_id == user_id))).all())
    await session.exec(delete(Extension).where(col(Extension.user_id) == user_id, col(Extension.number).not_in(wanted)))
    for extension in wanted:
        if extension not in had:
            session.add(Extension(number=extension, user_id=user_id))
    if mobiles is not None:
        await _set_mobiles(session, user_id, mobiles)
    if not is_active or password_hash:
        await end_access(session, user_id, now, but=actor.session_id)
    record(
        session,
        now,
        "user.edited",
        "user",
        user_id,
        actor=actor,
        role=user.role,
        extensions=wanted,
        is_active=is_active,
        team_id=user.team_id,
    )
    say_people_changed(session, now)
    if before != (user.role, user.team_id, user.is_active):
        await session.flush()
        await person_changed(session, user_id, now, begin_now)
    return user


async def _set_mobiles(session: AsyncSession, user_id: int, mobiles: Iterable[str]) -> None:
    """Set the person's mobile numbers (E.164); raises Invalid if one belongs to somebody else."""
    wanted = set(mobiles)
    known = {
        row.number: row
        for row in await session.exec(
            select(MobileNumber).where(or_(col(MobileNumber.user_id) == user_id, col(MobileNumber.number).in_(wanted)))
        )
    }
    for number in sorted(wanted):
        if number not in known:
            session.add(MobileNumber(number=number, user_id=user_id))
        elif known[number].user_id != user_id:
            raise Invalid("mobiles", "people.mobile_taken", "{number} is somebody else's already.", number=number)
    for number, row in known.items():
        if number not in wanted:
            await session.delete(row)


async def edit_profile(
    session: AsyncSession,
    viewer: Viewer,
    *,
    name: str,
    language: str,
    theme: str,
    popup: str,
    sound: bool,
    notify: bool,
    now: datetime,
) -> None:
    """Change one's own name, language and display settings. Raises Invalid."""
    user = await access_self(session, viewer)
    user.name = check_name(name)
    if language not in {"", "en", "uk", "ru"}:
        raise Invalid("language", "people.language", "Choose one of the languages.")
    if theme not in {"auto", "light", "dark"}:
        raise Invalid("theme", "people.theme", "Choose light, dark or automatic.")
    if popup not in set(PopupMode):
        raise Invalid("popup", "people.popup", "Choose when the card shall pop up.")
    user.language, user.theme, user.popup = language, theme, popup
    user.sound, user.notify = sound, notify
    record(session, now, "user.profile", "user", viewer.user_id, actor=viewer)


async def save_team(
    session: AsyncSession,
    actor: Viewer,
    *,
    name: str,
    manager_id: int | None,
    now: datetime,
    team_id: int | None = None,
) -> Team:
    """Add a team, or change the one with ``team_id``. Raises Invalid, NotFound."""
    check(actor, Permission.PEOPLE_EDIT)
    name = check_name(name)
    team = await session.get(Team, team_id) if team_id is not None else Team(name=name)
    if team is None:
        raise NotFound("people.no_team", "There is no such team.")
    await lock(session, f"team:{name.lower()}")
    other = (await session.exec(select(Team).where(func.lower(Team.name) == name.lower()))).first()
    if other is not None and other.id != team_id:
        raise Invalid("name", "people.team_taken", "There is a team “{name}” already.", name=name)
    if manager_id is not None:
        manager = await session.get(User, manager_id)
        if manager is None or not leads(manager.role):
            raise Invalid(
                "manager_id", "people.not_manager", "A team is led by somebody with the role manager or admin."
            )
    team.name, team.manager_id = name, manager_id
    session.add(team)
    await session.flush()
    record(session, now, "team.saved", "team", team.id, actor=actor, name=name, manager_id=manager_id)
    say_people_changed(session, now)
    return team


async def log_out(session: AsyncSession, token: str, now: datetime) -> None:
    """Log this browser out, in all its tabs; does nothing if it is already logged out."""
    found = await session.exec(
        select(LoginSession).where(LoginSession.token_hash == token_hash(token), col(LoginSession.revoked_at).is_(None))
    )
    row = found.first()
    if row is not None:
        row.revoked_at = now
        _say_session_ended(session, row.user_id, now)


async def revoke_session(session: AsyncSession, viewer: Viewer, session_id: int, now: datetime) -> None:
    """Log one of the viewer's own browsers out. Raises NotFound."""
    found = await session.exec(
        select(LoginSession).where(LoginSession.id == session_id, LoginSession.user_id == viewer.user_id)
    )
    row = found.first()
    if row is None:
        raise NotFound("people.no_session", "This browser is logged out already.")
    row.revoked_at = now
    _say_session_ended(session, viewer.user_id, now)


async def end_access(session: AsyncSession, user_id: int, now: datetime, *, but: int | None = None) -> None:
    """Log a person out everywhere, except for the session ``but``, and end their tokens and secret addresses."""
    await revoke_sessions(session, user_id, now, but=but)
    await revoke_tokens(session, user_id, now)
    await access_ended(session, user_id, now)


async def revoke_sessions(session: AsyncSession, user_id: int, now: datetime, *, but: int | None = None) -> None:
    """Log a user out everywhere, except in the session ``but``."""
    await session.exec(
        update(LoginSession)
        .where(
            col(LoginSession.user_id) == user_id,
            col(LoginSession.revoked_at).is_(None),
            col(LoginSession.id) != (but or 0),
        )
        .values(revoked_at=now)
    )
    _say_session_ended(session, user_id, now)


async def prune_logins(session: AsyncSession, now: datetime) -> None:
    """Delete sessions that expired a month ago, and old failed logins."""
    await session.exec(delete(LoginSession).where(col(LoginSession.expires_at) < now - timedelta(days=30)))
    await session.exec(delete(FailedLogin).where(col(FailedLogin.at) < now - ACCOUNT_WINDOW))


async def check_free(session: AsyncSession, extensions: list[str], user_id: int | None) -> None:
    """Check that the extensions belong to nobody else than the user. Raises Invalid at ``extensions``, with whose one is."""
    found = await session.exec(
        select(Extension.number, User.name)
        .join(User, col(User.id) == col(Extension.user_id))
        .where(col(Extension.number).in_(extensions), col(Extension.user_id) != (user_id or 0))
    )
    taken = found.first()
    if taken is not None:
        raise Invalid(
            "extensions",
            "people.extension_taken",
            "Extension {extension} belongs to {name}.",
            extension=taken[0],
            name=taken[1],
        )


async def _team_id(session: AsyncSession, team: str | int | None) -> int | None:
    if team is None or team == "":
        return None
    if isinstance(team, int):
        if await session.get(Team, team) is None:
            raise Invalid("team", "people.no_team", "There is no such team.")
        return team
    name = check_name(team)
    await lock(session, f"team:{name.lower()}")  # else two requests at once would both find none
    found = (await session.exec(select(Team).where(func.lower(Team.name) == name.lower()))).first()
    if found is None:
        found = Team(name=name)
        session.add(found)
        await session.flush()
    return found.id


async def _other_admins(session: AsyncSession, user_id: int) -> bool:
    found = await session.exec(
        select(User.id).where(User.role == Role.ADMIN.value, col(User.is_active), col(User.id) != user_id).limit(1)
    )
    return found.first() is not None


def _check_role(role: str) -> str:
    if role not in set(Role):
        raise Invalid("role", "people.role", "The role is one of seller, manager, qc, admin.")
    return role


def _by_command_line(actor: Viewer | None) -> Reason | None:
    return reason("by.command_line") if actor is None else None


def say_people_changed(session: AsyncSession, at: datetime) -> None:
    """Tell every open page that a role, a team, a name or who stands in for whom has changed."""
    emit(session, "people", "", at, roles=[role.value for role in Role])


def _say_session_ended(session: AsyncSession, user_id: int, at: datetime) -> None:
    emit(session, "session", user_id, at, users=[user_id])
