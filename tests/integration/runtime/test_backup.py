"""Backup and restore: what comes back is what was there, and nothing is overwritten by mistake."""

import asyncio
import io
import json
import random
import stat
import tarfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from pbxcrm.cli.locks import in_use, only_run, unused
from pbxcrm.files.store import Store
from pbxcrm.migrations import _steps, newest
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import BadSettings, Conflict, Invalid, Unavailable
from pbxcrm.shared.runtime_options import Option
from pbxcrm.shared.settings import Settings
from pbxcrm.shared.sqlite import WRITES
from pbxcrm.upkeep.backup import back_up, restore
from pbxcrm.upkeep.backup_archive import pack, unpack

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def installed(tmp_path: Path, database_url: str) -> Settings:
    return Settings(data_dir=tmp_path, database_url=database_url, ami_url="ami://u:topsecret@127.0.0.1:5038")


@pytest.fixture
async def opened(installed: Settings) -> AsyncIterator[Database]:
    database = Database(installed.database_url)
    yield database
    await database.close()


async def put(database: Database, key: str, value: str) -> None:
    async with database.write() as session:
        await session.merge(Option(key=key, value=value))


async def found(settings: Settings) -> dict[str, str]:
    database = Database(settings.database_url)
    async with database.read() as session:
        rows = (await session.exec(select(Option).order_by(col(Option.key)))).all()
    await database.close()
    return {row.key: row.value for row in rows}


async def test_what_was_backed_up_comes_back(tmp_path: Path, installed: Settings, opened: Database) -> None:
    await put(opened, "before", "Київ")
    writing = asyncio.create_task(put(opened, "meanwhile", "x"))
    await back_up(installed, tmp_path / "b.tar.gz", NOW)
    await writing
    await put(opened, "after", "lost again")
    await opened.close()
    with pytest.raises(Conflict, match="--yes"):
        await restore(installed, tmp_path / "b.tar.gz", overwrite=False)
    assert "after" in await found(installed)
    assert await restore(installed, tmp_path / "b.tar.gz", overwrite=True) == newest()
    back = await found(installed)
    assert back["before"] == "Київ"
    assert "after" not in back


async def test_a_database_of_the_version_before_is_backed_up_and_comes_back(
    tmp_path: Path, installed: Settings, opened: Database
) -> None:
    """After the program was updated, before the database is."""
    before = _steps()[newest()]
    assert before is not None
    await put(opened, "old", "kept")
    async with opened.engine.execution_options(**{WRITES: True}).begin() as connection:
        await connection.execute(text("DROP TABLE flags"))  # a table that the version before did not have yet
        await connection.execute(text("UPDATE alembic_version SET version_num = :before"), {"before": before})
    await back_up(installed, tmp_path / "b.tar.gz", NOW)
    await put(opened, "old", "changed")
    await opened.close()
    assert await restore(installed, tmp_path / "b.tar.gz", overwrite=True) == before
    assert (await found(installed))["old"] == "kept"


async def test_attached_files_come_back_and_each_is_checked(
    tmp_path: Path, installed: Settings, opened: Database
) -> None:
    store = Store(installed.data_dir)
    kept = [store.keep(io.BytesIO(content), 1 << 20) for content in (b"An offer", bytes(200_000))]
    await put(opened, "before", "x")
    await back_up(installed, tmp_path / "b.tar.gz", NOW)
    await opened.close()
    store.path(kept[0].sha256).unlink()
    store.path(kept[1].sha256).write_bytes(b"damaged")
    await restore(installed, tmp_path / "b.tar.gz", overwrite=True)
    assert store.path(kept[0].sha256).read_bytes() == b"An offer"
    assert store.path(kept[1].sha256).read_bytes() == bytes(200_000)
    assert stat.S_IMODE(store.path(kept[0].sha256).stat().st_mode) == 0o600
    assert sorted(store.names()) == sorted(f"{one.sha256[:2]}/{one.sha256[2:]}" for one in kept)


async def test_it_holds_no_secret_and_only_its_owner_reads_it(
    tmp_path: Path, installed: Settings, opened: Database
) -> None:
    await put(opened, "x", "y")
    target = tmp_path / "b.tar.gz"
    await back_up(installed, target, NOW)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with tarfile.open(target) as tar:
        member = tar.extractfile("manifest.json")
        assert member
        manifest = member.read().decode()
    assert "topsecret" not in manifest
    assert "ami_url" in json.loads(manifest)["settings_set"]
    assert not list(tmp_path.glob(".backup-*"))


@contextmanager
def nothing_changes(settings: Settings) -> Iterator[None]:
    """The folder and every row are afterwards what they were."""
    before = asyncio.run(found(settings)), sorted(path.name for path in settings.data_dir.iterdir())
    yield
    assert (asyncio.run(found(settings)), sorted(path.name for path in settings.data_dir.iterdir())) == before


def refused(settings: Settings, source: Path) -> str:
    """What is said; a restore that goes through is a fault."""
    with pytest.raises((Invalid, BadSettings)) as caught:
        asyncio.run(restore(settings, source, overwrite=True))
    return str(caught.value)


@pytest.fixture
def whole(installed: Settings, tmp_path: Path) -> Path:
    """A backup of a database in which something stands."""

    async def make() -> None:
        database = Database(installed.database_url)
        await put(database, "precious", "Київ")
        await database.close()
        await back_up(installed, tmp_path / "whole.tar.gz", NOW)

    asyncio.run(make())
    return tmp_path / "whole.tar.gz"


def test_one_flipped_bit_anywhere_is_found_before_anything_is_replaced(installed: Settings, whole: Path) -> None:
    good = whole.read_bytes()
    places = {*range(40), *range(len(good) - 80, len(good)), *random.Random(1).sample(range(len(good)), 60)}
    bad = installed.data_dir / "bad"
    bad.write_bytes(good)
    with nothing_changes(installed):
        for place in sorted(places):
            flipped = bytearray(good)
            flipped[place] ^= 1 << (place % 8)
            bad.write_bytes(flipped)
            assert "Nothing was changed" in refused(installed, bad), place


def test_what_was_cut_short_is_refused(installed: Settings, whole: Path) -> None:
    good = whole.read_bytes()
    bad = installed.data_dir / "bad"
    bad.touch()
    with nothing_changes(installed):
        for length in (0, 1, 2, 17, 58, len(good) // 2, len(good) - 58, len(good) - 1):
            bad.write_bytes(good[:length])
            assert "Nothing was changed" in refused(installed, bad), length
        bad.write_bytes(good + b"\x00")
        assert "damaged" in refused(installed, bad)


def test_what_is_no_backup_is_refused(installed: Settings, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("Dear diary, " * 100)
    (tmp_path / "sqlite").write_bytes(b"SQLite format 3\x00" + bytes(5000))
    (tmp_path / "gzip").write_bytes(b"\x1f\x8b\x08\x00garbage" * 20)
    with tarfile.open(tmp_path / "tar", "w:gz") as tar:
        tar.add(tmp_path / "text", "manifest.json")
    (tmp_path / "empty").touch()
    with nothing_changes(installed):
        for name in ("text", "sqlite", "gzip", "tar", "empty"):
            said = refused(installed, tmp_path / name)
            assert str(tmp_path / name) in said
            assert "Nothing was changed" in said
        assert "cannot be read" in refused(installed, tmp_path / "missing")


def sealed(manifest: dict[str, object], content: bytes, folder: Path, name: str) -> Path:
    """An archive whose checksums are all right, whatever is in it."""
    copy = folder / name
    copy.write_bytes(content)
    packed = folder / "packed"
    packed.unlink(missing_ok=True)
    pack(copy, manifest, packed, Store(folder))
    copy.unlink()
    return packed


def test_half_a_database_in_a_whole_archive_is_refused(
    installed: Settings, whole: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("made")
    manifest, copy, _files = unpack(whole, folder)
    content = copy.read_bytes()
    told = {name: value for name, value in manifest.items() if name not in {"members", "product", "format", "files"}}
    with nothing_changes(installed):
        for piece in (content[: len(content) // 2], content[:5000], b"", b"text"):
            assert "not whole" in refused(installed, sealed(told, piece, folder, copy.name))
        other = {**told, "database": "oracle"}
        assert "cannot be exchanged" in refused(installed, sealed(other, content, folder, copy.name))
        for wrong in ({"revision": "9999"}, {"format": 3}):
            assert "newer pbxcrm" in refused(installed, sealed({**told, **wrong}, content, folder, copy.name))
        said = refused(installed, sealed({**told, "product": "othercrm"}, content, folder, copy.name))
        assert "not a backup of pbxcrm" in said


def test_a_database_of_another_shape_than_its_manifest_says_is_refused(
    installed: Settings, whole: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """On PostgreSQL this shows only once it has been loaded: the transaction that loads it is undone."""
    folder = tmp_path_factory.mktemp("made")
    manifest, copy, _files = unpack(whole, folder)
    told = {name: value for name, value in manifest.items() if name not in {"members", "product", "format", "files"}}
    told["tables"] = [*manifest["tables"], "of_tomorrow"]
    packed = sealed(told, copy.read_bytes(), folder, copy.name)
    with nothing_changes(installed), pytest.raises((Invalid, Unavailable), match="of_tomorrow"):
        asyncio.run(restore(installed, packed, overwrite=True))


def test_the_old_database_comes_back_when_the_new_one_does_not_open(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(back_up(settings, tmp_path / "b", NOW))

    async def put_it() -> None:
        database = Database(settings.database_url)
        await put(database, "later", "x")
        await database.close()

    asyncio.run(put_it())

    async def no_luck(_database: Database) -> None:
        raise OSError("no luck")

    with monkeypatch.context() as patch:
        patch.setattr(Database, "ping", no_luck)
        with nothing_changes(settings), pytest.raises(Invalid, match="no luck"):
            asyncio.run(restore(settings, tmp_path / "b", overwrite=True))
    asyncio.run(restore(settings, tmp_path / "b", overwrite=True))
    assert "later" not in asyncio.run(found(settings))
    old = tmp_path / "pbxcrm.db.before-restore"
    assert "later" in asyncio.run(found(Settings(data_dir=tmp_path, database_url=f"sqlite:///{old}")))


def test_a_damaged_database_can_be_replaced(tmp_path: Path, settings: Settings) -> None:
    asyncio.run(back_up(settings, tmp_path / "b", NOW))
    path = tmp_path / "pbxcrm.db"
    path.write_bytes(b"\xff" * 9000)
    (tmp_path / "pbxcrm.db-wal").write_bytes(b"\xee" * 4000)
    asyncio.run(restore(settings, tmp_path / "b", overwrite=True))
    assert asyncio.run(found(settings)) is not None
    assert (tmp_path / "pbxcrm.db.before-restore").read_bytes() == b"\xff" * 9000


async def test_restoring_while_somebody_is_connected_is_refused(tmp_path: Path, postgres_url: str) -> None:
    settings = Settings(data_dir=tmp_path, database_url=postgres_url)
    await back_up(settings, tmp_path / "b", NOW)
    other = Database(postgres_url)
    async with other.read() as session:
        await session.get(Option, "x")
        with pytest.raises(Conflict, match="connected"):
            await restore(settings, tmp_path / "b", overwrite=True)
    await other.close()


async def test_the_target_must_be_writable(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(Invalid, match="folder that exists"):
        await back_up(settings, tmp_path / "no" / "b", NOW)
    with pytest.raises(Unavailable, match="could not be written"):
        await back_up(settings, Path("/proc/b"), NOW)


def test_a_data_directory_has_one_run_and_no_restore_meanwhile(tmp_path: Path) -> None:
    with only_run(tmp_path), in_use(tmp_path), in_use(tmp_path):
        with pytest.raises(Conflict, match="already running"), only_run(tmp_path):
            pass
        with pytest.raises(Conflict, match="Stop it first"), unused(tmp_path):
            pass
    with unused(tmp_path), pytest.raises(Conflict, match="restore"), in_use(tmp_path):
        pass
    with pytest.raises(Unavailable, match="PBXCRM_DATA_DIR"), in_use(Path("/proc/x")):
        pass
