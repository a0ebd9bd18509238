"""Doctor and the status page know whether the dialplan's questions who calls reach this installation."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from ami.agi import LookupServer
from pbxcrm.reactions.caller_lookup import Caller
from pbxcrm.shared.networks import parse_networks
from pbxcrm.shared.settings import Settings
from pbxcrm.upkeep.doctor.findings import Mark
from pbxcrm.upkeep.doctor.machine import check_lookups
from pbxcrm.upkeep.lookup_probe import WhoAnswers, installation_of, who_answers
from tests.asterisk.server import free_port

LOCAL = "127.0.0.0/8, ::1"


async def nobody(_number: str | None, _did: str | None) -> Caller:
    return Caller()


@asynccontextmanager
async def served(settings: Settings, *, installation: str) -> AsyncIterator[None]:
    networks = parse_networks(settings.dialplan_networks)
    server = LookupServer(nobody, networks, installation=installation)
    started = await asyncio.start_server(server.serve, "127.0.0.1", int(settings.agi_bind.rpartition(":")[2]))
    async with started:
        yield


@asynccontextmanager
async def greeted(settings: Settings) -> AsyncIterator[None]:
    """Another program, which says something by itself."""

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(b"220 mail.example.com ESMTP\r\n")
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", int(settings.agi_bind.rpartition(":")[2])):
        yield


@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0"])
async def test_who_answers_is_told_apart(settings: Settings, bound: str) -> None:
    here = settings.model_copy(
        update={"agi_bind": f"{bound}:{free_port(socket.SOCK_STREAM)}", "dialplan_networks": LOCAL}
    )
    assert await who_answers(here) is WhoAnswers.NOBODY
    async with served(here, installation=installation_of(here)):
        assert await who_answers(here) is WhoAnswers.OURS
        assert (await check_lookups(here))[0].mark is Mark.GOOD
    async with served(here, installation=installation_of(here.model_copy(update={"database_url": "sqlite:///x"}))):
        assert await who_answers(here) is WhoAnswers.OTHER
    async with greeted(here):
        assert await who_answers(here) is WhoAnswers.OTHER
        (found,) = await check_lookups(here)
        assert found.mark is Mark.BAD
        assert "Another program has the port" in str(found)


async def test_a_machine_that_may_not_ask_says_nothing(settings: Settings) -> None:
    apart = settings.model_copy(
        update={"agi_bind": f"127.0.0.1:{free_port(socket.SOCK_STREAM)}", "dialplan_networks": "10.0.0.0/8"}
    )
    async with served(apart, installation=installation_of(apart)):
        assert await who_answers(apart) is WhoAnswers.UNKNOWN
        assert await check_lookups(apart) == []
