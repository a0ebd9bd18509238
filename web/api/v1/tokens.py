"""API tokens: one's own, or everybody's for administrators. The profile and the command line create them."""

from datetime import datetime

from pydantic import Field

from pbxcrm.access import Permission, can
from pbxcrm.people.api_tokens import ListedToken, list_tokens, revoke_token
from web.api.fields import ApiAnswer, Moment, ShortListQuery
from web.api.resource import Ask, Page, Resource

tokens = Resource("tokens", "API tokens: your own, or everybody's for administrators. The secret is never shown again.")


class TokenOut(ApiAnswer):
    """An API token, without its secret."""

    id: int
    name: str
    user: str = Field(description="The login of the person whose rights it has.")
    created_at: Moment
    expires_at: Moment | None = Field(description="Null: it does not expire.")
    used_at: Moment | None = Field(description="When it was last used, to the minute.")
    is_expired: bool


@tokens.get("/tokens", needs=Permission.OWN_PROFILE, summary="Tokens that have not been revoked")
async def read_tokens(ask: Ask, query: ShortListQuery) -> Page[TokenOut]:
    """All tokens, on one page unless you ask for less."""
    whose = None if can(ask.viewer, Permission.PEOPLE_EDIT) else ask.viewer.user_id
    rows = await list_tokens(ask.session, whose)
    return Page[TokenOut].part_of([_token(row, ask.now) for row in rows], query)


@tokens.delete("/tokens/{token_id}", needs=Permission.OWN_PROFILE, summary="Revoke a token")
async def delete_token(ask: Ask, token_id: int) -> None:
    """The token ends at once. It may be the one that this request uses."""
    await revoke_token(ask.session, ask.viewer, token_id, ask.now)


def _token(row: ListedToken, now: datetime) -> TokenOut:
    token = row.token
    return TokenOut(
        id=token.id or 0,
        name=token.name,
        user=row.user.login,
        created_at=token.created_at,
        expires_at=token.expires_at,
        used_at=token.used_at,
        is_expired=row.is_expired(now),
    )
