"""Backup and restore: what comes back is what was there, and nothing is overwritten by mistake."""

import asyncio
import json
import stat
import tarfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import col, select

from pbxcrm.backup import back_up, restore
from pbxcrm.cli.locks import in_use, only_run, unused
from pbxcrm.db import Database
from pbxcrm.errors import BadSettings, Conflict, Invalid, Unavailable
from pbxcrm.options import Option
from pbxcrm.settings import Settings

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
    assert await restore(installed, tmp_path / "b.tar.gz", overwrite=True) == "0001"
    back = await found(installed)
    assert back["before"] == "Київ"
    assert "after" not in back


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


async def test_a_file_that_is_no_backup_is_refused(tmp_path: Path, settings: Settings) -> None:
    for content in (b"", b"not a tar", b"\x1f\x8b\x08\x00garbage"):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(Invalid, match="not a backup"):
            await restore(settings, tmp_path / "x", overwrite=True)
    with pytest.raises(Invalid, match="cannot be read"):
        await restore(settings, tmp_path / "missing", overwrite=True)


async def test_a_backup_of_another_kind_or_of_a_newer_version_is_refused(tmp_path: Path, settings: Settings) -> None:
    await back_up(settings, tmp_path / "b", NOW)
    other = Settings(data_dir=tmp_path, database_url="postgresql://nobody@127.0.0.1:1/x")
    with pytest.raises(Invalid, match="cannot be exchanged"):
        await restore(other, tmp_path / "b", overwrite=True)
    with tarfile.open(tmp_path / "b") as tar:
        tar.extractall(tmp_path / "out", filter="data")
    manifest = tmp_path / "out" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"0001"', '"9999"'))
    with tarfile.open(tmp_path / "newer", "w:gz") as tar:
        tar.add(manifest, "manifest.json")
        tar.add(tmp_path / "out" / "database.sqlite", "database.sqlite")
    with pytest.raises(BadSettings, match="newer"):
        await restore(settings, tmp_path / "newer", overwrite=True)


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
