"""A virus scanner looks at each file before anybody can open it: a real program, and a daemon that speaks clamd's protocol.

No virus is used: what counts as one here is a word in the file.
"""

import io
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from httpx2 import ASGITransport, AsyncClient
from redis.asyncio import Redis
from sqlmodel import select
from structlog.testing import capture_logs

from pbxcrm.files.models import AttachedFile
from pbxcrm.files.store import Store
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Invalid, Unavailable
from pbxcrm.shared.settings import Settings
from pbxcrm.upkeep.doctor.findings import Mark
from pbxcrm.upkeep.doctor.machine import check_scanner
from tests.filled import Filled
from tests.integration.web.conftest import HOME, PASSWORD, SetClock, begins_with_people, clock, redis
from tests.integration.web.test_settings_pages import make_deal
from web.app import create_app

__all__ = ["begins_with_people", "clock", "redis"]
BAD = b"harmless, but HEREVIRUS stands in it"
MOST = 1 << 20
SCRIPT = """#!/bin/sh
# As clamscan: the last argument is the file.
for path; do :; done
[ "$1" = --broken ] && { echo "cannot read the database" >&2; exit 2; }
if grep -q HEREVIRUS "$path"; then printf '%s: Test.Virus\\033[31m FOUND\\n' "$path"; exit 1; fi
echo "$path: OK"
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "a scanner.sh"
    path.write_text(SCRIPT)
    path.chmod(0o755)
    return path


@contextmanager
def clamd(where: Path, answer: bytes | None = None) -> Iterator[None]:
    """What clamd answers to INSTREAM; ``answer``: always this."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(where))
        listening.listen()

        def serve() -> None:
            while True:
                try:
                    caller, _ = listening.accept()
                except OSError:
                    return
                with caller, caller.makefile("rb") as sent:
                    assert sent.read(10) == b"zINSTREAM\0"
                    content = b""
                    while size := struct.unpack("!I", sent.read(4))[0]:
                        content += sent.read(size)
                    found = b"stream: Test.Virus FOUND\0" if b"HEREVIRUS" in content else b"stream: OK\0"
                    caller.sendall(answer or found)

        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            serving.join()


def test_a_command_lets_pass_refuses_and_fails(tmp_path: Path, script: Path) -> None:
    store = Store(tmp_path, f"'{script}'")
    assert store.keep(io.BytesIO(b"clean"), MOST).size == 5
    with pytest.raises(Invalid) as refused:
        store.keep(io.BytesIO(BAD), MOST)
    assert (refused.value.field, refused.value.code) == ("file", "files.infected")
    assert refused.value.params["found"] == "Test.Virus [31m FOUND"  # no control letters of the other program
    assert len(list(store.names())) == 1  # nothing of it stays
    assert not list((tmp_path / "files").glob(".part-*"))
    for broken in (f"'{script}' --broken", str(tmp_path / "no such program"), "'unclosed"):
        with pytest.raises(Unavailable) as away:
            Store(tmp_path, broken).keep(io.BytesIO(b"other"), MOST)
        assert away.value.code == "files.unchecked"
    assert len(list(store.names())) == 1


def test_a_clamd_lets_pass_refuses_and_fails(tmp_path: Path) -> None:
    where = tmp_path / "clamd.ctl"
    store = Store(tmp_path, f"unix:{where}")
    with clamd(where):
        assert store.keep(io.BytesIO(b"x" * 200_000), MOST).size == 200_000
        with pytest.raises(Invalid) as refused:
            store.keep(io.BytesIO(BAD), MOST)
        assert refused.value.params == {"found": "Test.Virus"}
    with pytest.raises(Unavailable):  # it has gone
        store.keep(io.BytesIO(b"other"), MOST)
    with (
        clamd(tmp_path / "other.ctl", b"INSTREAM size limit exceeded. ERROR\0"),
        capture_logs() as said,
        pytest.raises(Unavailable) as large,
    ):
        Store(tmp_path, f"unix:{tmp_path / 'other.ctl'}").keep(io.BytesIO(b"large"), MOST)
    assert [(each["event"], each["why"]) for each in said] == [
        ("files.unchecked", "INSTREAM size limit exceeded. ERROR")
    ]
    assert "size limit" not in str(large.value), "the log has it, not the page"


async def test_doctor_says_why_the_scanner_cannot_check(tmp_path: Path, script: Path) -> None:
    assert await check_scanner(Settings(data_dir=tmp_path)) == []
    (works,) = await check_scanner(Settings(data_dir=tmp_path, files_scanner=f"'{script}'"))
    assert works.mark is Mark.GOOD
    (away,) = await check_scanner(Settings(data_dir=tmp_path, files_scanner=str(tmp_path / "nothing")))
    assert away.mark is Mark.BAD
    assert "No such file" in away.what
    assert "PBXCRM_FILES_SCANNER" in away.todo
    assert not [path for path in tmp_path.iterdir() if path != script], "the file of the check is gone"


async def test_nobody_gets_a_file_that_was_refused(
    settings: Settings,
    database: Database,
    redis: Redis,
    clock: SetClock,
    script: Path,
    begins_with_people: Filled[None],
) -> None:
    _client, deal_id = await make_deal(database, clock)
    scanned = settings.model_copy(update={"files_scanner": f"'{script}'"})
    app = create_app(scanned, database, redis, clock=clock)
    async with AsyncClient(
        transport=ASGITransport(app), base_url=HOME, headers={"origin": HOME, "accept": "text/html"}
    ) as olena:
        assert (await olena.post("/login", data={"login": "olena", "password": PASSWORD})).status_code == 303
        path, part = f"/deals/{deal_id}/files", {"hx-request": "true", "hx-request-type": "partial"}
        refused = await olena.post(path, files={"file": ("a.txt", BAD)}, headers=part)
        assert refused.status_code == 422
        assert "The virus scanner refuses this file: Test.Virus" in refused.text
        assert (await olena.post(path, files={"file": ("b.txt", b"clean")}, headers=part)).status_code == 200
    async with database.read() as session:
        assert [row.name for row in (await session.exec(select(AttachedFile))).all()] == ["b.txt"]
