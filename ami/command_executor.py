"""Carries out the commands people give in their browsers, through the link of the active listener.

A command has an expiry and is sent once or never: a click made while the PBX was away does not dial later.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import structlog

from ami import commands
from ami.errors import ActionRefused, ActionTimeout, AmiError, CommandExpired, LinkDown, NumberUnknown
from ami.messages import Message

log = structlog.get_logger(__name__)

_REMEMBERED = 10_000  # ids of commands already carried out, in case the source delivers twice
_AT_ONCE = 50
_ASK_AGAIN = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """One command. ``kind`` and ``params`` as in ``ami.commands.PLANS``; it is not carried out after ``expires_at``."""

    id: str
    kind: str
    params: Mapping[str, str]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command went. ``code`` is ``done`` or names a sentence in ``pbxcrm.pbx.report_sentences``; ``params`` fill it in.

    ``done`` means that the PBX accepted the action; the call itself shows whether a phone was answered.
    """

    id: str
    done: bool
    code: str
    params: Mapping[str, str] = field(default_factory=dict)


class CommandSource(Protocol):
    """Where commands come from and results go to."""

    def requests(self, pbx: str) -> AsyncIterator[CommandRequest]:
        """Yield the commands for one PBX as they are given, without end."""

    async def finish(self, result: CommandResult) -> None:
        """Deliver the result to the person who gave the command."""


class Sender(Protocol):
    """The link to the PBX."""

    async def send(self, action: Mapping[str, str], *, as_list: bool = False) -> list[Message]:
        """Send an action and wait for its answer. Raises LinkDown, ActionTimeout, ActionRefused."""


class Executor:
    """Carries out the commands of one PBX, several at a time so that a slow one does not delay the others."""

    def __init__(
        self, pbx: str, source: CommandSource, sender: Sender, how: commands.Dialling, clock: Callable[[], datetime]
    ) -> None:
        self.pbx = pbx
        self._source = source
        self._sender = sender
        self._how = how
        self._clock = clock
        self._known: OrderedDict[str, None] = OrderedDict()
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        """Carry out commands until cancelled. If the source fails (Redis or database away), ask it again."""
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    await self._take(group)
                except Exception as error:  # noqa: BLE001  # a failed source must not stop the listener
                    log.warning("commands_not_heard", pbx=self.pbx, why=str(error))
                await asyncio.sleep(_ASK_AGAIN)

    async def _take(self, group: asyncio.TaskGroup) -> None:
        async for request in self._source.requests(self.pbx):
            if request.id in self._known:
                continue
            self._known[request.id] = None
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
            await self._room.acquire()
            group.create_task(self._handle(request))

    async def _handle(self, request: CommandRequest) -> None:
        try:
            result = await self.execute(request)
        finally:
            self._room.release()
        log.info("command", pbx=self.pbx, id=request.id, kind=request.kind, code=result.code)
        try:
            await self._source.finish(result)
        except Exception as error:  # noqa: BLE001  # the browser shows a timeout; the listener must continue
            log.warning("command_result_lost", pbx=self.pbx, id=request.id, why=str(error))

    async def execute(self, request: CommandRequest) -> CommandResult:
        """Send one command unless it has expired. Errors of the PBX or in the command become a result; none is raised."""
        try:
            action = commands.build(request.kind, self._how, request.params)
            await self._ask_first(request)
            if self._clock() >= request.expires_at:
                raise CommandExpired("the command came too late")
            await self._sender.send(action)
        except ActionTimeout as error:
            return CommandResult(request.id, False, "command_silent", error.params)
        except AmiError as error:
            code = "link_down" if isinstance(error, ConnectionError) else error.code
            return CommandResult(request.id, False, code, error.params)
        return CommandResult(request.id, True, "done")

    async def _ask_first(self, request: CommandRequest) -> None:
        """Raise LinkDown for a PBX that hangs, and NumberUnknown for a transfer that would lead nowhere."""
        try:
            (answer, *_) = await self._sender.send(commands.question(request.kind, self._how, request.params))
        except ActionTimeout as error:  # when it recovers it does everything queued meanwhile, so send nothing
            raise LinkDown("the PBX hangs", code="link_down") from error
        except ActionRefused:  # no func_dialplan, or no right to ask: assume that the number exists
            return
        if answer.get("Value") == "0":
            raise NumberUnknown("the dialplan does not have it", number=request.params["number"])
