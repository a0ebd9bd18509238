"""Files on deals and tasks: what goes in comes out, to those who see the deal or task, and is never run by a browser."""

import asyncio
import io
import os
import stat
import time
import zipfile
from pathlib import Path

import pytest
from sqlmodel import select

from pbxcrm.deals.actions import move_deal
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.gate_rules import GateRefused
from pbxcrm.deals.models import Stage
from pbxcrm.deals.pipeline_rules import Requirements
from pbxcrm.deals.queries import stages_of
from pbxcrm.files.actions import On, attach, put_back_file, remove_file
from pbxcrm.files.models import AttachedFile
from pbxcrm.files.queries import needed_hashes
from pbxcrm.files.rules import GB, clean_file_name
from pbxcrm.files.store import ORPHAN_SECONDS, Kept, Store
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Invalid, NotAllowed, NotFound, Unavailable
from pbxcrm.shared.settings import Settings
from pbxcrm.tasks.actions import create_task
from pbxcrm.upkeep.doctor.data import check_files
from pbxcrm.upkeep.doctor.findings import Mark
from tests.calls import NOON
from tests.integration.api.conftest import Programs
from tests.integration.api.conftest import programs as programs  # noqa: PLC0414 - a fixture of theirs
from tests.office import Office

MOST = 1 << 20
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
HTML = b"<!doctype html><script>alert(1)</script>"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


async def a_deal(database: Database, office: Office, login: str = "ivan") -> int:
    async with database.write() as session:
        viewer = await office.viewer(session, login)
        deal = await create_deal(session, viewer, title="Door", now=NOON, currency="UAH", region="UA")
    return deal.id or 0


async def put(database: Database, office: Office, store: Store, deal_id: int, name: str = "a.txt") -> int:
    kept = store.keep(io.BytesIO(name.encode()), MOST)
    async with database.write() as session:
        viewer = await office.viewer(session, "ivan")
        file = await attach(session, viewer, On(deal_id=deal_id), name, kept, NOON, total_gb=1)
    return file.id or 0


@pytest.mark.parametrize(
    ("typed", "clean"),
    [
        ("../x", "x"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/etc/passwd", "passwd"),
        ("..", "file"),
        ("", "file"),
        ("  Договір  №5.pdf ", "Договір №5.pdf"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("a\r\nb\x00.txt", "a b.txt"),
        ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
    ],
)
def test_a_name_is_only_a_name(typed: str, clean: str) -> None:
    assert clean_file_name(typed) == clean


def an_archive(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), "x")  # of 1980: the same each time
    return made.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (HTML, "text/plain"),
        (b"<svg onload='alert(1)'/>", "text/plain"),
        ("Привіт".encode(), "text/plain"),
        (("я" * 5000).encode()[:-1], "text/plain"),  # the letter that the head cuts through
        (b"\x00\x01\x02", "application/octet-stream"),
        (an_archive("a"), "application/zip"),
        (an_archive("a")[:20], "application/zip"),
        (an_archive("xl/workbook.xml"), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ],
)
def test_the_type_is_found_in_the_content(store: Store, content: bytes, kind: str) -> None:
    assert store.keep(io.BytesIO(content), MOST).content_type == kind


def test_what_is_empty_or_too_large_leaves_nothing_behind(store: Store) -> None:
    for content, code in ((b"", "files.empty"), (bytes(MOST + 1), "files.too_large")):
        with pytest.raises(Invalid) as error:
            store.keep(io.BytesIO(content), MOST)
        assert error.value.code == code
    assert [path for path in store.folder.rglob("*") if path.is_file() and path.name != ".lock"] == []
    kept = store.keep(io.BytesIO(bytes(MOST)), MOST)
    assert kept.size == MOST
    assert stat.S_IMODE(store.path(kept.sha256).stat().st_mode) == 0o600


def test_a_full_disk_says_so_and_leaves_nothing_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pbxcrm.files.store.LEAVE_FREE", 1 << 60)  # no disk has so much left
    with pytest.raises(Unavailable) as error:
        store.keep(io.BytesIO(b"x"), MOST)
    assert error.value.code == "files.no_room"
    assert list(store.names()) == []


async def test_only_old_orphans_are_swept(database: Database, office: Office, store: Store) -> None:
    deal_id = await a_deal(database, office)
    await put(database, office, store, deal_id)
    old, young = (store.keep(io.BytesIO(content), MOST) for content in (b"old", b"young"))
    long_ago = time.time() - ORPHAN_SECONDS - 60
    for name in store.names():
        if name.replace("/", "") != young.sha256:
            os.utime(store.folder / name, (long_ago, long_ago))
    async with database.read() as session:
        needed = await needed_hashes(session)
    assert store.sweep(needed) == 1
    assert not store.path(old.sha256).exists()
    assert store.path(young.sha256).exists()
    assert all(store.path(each).exists() for each in needed)


async def test_a_removed_file_comes_back(database: Database, office: Office, store: Store) -> None:
    deal_id = await a_deal(database, office)
    file_id = await put(database, office, store, deal_id)
    for login, refused in (("petro", NotFound), ("kira", NotAllowed)):
        with pytest.raises(refused):
            async with database.write() as session:
                await remove_file(session, await office.viewer(session, login), file_id, NOON)
    async with database.write() as session:
        await remove_file(session, await office.viewer(session, "ivan"), file_id, NOON)
    with pytest.raises(NotFound):
        async with database.write() as session:
            await remove_file(session, await office.viewer(session, "ivan"), file_id, NOON)
    async with database.write() as session:
        file = await put_back_file(session, await office.viewer(session, "maria"), file_id, NOON)
        assert file.removed_at is None


async def test_all_files_together_have_a_limit(database: Database, office: Office) -> None:
    deal_id = await a_deal(database, office)
    async with database.write() as session:
        viewer = await office.viewer(session, "ivan")
        with pytest.raises(Unavailable, match="1 GB"):
            await attach(session, viewer, On(deal_id=deal_id), "a", Kept(GB + 1, "x/y", "0" * 64), NOON, total_gb=1)


async def test_a_stage_asks_for_files(database: Database, office: Office, store: Store) -> None:
    deal_id = await a_deal(database, office)

    async def move() -> None:
        async with database.write() as session:
            viewer = await office.viewer(session, "ivan")
            await move_deal(session, viewer, deal_id, stage_id, version=None, now=NOON)

    async with database.write() as session:
        stages = await stages_of(session, (await session.exec(select(Stage.pipeline_id))).first() or 0)
        to = next(stage for stage in stages if stage.kind == "open" and stage.id != stages[0].id)
        to = (await session.exec(select(Stage).where(Stage.id == stages[-3].id))).one()
        to.requires = Requirements(files=2).stored()
        stage_id = to.id or 0
    await put(database, office, store, deal_id)
    with pytest.raises(GateRefused) as error:
        await move()
    assert [(missing.kind, missing.key) for missing in error.value.missing] == [("file", "file")]
    second = await put(database, office, store, deal_id, "b.txt")
    async with database.write() as session:
        await remove_file(session, await office.viewer(session, "ivan"), second, NOON)
    with pytest.raises(GateRefused):
        await move()
    async with database.write() as session:
        await put_back_file(session, await office.viewer(session, "ivan"), second, NOON)
    await move()


async def test_the_doctor_names_what_is_missing(
    database: Database, office: Office, store: Store, settings: Settings
) -> None:
    deal_id = await a_deal(database, office)
    await put(database, office, store, deal_id, "offer.txt")
    assert [finding.mark for finding in await check_files(database, settings)] == [Mark.GOOD]
    for name in store.names():
        (store.folder / name).write_bytes(b"")
    (finding,) = await check_files(database, settings)
    assert finding.mark is Mark.BAD
    assert "offer.txt" in finding.what
    assert f"deal {deal_id}" in finding.what


async def test_programs_send_read_and_remove_files(programs: Programs, office: Office, settings: Settings) -> None:
    deal_id = await a_deal(programs.db, office)
    async with programs.db.write() as session:
        viewer = await office.viewer(session, "ivan")
        task_id = (await create_task(session, viewer, title="Offer", due_at=NOON, now=NOON)).id
    ivan, petro, kira = await programs.as_("ivan"), await programs.as_("petro"), await programs.as_("kira")
    for path in (f"/api/v1/deals/{deal_id}/files", f"/api/v1/tasks/{task_id}/files"):
        sent = {"file": ("../Договір.html", HTML, "text/html")}
        assert (await petro.post(path, files=sent)).status_code == 404
        assert (await kira.post(path, files=sent)).status_code == 403
        assert (await petro.get(path)).status_code == 404
        answer = await ivan.post(path, files=sent)
        assert answer.status_code == 201, answer.text
        told = answer.json()
        assert (told["name"], told["size"], told["content_type"]) == ("Договір.html", len(HTML), "text/plain")
        assert (await ivan.get(path)).json()["items"] == [told]
        one = answer.headers["location"]
        got = await ivan.get(one)
        assert got.content == HTML
        assert got.headers["content-type"].startswith("text/plain")
        assert got.headers["content-disposition"].startswith("attachment;")
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["content-security-policy"].startswith("sandbox;")
        part = await ivan.get(one, headers={"range": "bytes=0-8"})
        assert (part.status_code, part.content) == (206, HTML[:9])
        assert (await petro.get(one)).status_code == 404
        assert (await petro.delete(one)).status_code == 404
        assert (await kira.delete(one)).status_code == 403
        assert (await ivan.delete(one)).status_code == 204
        assert (await ivan.get(one)).status_code == 404
        assert (await ivan.post(f"{one}/restore")).status_code == 200
        assert (await ivan.get(one)).status_code == 200
        for content, code in ((b"", "files.empty"), (bytes((settings.files_max_mb << 20) + 1), "files.too_large")):
            answer = await ivan.post(path, files={"file": ("x", content, "image/png")})
            assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, code, "file")
        several = await ivan.post(path, files=[("file", ("a", b"a")), ("file", ("b", b"b"))])
        assert (several.status_code, several.json()["code"]) == (422, "files.one")
        assert len((await ivan.get(path)).json()["items"]) == 1
        assert (await ivan.post(path, files={"other": ("x", b"x", "x/y")})).json()["code"] == "files.none"
        assert (await ivan.post(path, json={})).json()["code"] == "files.none"


async def test_the_same_bytes_at_the_same_time(programs: Programs, office: Office, store: Store) -> None:
    deal_id = await a_deal(programs.db, office)
    ivan = await programs.as_("ivan")
    sent = [ivan.post(f"/api/v1/deals/{deal_id}/files", files={"file": ("a.png", PNG)}) for _ in range(5)]
    assert [answer.status_code for answer in await asyncio.gather(*sent)] == [201] * 5
    assert len(list(store.names())) == 1
    async with programs.db.read() as session:
        assert len((await session.exec(select(AttachedFile))).all()) == 5
