"""Locks on a data directory: one ``run`` at a time, and no ``restore`` while any part runs."""

import asyncio
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pbxcrm.shared.errors import Conflict, Unavailable

PREPARE = "prepare.lock"


@contextmanager
def in_use(data_dir: Path) -> Iterator[None]:
    """Held by every part that uses this data directory. Raises Conflict during a restore."""
    with _held(data_dir, "in-use.lock", fcntl.LOCK_SH, "A restore is going on in {path}. Wait until it is done."):
        yield


@contextmanager
def unused(data_dir: Path) -> Iterator[None]:
    """Held by ``restore``, which must run alone. Raises Conflict while any part runs."""
    with _held(data_dir, "in-use.lock", fcntl.LOCK_EX, "pbxcrm is running on {path}. Stop it first."):
        yield


@contextmanager
def only_run(data_dir: Path) -> Iterator[None]:
    """Held by ``pbxcrm run``. Raises Conflict when another run uses this data directory."""
    message = "pbxcrm run is already running on {path}. Stop it, or set PBXCRM_DATA_DIR to another folder."
    with _held(data_dir, "run.lock", fcntl.LOCK_EX, message):
        yield


@contextmanager
def preparing(data_dir: Path) -> Iterator[None]:
    """Held while the database is upgraded and filled; ``prepared`` waits for its release."""
    message = "The database of {path} is being prepared. Wait until it is done."
    with _held(data_dir, PREPARE, fcntl.LOCK_EX, message):
        yield


async def prepared(data_dir: Path) -> None:
    """Return when no process holds ``preparing``."""
    while True:
        try:
            handle = os.open(data_dir / PREPARE, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return  # no such lock was ever made
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            return
        finally:
            os.close(handle)
        await asyncio.sleep(0.02)  # a lock of another process cannot be awaited


@contextmanager
def _held(data_dir: Path, name: str, how: int, message: str) -> Iterator[None]:
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(data_dir / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unavailable(
            "data_dir.unusable",
            "The data directory {path} cannot be used: {why}. Set PBXCRM_DATA_DIR to one you may write to.",
            path=str(data_dir),
            why=error.strerror or str(error),
        ) from error
    try:
        try:
            fcntl.flock(handle, how | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict("data_dir.in_use", message, path=str(data_dir)) from error
        yield
    finally:
        os.close(handle)
