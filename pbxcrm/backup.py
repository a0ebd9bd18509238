"""Copies of the database while everything runs, and putting them back.

A backup is a tar with ``manifest.json`` and the database: SQLite's own consistent copy, or what ``pg_dump`` writes. Of the
settings it holds the names that were set, never a value: they may be secrets. The journal is not in it: it only bridges
the seconds between the telephone and the database.
"""

import asyncio
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url

from pbxcrm import migrations
from pbxcrm.db import Database
from pbxcrm.errors import Conflict, Invalid, Unavailable
from pbxcrm.settings import Settings

FORMAT = 1
_SQLITE, _POSTGRES = "database.sqlite", "database.pgdump"


async def back_up(settings: Settings, target: Path, now: datetime | None = None) -> None:
    """Write a backup to ``target``, readable by its owner only. It appears whole or not at all.

    Raises BadSettings for a database of the wrong shape, Unavailable when the copy cannot be made or written.
    """
    db = Database(settings.database_url, pool_size=1)
    try:
        await migrations.check(db)
    finally:
        await db.close()
    await asyncio.to_thread(_check_target, target)
    manifest = {
        "format": FORMAT,
        "made_at": (now or datetime.now(UTC)).isoformat(),
        "database": "sqlite" if settings.is_sqlite else "postgresql",
        "revision": migrations.newest(),
        "settings_set": sorted(settings.model_fields_set),
        "pbxs": [pbx.name for pbx in settings.pbxs],
    }
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as folder:
            copy = Path(folder) / (_SQLITE if settings.is_sqlite else _POSTGRES)
            if settings.is_sqlite:
                await asyncio.to_thread(_copy_sqlite, _sqlite_path(settings), copy)
            else:
                await _run(["pg_dump", "--format=custom", "--no-owner", "--no-acl", f"--file={copy}"], settings)
            await asyncio.to_thread(_pack, copy, manifest, Path(folder) / "backup.tar", target)
    except (OSError, sqlite3.Error) as error:
        raise Unavailable("backup.failed", "The backup could not be written: {why}", why=str(error)) from error


async def restore(settings: Settings, source: Path, *, overwrite: bool) -> str:
    """Put a backup back; returns the revision of the restored database. The caller sees to it that nothing runs here.

    Raises Invalid for a file that is no backup of this kind of database, Conflict when there is something to overwrite
    and ``overwrite`` is False or somebody is connected, BadSettings for a backup of a newer pbxcrm.
    """
    with tempfile.TemporaryDirectory(prefix="pbxcrm-restore-") as folder:
        manifest, copy = await asyncio.to_thread(_unpack, source, Path(folder))
        wanted = "sqlite" if settings.is_sqlite else "postgresql"
        if manifest["database"] != wanted:
            raise Invalid(
                "file",
                "backup.other_database",
                "The backup is of {found}, PBXCRM_DATABASE_URL is {wanted}: they cannot be exchanged.",
                found=manifest["database"],
                wanted=wanted,
            )
        revision = str(manifest["revision"])
        migrations.check_known(revision)
        try:
            if settings.is_sqlite:
                await asyncio.to_thread(_restore_sqlite, copy, _sqlite_path(settings), overwrite)
            else:
                await _restore_postgres(settings, copy, overwrite)
        except (OSError, sqlite3.Error) as error:
            raise Unavailable("restore.failed", "The backup could not be put back: {why}", why=str(error)) from error
        return revision


def _check_target(target: Path) -> None:
    if target.is_dir() or not target.parent.is_dir():
        raise Invalid(
            "file", "backup.target", "{path} cannot be written: name a file in a folder that exists.", path=str(target)
        )


def _sqlite_path(settings: Settings) -> Path:
    return Path(make_url(settings.database_url).database or "")


def _copy_sqlite(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
        new.execute("PRAGMA journal_mode=DELETE")
        (verdict,) = new.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"the database is damaged: {verdict}")


def _pack(copy: Path, manifest: Mapping[str, Any], packed: Path, target: Path) -> None:
    with tarfile.open(packed, "w:gz", compresslevel=5) as tar:
        text = json.dumps(manifest, indent=1).encode()
        info = tarfile.TarInfo("manifest.json")
        info.size, info.mode = len(text), 0o600
        tar.addfile(info, io.BytesIO(text))
        tar.add(copy, copy.name)
    packed.chmod(0o600)
    with packed.open("rb") as file:
        os.fsync(file.fileno())
    packed.replace(target)


def _unpack(source: Path, folder: Path) -> tuple[dict[str, Any], Path]:
    """Manifest and copy of the database. Only these two names are taken out, whatever else the file holds."""
    try:
        with tarfile.open(source, "r:gz") as tar:
            manifest = json.loads(_member(tar, "manifest.json").read())
            if manifest["format"] != FORMAT:
                raise Invalid("file", "backup.format", "{path} was made by another pbxcrm.", path=str(source))
            name = _SQLITE if manifest["database"] == "sqlite" else _POSTGRES
            copy = folder / name
            with copy.open("wb") as file:
                shutil.copyfileobj(_member(tar, name), file)
            return manifest, copy
    except (tarfile.TarError, ValueError, KeyError, TypeError, EOFError) as error:
        raise Invalid("file", "backup.unreadable", "{path} is not a backup of pbxcrm.", path=str(source)) from error
    except OSError as error:
        raise Invalid(
            "file", "backup.missing", "{path} cannot be read: {why}", path=str(source), why=error.strerror or str(error)
        ) from error


def _member(tar: tarfile.TarFile, name: str) -> Any:  # a binary file object
    found = tar.extractfile(name)
    if found is None:
        raise KeyError(name)
    return found


def _restore_sqlite(copy: Path, target: Path, overwrite: bool) -> None:
    if target.exists() and target.stat().st_size and not overwrite:
        raise _would_overwrite(str(target))
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = target.with_name(target.name + ".restoring")
    shutil.copyfile(copy, fresh)
    fresh.chmod(0o600)
    for leftover in ("-wal", "-shm"):
        target.with_name(target.name + leftover).unlink(missing_ok=True)
    fresh.replace(target)


async def _restore_postgres(settings: Settings, copy: Path, overwrite: bool) -> None:
    db = Database(settings.database_url, pool_size=1)
    try:
        async with db.engine.connect() as connection:
            others = await connection.exec_driver_sql(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            if others.scalar_one():
                raise Conflict("restore.running", "Somebody is connected to the database. Stop every pbxcrm first.")
            tables = await connection.exec_driver_sql(
                "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            )
            if tables.scalar_one() and not overwrite:
                raise _would_overwrite("the database")
    finally:
        await db.close()
    words = [
        "pg_restore",
        "--clean",
        "--if-exists",
        "--no-owner",
        "--no-acl",
        "--single-transaction",
        "--exit-on-error",
    ]
    database = make_url(settings.database_url).database
    await _run([*words, f"--dbname={database}", str(copy)], settings)


def _would_overwrite(what: str) -> Conflict:
    return Conflict("restore.overwrite", "{what} is not empty. Say --yes to overwrite it.", what=what)


async def _run(command: list[str], settings: Settings) -> None:
    """Run a PostgreSQL program. The address goes through its environment: arguments can be read by everybody."""
    if shutil.which(command[0]) is None:
        raise Unavailable(
            "backup.no_program",
            "{program} is needed for this and was not found. Install postgresql-client.",
            program=command[0],
        )
    environ = {**os.environ, **libpq_environ(make_url(settings.database_url))}
    process = await asyncio.create_subprocess_exec(
        *command, env=environ, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    if process.returncode:
        lines = said.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise Unavailable("backup.program", "{program}: {why}", program=command[0], why=lines[0])


def libpq_environ(url: URL) -> dict[str, str]:
    """The environment that makes PostgreSQL's own programs connect where ``url`` says."""
    host = url.host or url.query.get("host")
    found = {
        "PGHOST": host if isinstance(host, str) else None,
        "PGPORT": str(url.port) if url.port else None,
        "PGUSER": url.username,
        "PGPASSWORD": str(url.password) if url.password is not None else None,
        "PGDATABASE": url.database,
    }
    return {name: value for name, value in found.items() if value}
