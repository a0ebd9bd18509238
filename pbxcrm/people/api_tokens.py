"""API tokens for programs, each with a name, an optional expiry, and the rights of its owner."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, count

from sqlalchemy import or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, can, check
from pbxcrm.audit.actions import record
from pbxcrm.people.models import ApiToken, User
from pbxcrm.people.queries import token_hash
from pbxcrm.shared.errors import Conflict, Invalid, NotFound
from pbxcrm.shared.lengths import check_line
from pbxcrm.shared.reasons import reason

MOST_DAYS = 3650
MOST_TOKENS = 50  # per person


@dataclass(frozen=True, slots=True)
class ListedToken:
    """A token in a list, with its owner; the secret itself is not stored."""

    token: ApiToken
    user: User

    def is_expired(self, now: datetime) -> bool:
        """Whether it has expired by ``now``; revoking does not count."""
        return self.token.expires_at is not None and self.token.expires_at <= now


async def create_token(
    session: AsyncSession,
    user: User,
    *,
    name: str | None = None,
    days: int | None = None,
    actor: Viewer | None = None,
    now: datetime | None = None,
) -> str:
    """Create a token of ``user``, valid for ``days`` (None: until revoked), and return it; it cannot be read again.

    ``actor`` None: by the command line; then ``name`` None is "command line", "command line 2", … Raises Invalid for ``name`` or ``days``, Conflict if there are too many.
    """
    at = now or datetime.now(UTC)
    assert user.id is not None
    known = await list_tokens(session, user.id)
    names = {each.token.name for each in known}
    if name is None:
        numbered = (f"command line {number}" for number in count(2))
        name = next(each for each in chain(["command line"], numbered) if each not in names)
    name = check_line(
        name, ApiToken.name, "token_name", "tokens.name", "Write what the token is for, in up to {most} characters."
    )
    if days is not None and not 1 <= days <= MOST_DAYS:
        raise Invalid("days", "tokens.days", "A token is valid for 1 to {most} days.", most=MOST_DAYS)
    if name in names:
        raise Invalid(
            "token_name",
            "tokens.same_name",
            "There is a token of this name already. Give this one another, so that you know which to revoke.",
        )
    if len(known) >= MOST_TOKENS:
        raise Conflict("tokens.too_many", "There are {most} tokens already. Revoke one first.", most=MOST_TOKENS)
    token = "pbx_" + secrets.token_urlsafe(32)
    expires_at = at + timedelta(days=days) if days is not None else None
    row = ApiToken(token_hash=token_hash(token), user_id=user.id, name=name, created_at=at, expires_at=expires_at)
    session.add(row)
    await session.flush()
    why = reason("by.command_line") if actor is None else None
    record(session, at, "token.created", "user", user.id, actor=actor, reason=why, name=name, days=days)
    return token


async def list_tokens(session: AsyncSession, user_id: int | None = None) -> Sequence[ListedToken]:
    """Tokens that are not revoked, including expired ones, newest first; of one person or of everybody."""
    rows = select(ApiToken, User).join(User, col(User.id) == col(ApiToken.user_id))
    rows = rows.where(col(ApiToken.revoked_at).is_(None)).order_by(col(ApiToken.id).desc())
    if user_id is not None:
        rows = rows.where(ApiToken.user_id == user_id)
    return [ListedToken(token, user) for token, user in (await session.exec(rows)).all()]


async def revoke_token(session: AsyncSession, viewer: Viewer, token_id: int, now: datetime) -> int:
    """Revoke one's own token, or with PEOPLE_EDIT anybody's; returns the owner's id. Raises NotFound."""
    check(viewer, Permission.OWN_PROFILE)
    token = await session.get(ApiToken, token_id)
    if (
        token is None
        or token.revoked_at is not None
        or (token.user_id != viewer.user_id and not can(viewer, Permission.PEOPLE_EDIT))
    ):
        raise NotFound("tokens.not_found", "There is no such token, or it has been revoked already.")
    token.revoked_at = now
    record(session, now, "token.revoked", "user", token.user_id, actor=viewer, name=token.name)
    return token.user_id


async def revoke_tokens(session: AsyncSession, user_id: int, now: datetime) -> None:
    """Revoke all tokens of a person, because the password changed or they may no longer log in."""
    await session.exec(
        update(ApiToken)
        .where(col(ApiToken.user_id) == user_id, col(ApiToken.revoked_at).is_(None))
        .values(revoked_at=now)
    )


async def note_token_used(session: AsyncSession, hashed: str, now: datetime) -> None:
    """Store when a token was last used; ``hashed`` is its SHA-256."""
    await session.exec(update(ApiToken).where(col(ApiToken.token_hash) == hashed).values(used_at=now))


async def user_of_token(session: AsyncSession, token: str, now: datetime) -> User | None:
    """The owner of a token; None if it is unknown, expired or revoked, or the owner may not log in."""
    found = await session.exec(
        select(User)
        .join(ApiToken, col(ApiToken.user_id) == col(User.id))
        .where(
            ApiToken.token_hash == token_hash(token),
            col(ApiToken.revoked_at).is_(None),
            or_(col(ApiToken.expires_at).is_(None), col(ApiToken.expires_at) > now),
            col(User.is_active),
        )
    )
    return found.first()
