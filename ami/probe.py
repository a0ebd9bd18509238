"""Checks a PBX for ``pbxcrm doctor``: whether it answers, whether we may log in, and which rights we have."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from ami.connection import Link, Timing
from ami.errors import ActionRefused
from ami.snapshot import Headers
from ami.take_snapshot import clock_offset
from ami.url import AmiUrl

#: The actions we need, and what does not work without each. The keys are spelled as in ListCommands.
WANTED: dict[str, str] = {
    "CoreShowChannels": "what went on while the link was down cannot be compared (write=reporting)",
    "CoreStatus": "a restart of the PBX cannot be told from a broken link (write=reporting)",
    "Originate": "click-to-call does not work (write=originate)",
    "BlindTransfer": "transfer from the card does not work (write=call)",
    "Hangup": "hanging up from the card does not work (write=call)",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """The result of a probe. ``missing`` names each action we may not send and what does not work without it; ``refused`` those
    that the PBX refused when asked, with its words.
    """

    asterisk_version: str | None
    clock_offset_seconds: float | None
    missing: tuple[str, ...]
    refused: tuple[tuple[str, str], ...] = ()


async def probe(url: AmiUrl) -> Seen:
    """Log in, check, disconnect. Raises LinkDown or LoginRefused, whose ``params`` say why."""
    link = Link(url, Timing(), lambda: datetime.now(UTC))
    refused: dict[str, str] = {}

    async def ask(action: Headers, *, as_list: bool = False) -> list[Headers]:
        try:
            return await link.send(action, as_list=as_list)
        except ActionRefused as error:
            refused[action["Action"]] = error.params["why"]
            return [{}]

    try:
        await link.open()
        version = (await ask({"Action": "CoreSettings"}))[0].get("AsteriskVersion")
        offset = await clock_offset(ask, time.time)
        allowed = (await ask({"Action": "ListCommands"}))[0]
    finally:
        link.close()
    # A very short list means that we cannot read it, so nothing is reported as missing.
    missing = [f"{name}: {lost}" for name, lost in WANTED.items() if len(allowed) > 5 and name not in allowed]
    return Seen(version, offset, tuple(missing), tuple(refused.items()))
