"""The application behind a real uvicorn on a port of its own, in this very event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from pbxcrm.shared.settings import Settings
from tests.waiting import until
from web.server import Limits, server_of


@asynccontextmanager
async def serving(app: Starlette, port: int = 0, limits: Limits | None = None) -> AsyncIterator[str]:
    """The address, for example ``http://127.0.0.1:40123``; ``port`` to come back where one was before. It is served as ``pbxcrm web`` does."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen(2048)
    settings: Settings = app.state.parts.settings
    server = server_of(app, settings, limits)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined, method-assign, unused-ignore]
    task = asyncio.create_task(server._serve([listening]))
    try:
        await until(lambda: server.started or task.done())
        if task.done():
            task.result()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listening.close()
