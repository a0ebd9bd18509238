"""The time of the last use of a token: written at most once a minute, and never a reason for the request to fail."""

from datetime import datetime, timedelta
from typing import cast

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request

from pbxcrm.people.api_tokens import note_token_used
from pbxcrm.people.queries import token_hash
from web.parts import now, parts

log = structlog.get_logger()
AT_MOST_EVERY = timedelta(minutes=1)


async def note_use(request: Request) -> None:
    """Store that the valid token of this request was used. The process remembers it, so that most requests write nothing."""
    token = token_hash(request.headers["authorization"].partition(" ")[2].strip())
    noted = _noted(request)
    at = now(request)
    if at - noted.get(token, datetime.min.replace(tzinfo=at.tzinfo)) < AT_MOST_EVERY:
        return
    noted[token] = at
    try:
        async with parts(request).db.write() as session:
            await note_token_used(session, token, at)
    except SQLAlchemyError as error:  # the answer is more important than the time of use
        log.warning("api.token_use_not_noted", error=str(error).splitlines()[0])


def _noted(request: Request) -> dict[str, datetime]:
    state = request.app.state
    if not hasattr(state, "tokens_noted"):
        state.tokens_noted = {}
    return cast("dict[str, datetime]", state.tokens_noted)
