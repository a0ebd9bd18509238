"""Checks of the machine: the data directory, its free space, Redis."""

import asyncio
import errno
import os
import shutil
import tempfile
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError, ResponseError

from pbxcrm.files.scanner import Scanner
from pbxcrm.shared.errors import BadSettings
from pbxcrm.shared.private_files import open_to_others
from pbxcrm.shared.redis_server import find_server, redis_url
from pbxcrm.shared.settings import Settings
from pbxcrm.upkeep.doctor.findings import Finding, bad, good, odd
from pbxcrm.upkeep.lookup_probe import WhoAnswers, who_answers

LITTLE_SPACE = 1 << 30  # bytes: a busy PBX fills this with journal in about a month
NO_SPACE = 50 << 20


def check_data_dir(data_dir: Path) -> list[Finding]:
    """Check that the data directory can be written, has space, and is private. One that is not there yet is not made."""
    if not data_dir.exists():
        return [_not_there(data_dir)]
    try:
        with tempfile.TemporaryFile(dir=data_dir) as file:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        why = error.strerror or str(error)
        is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        todo = "Make room now: calls cannot be written down." if is_full else "Set PBXCRM_DATA_DIR to one that can."
        return [bad(f"The data directory {data_dir} cannot be written: {why}.", todo)]
    findings = [good(f"The data directory {data_dir} can be written.")]
    free = shutil.disk_usage(data_dir).free
    said = f"{free / (1 << 30):.1f} GB free in the data directory."
    if free < NO_SPACE:
        findings.append(bad(said, "Make room now: calls cannot be written down."))
    elif free < LITTLE_SPACE:
        findings.append(odd(said, "Make room: the journal of calls needs it."))
    else:
        findings.append(good(said))
    if exposed := open_to_others(data_dir):
        which = ", ".join(str(path) for path in exposed[:3]) + (f" and {len(exposed) - 3} more" if exposed[3:] else "")
        todo = f"Run: chmod -R go= {data_dir} (every other pbxcrm command does that, too)."
        findings.append(odd(f"Others on this machine may open {which}.", todo))
    if data_dir.stat().st_uid != os.getuid():
        findings.append(odd(f"{data_dir} belongs to another user.", "Run pbxcrm always as the same user."))
    return findings


async def check_scanner(settings: Settings) -> list[Finding]:
    """Check that the scanner of files, if the settings name one, lets a harmless file pass or refuses it, but answers."""
    if not settings.files_scanner:
        return []
    why = await asyncio.to_thread(_why_unscanned, settings)
    if not why:
        return [good("The scanner of files answers.")]
    todo = "Check PBXCRM_FILES_SCANNER. Meanwhile no file is taken in."
    return [bad(f"The scanner of files cannot check a file: {why.rstrip('.')}.", todo)]


def _why_unscanned(settings: Settings) -> str:
    try:
        with tempfile.NamedTemporaryFile(dir=settings.data_dir) as file:
            file.write(b"A harmless text of pbxcrm doctor.")
            file.flush()
            return Scanner(settings.files_scanner).why_not(Path(file.name))
    except OSError as error:
        return error.strerror or str(error)


def _not_there(data_dir: Path) -> Finding:
    above = next(each for each in data_dir.absolute().parents if each.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        todo = "Set PBXCRM_DATA_DIR to a directory that can be written."
        return bad(f"There is no data directory {data_dir}, and it cannot be made: {above} cannot be written.", todo)
    return odd(f"There is no data directory {data_dir} yet.", "pbxcrm run makes it.")


async def check_lookups(settings: Settings) -> list[Finding]:
    """Check that the dialplan's questions reach this installation. Asked only while a listener runs on this machine."""
    found, place = await who_answers(settings), settings.agi_bind
    if found is WhoAnswers.OURS:
        return [good(f"The dialplan is answered who calls at {place}.")]
    if found is WhoAnswers.OTHER:
        todo = "Stop it, or set PBXCRM_AGI_BIND to a free port, here and in the dialplan."
        return [bad(f"Another program has the port {place}: the dialplan is not answered who calls.", todo)]
    if found is WhoAnswers.NOBODY:
        todo = "If a listener runs, check PBXCRM_AGI_BIND: its log says agi.port_taken with the reason."
        return [bad(f"Nobody answers the dialplan at {place}.", todo)]
    return []  # this machine may not ask


async def check_redis(settings: Settings) -> list[Finding]:
    """Check Redis: one from the settings must answer; the embedded one only answers while pbxcrm runs."""
    whose = "Redis" if settings.redis_url else "The embedded Redis"
    async with Redis.from_url(redis_url(settings), socket_connect_timeout=3) as redis:
        try:
            async with asyncio.timeout(3):
                version = (await redis.info("server")).get("redis_version", "?")
                await redis.set("pbxcrm:doctor", "1", ex=5)  # a full or read-only Redis would still answer to reads
        except (BusyLoadingError, AuthenticationError, ResponseError) as error:
            return [_takes_nothing(whose, error)]
        except (RedisError, OSError, TimeoutError) as error:
            why = str(error) or "no answer"
        else:
            return [good(f"{whose} answers and takes what is written (version {version}).")]
    if settings.redis_url:
        return [
            bad(
                f"Redis does not answer: {why.rstrip('.')}.",
                "Check PBXCRM_REDIS_URL. Meanwhile pages refresh late.",
            )
        ]
    try:
        return [good(f"The embedded Redis is not running, but can be ({find_server()}); pbxcrm run starts it.")]
    except BadSettings as error:
        return [bad(str(error), "")]


def _takes_nothing(whose: str, error: RedisError) -> Finding:
    """It is running and answered, but with an error: a full disk (MISCONF), a replica that only reads, a password, loading."""
    todo = "Look for a full disk, a server that only reads, or a wrong password in PBXCRM_REDIS_URL. Meanwhile pages refresh late."
    return bad(f"{whose} is running, but takes nothing: {str(error).rstrip('.')}.", todo)
