"""The door before the application: whoever holds on, drips, floods or vanishes harms nobody who works."""

import asyncio
import logging
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from httpx2 import AsyncClient
from starlette.applications import Starlette

from pbxcrm.shared import child
from tests.integration.web.conftest import PASSWORD
from tests.integration.web.serving import serving
from tests.waiting import until
from web import server
from web.server import Limits

FORM = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture(autouse=True)
def _open_files() -> None:
    """Client and server live in one process here."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The lines the door wrote."""
    lines: list[dict[str, Any]] = []

    class Log:
        def warning(self, event: str, **facts: Any) -> None:
            lines.append({"event": event, **facts})

    monkeypatch.setattr(server, "log", Log())
    return lines


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    to = urlsplit(address)
    reader, writer = await asyncio.open_connection(to.hostname, to.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def answer_of(reader: asyncio.StreamReader) -> int:
    """The status; 0 where the connection was closed without an answer."""
    async with asyncio.timeout(60):
        line = await reader.readline()
    return int(line.split()[1]) if line else 0


async def asked(address: str, request: bytes) -> int:
    async with connected(address) as (reader, writer):
        writer.write(request)
        return await answer_of(reader)


async def test_a_head_of_117_megabytes_takes_no_memory(app: Starlette, said: list[dict[str, Any]]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with serving(app) as address, connected(address) as (_reader, writer):
        writer.write(GET + b"X: ")
        sent, piece = 0, b"a" * 1_000_000
        try:
            while sent < 117_000_000:
                writer.write(piece)
                sent += len(piece)
                await asyncio.wait_for(writer.drain(), 5)
        except (ConnectionError, TimeoutError):
            pass
        assert sent < 20_000_000, "it was cut off"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 40_000_000
    assert [line["why"] for line in said] == ["head_bytes"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (GET + b"\r\n", 200),
        (GET + b"X: " + b"a" * 60_000 + b"\r\n\r\n", 200),
        (GET + b"X: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 431),
        (GET + b"X: y\r\n" * 90 + b"\r\n", 200),
        (GET + b"X: y\r\n" * 110 + b"\r\n", 431),
        (b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 70000\r\n\r\n" + b"a" * 70_000, 413),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (GET + b"Host: 127.0.0.2\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: evil.example.org\r\n\r\n", 421),
        (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
        (GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 200),
    ],
)
async def test_what_is_asked_has_a_size(app: Starlette, request_: bytes, status: int) -> None:
    async with serving(app) as address:
        assert await asked(address, request_) == status
        assert await asked(address, GET + b"\r\n") == 200


async def test_a_body_in_chunks_has_a_size(app: Starlette) -> None:
    async with serving(app, limits=Limits(body_bytes=200_000)) as address, connected(address) as (reader, writer):
        writer.write(FORM + b"Transfer-Encoding: chunked\r\n\r\n")
        writer.write(b"1000\r\n" + b"a" * 4096 + b"\r\n")
        for _ in range(100):
            writer.write(b"1000\r\n" + b"a" * 4096 + b"\r\n")
        assert await answer_of(reader) == 413


async def test_who_drips_or_says_nothing_is_cut_off(
    app: Starlette, said: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "BODY_TICK", 0.2)
    slow = Limits(head_seconds=1.0, body_grace=0.5, body_rate=500)
    async with serving(app, limits=slow) as address:

        async def drips_between_requests() -> int:
            async with connected(address) as (reader, writer):
                writer.write(GET + b"\r\n")
                assert await answer_of(reader) == 200
                await reader.readuntil(b"ok\n")
                writer.write(b"GET /hea")
                return await answer_of(reader)

        async def says_nothing() -> int:
            async with connected(address) as (reader, _writer):
                return await answer_of(reader)

        async def slow_body() -> int:
            async with connected(address) as (reader, writer):
                writer.write(FORM + b"Content-Length: 500\r\n\r\nlogin=")
                return await answer_of(reader)

        async def late_head() -> int:
            async with connected(address) as (reader, writer):
                writer.write(GET)
                return await answer_of(reader)

        found = list(await asyncio.gather(late_head(), drips_between_requests(), says_nothing(), slow_body()))
        assert found == [408, 408, 0, 408]
        assert {line["why"] for line in said} == {"head_seconds", "silent", "body_rate"}
        assert await asked(address, GET + b"\r\n") == 200


async def test_a_byte_a_second_does_not_keep_a_connection(app: Starlette) -> None:
    async with serving(app, limits=Limits(head_seconds=1.0)) as address, connected(address) as (reader, writer):
        reading = asyncio.create_task(reader.readline())

        async def drip() -> None:
            for byte in GET * 10:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.2)  # this is how slow they are

        dripping = asyncio.create_task(drip())
        async with asyncio.timeout(60):
            assert b" 408 " in await reading
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)


async def test_requests_sent_ahead_have_a_number(app: Starlette) -> None:
    async with serving(app) as address:
        async with connected(address) as (reader, writer):
            writer.write((GET + b"\r\n") * 10)
            for _ in range(10):
                assert await answer_of(reader) == 200
                await reader.readuntil(b"ok\n")
        async with connected(address) as (reader, writer):
            writer.write((GET + b"\r\n") * 20_000)
            async with asyncio.timeout(60):
                assert (await reader.read()).count(b"200 OK") < 1000


async def test_one_address_makes_its_own_room(app: Starlette, said: list[dict[str, Any]]) -> None:
    """The silent of this address go first; of one that works none is put out, and the others are not touched."""
    few = Limits(per_address=5, connections=8)
    async with serving(app, limits=few) as address:
        async with connected(address) as (reader, writer):
            writer.write(GET)  # in the middle of a request
            silent = [await asyncio.open_connection(*_parts(address)) for _ in range(20)]
            writer.write(b"\r\n")
            assert await answer_of(reader) in {200, 0}
            assert await asked(address, GET + b"\r\n") == 200
            for _reader, other in silent:
                other.close()
        assert any(line["why"] in {"address_full", "full"} for line in said)
        assert len(said) <= 2, "one line in ten seconds"


def _parts(address: str) -> tuple[str, int]:
    to = urlsplit(address)
    return str(to.hostname), int(to.port or 0)


async def test_200_vanished_clients_are_not_200_tracebacks(app: Starlette, caplog: pytest.LogCaptureFixture) -> None:
    form = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\nContent-Type: "
    requests = (
        form + b"application/x-www-form-urlencoded\r\n\r\nlogin=x",
        form + b'multipart/form-data; boundary=b\r\n\r\n--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n',
        b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /login HTTP/1.1\r\nHost: 12",
    )
    with caplog.at_level(logging.WARNING):
        async with serving(app) as address:
            for number in range(200):
                with closing(socket.create_connection(_parts(address))) as vanishing:
                    vanishing.sendall(requests[number % len(requests)])
                    await asyncio.sleep(0)
                    vanishing.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            assert await asked(address, GET + b"\r\n") == 200
    assert [record for record in caplog.records if record.exc_info] == []
    assert "Traceback" not in caplog.text
    assert len(caplog.records) <= 4


@pytest.fixture
def silent() -> Iterator[list[socket.socket]]:
    connections: list[socket.socket] = []
    yield connections
    for one in connections:
        one.close()


async def _works(address: str) -> None:
    """Somebody logs in and looks around; each answer comes soon."""
    async with AsyncClient(base_url=address, headers={"origin": address, "accept": "text/html"}, timeout=60) as olena:
        answer = await olena.post("/login", data={"login": "olena", "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        for path in ("/callbacks", "/tasks", "/calls", "/contacts", "/profile"):
            assert (await olena.get(path)).status_code == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_1500_silent_connections_while_somebody_works(app: Starlette, silent: list[socket.socket]) -> None:
    async with serving(app) as address:
        for _ in range(1500):
            silent.append(socket.create_connection(_parts(address)))
            if len(silent) % 50 == 0:
                await asyncio.sleep(0)
        await _works(address)


async def test_with_1024_open_files_1500_silent_connections_leave_room(
    tmp_path: Path, app: Starlette, silent: list[socket.socket], database_url: str
) -> None:
    """The real program, with the limit most systems set, hard and soft."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PBXCRM_")}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = child.command([sys.executable, "-m", "pbxcrm", "web"], at_parents_death=signal.SIGKILL)
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", 'ulimit -n 1024 && exec "$@"', "sh", *words,
        env=environ
        | {"PBXCRM_DATA_DIR": str(tmp_path / "data"), "PBXCRM_DATABASE_URL": database_url, "PBXCRM_BIND": f"127.0.0.1:{port}"},
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        await until(lambda: _is_up(port), seconds=60)
        for number in range(1500):
            silent.append(socket.create_connection(("127.0.0.1", port)))
            if number % 500 == 250:
                await _works(address)
        await _works(address)
    finally:
        process.terminate()
        assert process.stderr is not None
        told = (await process.stderr.read()).decode()
        await process.wait()
    assert "Traceback" not in told
    assert told.count("web.refused") <= 12


def _is_up(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
