"""``pbxcrm doctor``: runs every check and prints one line per finding; exit code 1 when something does not work."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime
from functools import partial

from pbxcrm.cli.doctor_records import check_records
from pbxcrm.composition import compose
from pbxcrm.pbx.queries import is_listened_to_here
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import BadSettings
from pbxcrm.shared.settings import Pbx, Settings, load_settings
from pbxcrm.upkeep.doctor.data import (
    FAST_CLOCK_SECONDS,
    check_checkpoints,
    check_database,
    check_endpoints,
    check_files,
    check_listeners,
    check_mail,
    check_people,
    last_ended,
)
from pbxcrm.upkeep.doctor.findings import Finding, Mark, bad, good, odd
from pbxcrm.upkeep.doctor.machine import check_data_dir, check_lookups, check_redis, check_scanner

OLDEST_ASTERISK = 16
_RIGHTS = "Check read and write of our user in manager.conf (docs/connect-asterisk.md)."
_LOST = {
    "CoreSettings": ": its version is not known",
    "Ping": ": a broken link is noticed late",
    "ListCommands": ": which other commands we may use was not checked",
}
PATIENCE = 15.0  # seconds for one check; each gives up earlier by itself, except on a machine that has no time for it


def doctor(environ: dict[str, str]) -> int:
    """Print the findings as they come; return the exit code."""
    compose()
    try:
        settings = load_settings(environ)
    except BadSettings as error:
        print(bad(str(error), "Nothing else can be checked until this is corrected."))
        return 1
    print(good("The settings can be read."), flush=True)
    return asyncio.run(_print_all(settings))


async def _print_all(settings: Settings) -> int:
    code = 0
    async for finding in findings(settings, datetime.now(UTC)):
        print(finding, flush=True)
        if finding.mark is Mark.BAD:
            code = 1
    return code


async def findings(settings: Settings, now: datetime) -> AsyncIterator[Finding]:
    """Yield all findings, from the machine up to the people."""
    for finding in check_data_dir(settings.data_dir):
        yield finding
    for finding in await in_time("Redis", check_redis(settings)):
        yield finding
    for finding in await in_time("The scanner of files", check_scanner(settings)):
        yield finding
    db = Database(settings.database_url, pool_size=1)
    try:
        of_database = await in_time("The database", check_database(db))
        for finding in of_database:
            yield finding
        is_well = all(finding.mark is Mark.GOOD for finding in of_database)
        ended = await last_ended(db) if is_well else {}
        for pbx in settings.pbxs:
            for finding in await in_time(f"PBX {pbx.name}", check_pbx(pbx)):
                yield finding
            for finding in check_records(pbx, ended.get(pbx.name)):
                yield finding
        if is_well:
            for what, check in (
                ("The listeners", partial(check_listeners, db, settings, now)),
                ("Caller lookup", partial(check_dialplan, db, settings, now)),
                ("Checkpoints", partial(check_checkpoints, db, now)),
                ("Mail", partial(check_mail, db, settings, now)),
                ("Files", partial(check_files, db, settings)),
                ("People", partial(check_people, db)),
                ("Extensions", partial(check_endpoints, db, settings)),
            ):
                for finding in await in_time(what, check()):
                    yield finding
    finally:
        await db.close()


async def check_dialplan(db: Database, settings: Settings, now: datetime) -> list[Finding]:
    """Check who answers the dialplan, if a listener runs on this machine."""
    async with db.read() as session:
        here = await is_listened_to_here(session, now)
    return await check_lookups(settings) if here else []


async def in_time(what: str, check: Awaitable[list[Finding]], patience: float = PATIENCE) -> list[Finding]:
    """The findings of ``check``, or after ``patience`` seconds that it has not ended."""
    try:
        async with asyncio.timeout(patience) as limit:
            return await check
    except TimeoutError:
        if not limit.expired():
            raise
        todo = "The machine may be overloaded, or what is asked hangs: try again."
        return [bad(f"{what}: not checked, no answer within {patience:.0f} s.", todo)]


async def check_pbx(pbx: Pbx) -> list[Finding]:
    """Log in once and check address, secret, version, clock and rights."""
    from ami.errors import ActionTimeout, AmiError, BadAmiUrl
    from ami.probe import probe
    from ami.url import AmiUrl
    from pbxcrm.pbx.report_sentences import REPORTS

    name = f"PBX {pbx.name}"
    try:
        url = AmiUrl.parse(pbx.ami_url)
        seen = await probe(url)
    except BadAmiUrl as error:
        return [bad(f"{name}: {error}", "")]
    except ActionTimeout:
        return [bad(f"{name}: {url} accepts the login, but does not answer.", "Is it overloaded?")]
    except AmiError as error:
        known = {"host": url.host, "port": str(url.port), "user": url.user, "why": str(error), "retry_seconds": "a few"}
        code = error.params.get("code", error.code)
        said = REPORTS.get(code, "{why}").format_map(_Known(known | error.params))
        said = said.split(" Trying again")[0]  # doctor does not
        return [bad(f"{name}: {said}", "")]
    if seen.asterisk_version is None and seen.clock_offset_seconds is None:
        return [
            bad(
                f"{name}: what answers at {url} is not an Asterisk: it answers none of our actions.",
                "Check host and port.",
            )
        ]
    found = [good(f"{name}: logged in at {url}, Asterisk {seen.asterisk_version or 'of unknown version'}.")]
    found.extend(
        odd(f"{name}: we may not use {missing}.", "Change our user in manager.conf.") for missing in seen.missing
    )
    found.extend(
        odd(f"{name}: it refuses the command {action} ({why.rstrip('.')}){_LOST.get(action, '')}.", _RIGHTS)
        for action, why in seen.refused
    )
    major = (seen.asterisk_version or "").split(".")[0].removeprefix("certified-")
    if major.isdigit() and int(major) < OLDEST_ASTERISK:
        found.append(
            odd(f"{name}: Asterisk {major} is older than {OLDEST_ASTERISK}.", "Calls may be recorded wrongly.")
        )
    if abs(seen.clock_offset_seconds or 0) > FAST_CLOCK_SECONDS:
        todo = "Set both clocks by NTP: times of calls would be wrong."
        found.append(odd(f"{name}: its clock is {seen.clock_offset_seconds:+.0f} s off ours.", todo))
    return found


class _Known(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"
