"""Work for a request that ends when nobody waits for the answer any more: a search that the next letter has replaced."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

Result = TypeVar("Result")


async def while_asked_for(request: Request, work: Coroutine[Any, Any, Result]) -> Result | None:
    """The result of ``work``; None when the browser has gone: then ``work`` was cancelled, with the query it waited for.

    For requests without a body.
    """
    working, gone = asyncio.create_task(work), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        working.cancel()
        await asyncio.wait({working})
        return None
    finally:
        working.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
