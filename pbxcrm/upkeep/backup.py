"""Backs up the database while everything runs, and restores it.

A backup (``pbxcrm.upkeep.backup_archive``) holds SQLite's own consistent copy, or the output of ``pg_dump``, and the attached
files. It names the
settings that were set but holds no values, because they may be secrets. It does not hold the journal, which only bridges the
seconds between the PBX and the database.

A restore checks everything before it replaces anything: the checksums of the file, and whether the copy is a complete
database of a known revision. Then it does one rename (SQLite; the old file is kept until the new one has been opened) or one
transaction that is checked before it commits (PostgreSQL).
"""

import asyncio
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.engine import URL, make_url

from pbxcrm import migrations
from pbxcrm.files.store import Store
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict, Invalid, Unavailable
from pbxcrm.shared.settings import Settings
from pbxcrm.tables import metadata
from pbxcrm.upkeep.backup_archive import pack, unpack

_SQLITE, _POSTGRES = "database.sqlite", "database.pgdump"
BEFORE = ".before-restore"  # suffix of the old SQLite file after a restore


async def back_up(settings: Settings, target: Path, now: datetime | None = None) -> None:
    """Write a backup to ``target``, readable only by its owner. It appears complete or not at all.

    Also a database of an earlier version, so that one can back up before the upgrade. Raises BadSettings for an empty one and
    for one of a newer version, Unavailable when the copy cannot be made or written.
    """
    db = Database(settings.database_url, pool_size=1)
    try:
        revision = await migrations.known_revision(db)
        if revision is None:
            await migrations.check(db)
        tables = await migrations.tables_of(db)
    finally:
        await db.close()
    await asyncio.to_thread(_check_target, target)
    manifest = {
        "made_at": (now or datetime.now(UTC)).isoformat(),
        "database": "sqlite" if settings.is_sqlite else "postgresql",
        "revision": revision,
        "settings_set": sorted(settings.model_fields_set),
        "pbxs": [pbx.name for pbx in settings.pbxs],
        "tables": [name for name in tables if name in metadata.tables],
    }
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as folder:
            copy = Path(folder) / (_SQLITE if settings.is_sqlite else _POSTGRES)
            if settings.is_sqlite:
                await asyncio.to_thread(_copy_sqlite, sqlite_path(settings), copy)
            else:
                await _run(["pg_dump", "--format=custom", "--no-owner", "--no-acl", f"--file={copy}"], settings)
            packed = Path(folder) / "backup.tar"
            await asyncio.to_thread(pack, copy, manifest, packed, Store(settings.data_dir))
            await asyncio.to_thread(packed.replace, target)
    except (OSError, sqlite3.Error) as error:
        raise Unavailable("backup.failed", "The backup could not be written: {why}", why=str(error)) from error


async def restore(settings: Settings, source: Path, *, overwrite: bool) -> str:
    """Restore a backup; returns the revision of the restored database. The caller makes sure that nothing runs here.

    Raises Invalid if the file is not a complete backup of this kind of database, Conflict if it would overwrite data and
    ``overwrite`` is False or if somebody is connected, BadSettings for a backup of a newer pbxcrm, Unavailable. On an error
    nothing has changed.
    """
    with tempfile.TemporaryDirectory(prefix="pbxcrm-restore-") as folder:
        manifest, copy, files = await asyncio.to_thread(unpack, source, Path(folder))
        wanted = "sqlite" if settings.is_sqlite else "postgresql"
        if manifest.get("database") != wanted:
            raise Invalid(
                "file",
                "backup.other_database",
                "The backup is of {found}, PBXCRM_DATABASE_URL is {wanted}: they cannot be exchanged.",
                found=str(manifest.get("database")),
                wanted=wanted,
            )
        revision = str(manifest.get("revision"))
        migrations.check_known(revision)
        tables = [str(name) for name in manifest.get("tables", ())]
        try:
            if settings.is_sqlite:
                await asyncio.to_thread(_check_sqlite, copy, revision, tables)
            # Before the database, so that every row has its bytes. If the rest fails, these files are orphans, which the worker deletes.
            await asyncio.to_thread(_put_files_back, settings, files)
            if settings.is_sqlite:
                await _restore_sqlite(settings, copy, overwrite)
            else:
                await _restore_postgres(settings, copy, _look_over(revision, tables), overwrite)
        except (OSError, sqlite3.Error) as error:
            raise Unavailable("restore.failed", "The backup could not be put back: {why}", why=str(error)) from error
        return revision


def _put_files_back(settings: Settings, files: Sequence[Path]) -> None:
    store = Store(settings.data_dir)
    for path in files:
        store.put_back(path, path.name)


def _check_target(target: Path) -> None:
    if target.is_dir() or not target.parent.is_dir():
        raise Invalid(
            "file", "backup.target", "{path} cannot be written: name a file in a folder that exists.", path=str(target)
        )


def sqlite_path(settings: Settings) -> Path:
    """The path of the SQLite database, which may not exist."""
    return Path(make_url(settings.database_url).database or "")


def _copy_sqlite(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
        new.execute("PRAGMA journal_mode=DELETE")
        (verdict,) = new.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"the database is damaged: {verdict}")


def _check_sqlite(copy: Path, revision: str, tables: Sequence[str]) -> None:
    """Raise Invalid unless the file is a complete database of that revision with all these tables."""
    try:
        with closing(sqlite3.connect(f"file:{copy}?mode=ro", uri=True)) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
            if verdict == "ok":
                found = connection.execute("SELECT version_num FROM alembic_version").fetchall()
                has = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
                if found != [(revision,)]:
                    verdict = f"it is not of revision {revision}"
                elif lacking := [name for name in tables if name not in has]:
                    verdict = f"it has no table {lacking[0]}"
                elif connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
                    verdict = "rows are missing in it"
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    if verdict != "ok":
        raise _no_whole_database(verdict)


def _no_whole_database(why: str) -> Invalid:
    return Invalid(
        "file",
        "backup.no_database",
        "The database in the backup is not whole ({why}). Nothing was changed. Use another backup.",
        why=why.splitlines()[0],
    )


async def _restore_sqlite(settings: Settings, copy: Path, overwrite: bool) -> None:
    target = sqlite_path(settings)
    if target.exists() and target.stat().st_size and not overwrite:
        raise _would_overwrite(str(target))
    with _swapped(copy, target):
        db = Database(settings.database_url, pool_size=1)
        try:
            await db.ping()
        except Exception as error:
            raise _no_whole_database(str(getattr(error, "orig", error))) from error
        finally:
            await db.close()


@contextmanager
def _swapped(copy: Path, target: Path) -> Iterator[None]:
    """Put ``copy`` at ``target`` for the block; if the block raises, the old file comes back.

    A reader never finds half a file: the new one is synced to disk before the rename.
    """
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh, before = target.with_name(target.name + ".restoring"), target.with_name(target.name + BEFORE)
    had = target.exists()
    try:
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file, copy.open("rb") as content:
            shutil.copyfileobj(content, file)
            file.flush()
            os.fsync(file.fileno())
        aside = _set_aside(target, before) if had else []
        fresh.replace(target)
        _sync_folder(target.parent)
        try:
            yield
        except BaseException:
            for path, old in [(target, before), *aside]:
                if old.exists():
                    old.replace(path)
                elif not had:
                    path.unlink(missing_ok=True)
            raise
    finally:
        fresh.unlink(missing_ok=True)


def _set_aside(target: Path, before: Path) -> list[tuple[Path, Path]]:
    """Link the old database under the name ``before``; returns the log files that were moved, for moving them back.

    First its log is written into its file: beside the new file it would be read as the log of that one. A database that is
    too damaged for this is kept together with its log.
    """
    moved: list[tuple[Path, Path]] = []
    for path in (before, *(before.with_name(before.name + end) for end in ("-wal", "-shm"))):
        path.unlink(missing_ok=True)
    with suppress(sqlite3.Error), closing(sqlite3.connect(target, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    os.link(target, before)
    for end in ("-wal", "-shm"):
        log = target.with_name(target.name + end)
        if log.exists():
            kept = before.with_name(before.name + end)
            log.replace(kept)
            moved.append((log, kept))
    return moved


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


async def _restore_postgres(settings: Settings, copy: Path, look_over: str, overwrite: bool) -> None:
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
    first, script, last = (copy.with_name(name) for name in ("first.sql", "restore.sql", "last.sql"))
    try:
        await _run(["pg_restore", "--no-owner", "--no-acl", "--exit-on-error", f"--file={script}", str(copy)], settings)
    except Unavailable as error:
        if error.code == "backup.no_program":
            raise
        raise _no_whole_database(str(error)) from error
    first.write_text(_EMPTY_FIRST, encoding="utf-8")
    last.write_text(look_over, encoding="utf-8")
    files = [f"--file={path}" for path in (first, script, last)]
    words = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null"]
    try:
        # One transaction over all three: an error in the last one undoes everything.
        await _run(["psql", *words, *files], settings)
    except Unavailable as error:
        if error.code == "backup.no_program":
            raise
        raise Unavailable(
            "restore.failed", "The backup could not be put back: {why}. Nothing was changed.", why=str(error)
        ) from error


# Else tables of a newer version would remain beside the restored ones.
_EMPTY_FIRST = """
SET client_min_messages = warning;
DO $$ DECLARE found record; BEGIN
  FOR found IN SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = current_schema() LOOP
    EXECUTE 'DROP TABLE IF EXISTS ' || found.name || ' CASCADE';
  END LOOP;
END $$;
"""


def _look_over(revision: str, tables: Sequence[str]) -> str:
    """The last statement of the transaction: it fails, and so undoes it, unless the database is complete."""
    names = ", ".join(f"'{name}'" for name in tables if name.isidentifier())
    return f"""
DO $$ DECLARE found text; BEGIN
  SELECT string_agg(version_num, ',') INTO found FROM public.alembic_version;
  IF found IS DISTINCT FROM '{revision}' THEN
    RAISE EXCEPTION 'the database in the backup is not of revision {revision}';
  END IF;
  SELECT string_agg(name, ', ') INTO found FROM unnest(ARRAY[{names}]::text[]) AS name
    WHERE to_regclass('public.' || quote_ident(name)) IS NULL;
  IF found IS NOT NULL THEN
    RAISE EXCEPTION 'the backup lacks %', found;
  END IF;
END $$;
"""  # noqa: S608  # a known revision, and names that are identifiers


def _would_overwrite(what: str) -> Conflict:
    return Conflict("restore.overwrite", "{what} is not empty. Say --yes to overwrite it.", what=what)


async def _run(command: list[str], settings: Settings) -> None:
    """Run a PostgreSQL program. The address is passed in its environment, because anybody can read arguments."""
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
    """The environment variables for PostgreSQL's programs to connect to ``url``."""
    host = url.host or url.query.get("host")
    found = {
        "PGHOST": host if isinstance(host, str) else None,
        "PGPORT": str(url.port) if url.port else None,
        "PGUSER": url.username,
        "PGPASSWORD": str(url.password) if url.password is not None else None,
        "PGDATABASE": url.database,
    }
    return {name: value for name, value in found.items() if value}
