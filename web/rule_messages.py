"""Messages of rules that nothing can send: said wherever a rule is switched on."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request

from pbxcrm.messages.gateway_queries import channels_unsent
from pbxcrm.messages.queries import list_message_templates
from web import message_words
from web.parts import parts


async def silent_channels(session: AsyncSession, request: Request) -> frozenset[str]:
    """The channels by which nothing is sent now."""
    return await channels_unsent(session, has_mail=bool(parts(request).settings.smtp_url))


async def silent_templates(session: AsyncSession, request: Request) -> Mapping[int, str]:
    """Why nothing sends the messages of a template, by its id; those that are sent are left out."""
    silent = await silent_channels(session, request)
    rows = await list_message_templates(session) if silent else ()
    return {each.id or 0: message_words.unsent(each.channel) for each in rows if each.channel in silent}


def silent_said(steps: Iterable[Mapping[str, Any]], silent: Mapping[int, str]) -> str:
    """Why a message of a rule is not sent; empty if each is."""
    return next(
        (
            silent[each["template_id"]]
            for each in steps
            if each.get("template_id") in silent and each.get("kind") == "message"
        ),
        "",
    )
