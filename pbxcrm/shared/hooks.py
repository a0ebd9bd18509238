"""Hooks let an upper context take part in a change of a lower one, which does not import it.

The lower context defines a hook and calls it in the transaction of the change::

    calendar_changed = Hook[datetime]("calendars.calendar_changed")

    await calendar_changed(session, now)

``pbxcrm.composition`` registers the handlers of the upper contexts. A hook that is called before that raises RuntimeError: an
entry point that forgot ``pbxcrm.composition`` must not silently skip half of a change.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVarTuple

from sqlmodel.ext.asyncio.session import AsyncSession

What = TypeVarTuple("What")


class Hook(Generic[*What]):
    """Calls its handlers in the order of registration, with the session and the arguments of the call."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._handlers: tuple[Callable[[AsyncSession, *What], Awaitable[None]], ...] | None = None

    def register(self, *handlers: Callable[[AsyncSession, *What], Awaitable[None]]) -> None:
        """Set all handlers in one call, which replaces earlier ones, so that the composition root lists them in one place."""
        self._handlers = handlers

    async def __call__(self, session: AsyncSession, *what: *What) -> None:
        """Call every handler. An exception in one rolls back the whole transaction."""
        if self._handlers is None:
            raise RuntimeError(f"nobody has composed the parts: {self.name} has no handlers (pbxcrm.composition)")
        for handler in self._handlers:
            await handler(session, *what)


class Question(Generic[*What]):
    """A hook with an answer: True when one of its handlers returns True."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._asked: tuple[Callable[[AsyncSession, *What], Awaitable[bool]], ...] | None = None

    def register(self, *asked: Callable[[AsyncSession, *What], Awaitable[bool]]) -> None:
        """Set all handlers in one call, which replaces earlier ones."""
        self._asked = asked

    async def __call__(self, session: AsyncSession, *what: *What) -> bool:
        if self._asked is None:
            raise RuntimeError(f"nobody has composed the parts: nobody answers {self.name} (pbxcrm.composition)")
        for ask in self._asked:
            if await ask(session, *what):
                return True
        return False
