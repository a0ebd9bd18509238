"""A search is ended when the browser has gone, and answers as always when it waits."""

import asyncio

import pytest
from starlette.requests import Request
from starlette.types import Message

from web.disconnects import while_asked_for


def asked(leaves: asyncio.Event) -> Request:
    messages: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await leaves.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http", "method": "GET", "path": "/search", "headers": []}, receive)


async def test_the_work_ends_with_the_browser() -> None:
    leaves, began, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> str:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "found"

    answer = asyncio.create_task(while_asked_for(asked(leaves), work()))
    await began.wait()
    leaves.set()
    assert await answer is None
    assert ended.is_set()


async def test_the_work_is_answered() -> None:
    async def work() -> str:
        return "found"

    assert await while_asked_for(asked(asyncio.Event()), work()) == "found"


async def test_an_error_of_the_work_is_raised() -> None:
    async def work() -> str:
        raise LookupError

    with pytest.raises(LookupError):
        await while_asked_for(asked(asyncio.Event()), work())


async def test_the_work_ends_with_the_request() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    answer = asyncio.create_task(while_asked_for(asked(asyncio.Event()), work()))
    await began.wait()
    answer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answer
    await ended.wait()
