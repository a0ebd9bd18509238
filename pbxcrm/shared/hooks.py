"""Hooks: how a context lets those above it take part in a change, without knowing them.

The lower context offers a hook and calls it inside the transaction that makes the change::

    calendar_changed = Hook[datetime]("calendars.calendar_changed")

    await calendar_changed(session, now)

``pbxcrm.composition`` registers the handlers of the upper contexts. A hook called before that raises RuntimeError: an entry
point that forgot to put the parts together must not silently leave half of a change undone.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVarTuple

from sqlmodel.ext.asyncio.session import AsyncSession

What = TypeVarTuple("What")


class Hook(Generic[*What]):
    """Handlers get the session and what the hook is called with, in the order in which they were registered."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._handlers: tuple[Callable[[AsyncSession, *What], Awaitable[None]], ...] | None = None

    def register(self, *handlers: Callable[[AsyncSession, *What], Awaitable[None]]) -> None:
        """Set the handlers: all of them at once, so that the composition root shows who hears what."""
        self._handlers = handlers

    async def __call__(self, session: AsyncSession, *what: *What) -> None:
        """Call every handler; what one raises undoes the whole transaction."""
        if self._handlers is None:
            raise RuntimeError(f"nobody has composed the parts: {self.name} has no handlers (pbxcrm.composition)")
        for handler in self._handlers:
            await handler(session, *what)


class Question(Generic[*What]):
    """A hook that asks: the answer is yes when one of those who were registered says so."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._asked: tuple[Callable[[AsyncSession, *What], Awaitable[bool]], ...] | None = None

    def register(self, *asked: Callable[[AsyncSession, *What], Awaitable[bool]]) -> None:
        """Set who is asked, all at once."""
        self._asked = asked

    async def __call__(self, session: AsyncSession, *what: *What) -> bool:
        if self._asked is None:
            raise RuntimeError(f"nobody has composed the parts: nobody answers {self.name} (pbxcrm.composition)")
        for ask in self._asked:
            if await ask(session, *what):
                return True
        return False
