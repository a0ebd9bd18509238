"""``GET /live``: the event stream of one browser. ``web.live`` describes the events."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sse_starlette.sse import EventSourceResponse, SendTimeoutError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pbxcrm.access import Viewer
from web.auth import viewer_by_session
from web.i18n import Language, here
from web.live import ABOUT_WHO_ASKS, Hub
from web.parts import parts, viewer

log = structlog.get_logger()

LIFE_SECONDS = 600.0
HEARTBEAT_SECONDS = 15
SEND_SECONDS = 20.0  # a browser that takes longer to accept a line is disconnected
CHECK_SECONDS = (
    60  # seconds between two checks that the listener is still logged in; a change is also signalled at once
)


class _Stream(EventSourceResponse):
    """A response that ends quietly when its browser reads too slowly."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            log.info("live.slow_reader_dropped")


async def live(request: Request) -> Response:
    """``GET /live?language=&parts=1``: this browser's stream, for pages in this language. ``parts``: pushes contain what changed."""
    asked = Language.of(request.query_params.get("language", "")) or here().language
    reader = _reading(viewer(request), asked.value)
    by_parts = request.query_params.get("parts") == "1"  # not asked for by pages that stay open over an upgrade
    stream = speak(request, parts(request).hub, reader, life=LIFE_SECONDS, by_parts=by_parts)
    # After a restart all browsers reconnect at once; a random offset spreads their periodic requests.
    beat = HEARTBEAT_SECONDS * random.uniform(0.7, 1)  # noqa: S311
    return _Stream(stream, ping=beat, send_timeout=SEND_SECONDS, headers={"X-Accel-Buffering": "no"})


async def speak(
    request: Request,
    hub: Hub,
    listener: Viewer,
    *,
    life: float,
    by_parts: bool = False,
    check_every: float = CHECK_SECONDS,
) -> AsyncIterator[bytes]:
    """The lines of one stream, until it is too old, too slow, or its session has ended (checked regularly and on a hint)."""
    loop = asyncio.get_running_loop()
    end = loop.time() + life * random.uniform(0.9, 1)  # noqa: S311 (so that a thousand browsers do not return at once)
    with hub.listening(listener, by_parts=by_parts) as ear:
        yield _event(
            "hello",
            {"last": hub.last_id, "live": "ok" if hub.online else "offline", "version": parts(request).static.version},
        )
        hub.push_to(listener.user_id)
        next_check = loop.time() + check_every * random.uniform(0, 1)  # noqa: S311 (of five hundred at once a ring would wait)
        while (now := loop.time()) < end:
            if ear.deaf:
                yield _event("bye", {"why": "slow"})
                return
            messages = await ear.next(min(next_check, end) - now)
            who_asks = any(
                hint["topic"] in ABOUT_WHO_ASKS for name, hints in messages if name == "hint" for hint in hints
            )
            if who_asks or loop.time() >= next_check:
                next_check = loop.time() + check_every
                fresh = await _ask_again(request, ear.viewer)
                if fresh is None:
                    yield _event("bye", {"why": "session"})
                    return
                hub.now_is(ear, fresh)
            if messages:
                yield b"".join(_event(name, data) for name, data in messages)
        yield _event("bye", {"why": "old"})


def _reading(person: Viewer, language: str) -> Viewer:
    """The person with the language of their page. Pushed HTML is in that language, even if they chose another one since."""
    return replace(person, language=language)


async def _ask_again(request: Request, before: Viewer) -> Viewer | None:
    """The person as the database knows them now; None if the session has ended. If the database is away, ``before``."""
    request.state.now = parts(request).clock()
    try:
        fresh = await viewer_by_session(request)
        return _reading(fresh, before.language) if fresh is not None else None
    except SQLAlchemyError:
        return before


_as_json = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":")
).encode  # JSON has no line breaks: one line of data


def _event(name: str, data: Any) -> bytes:
    return f"event: {name}\r\ndata: {_as_json(data)}\r\n\r\n".encode()
