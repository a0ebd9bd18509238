"""Record what the manager interface says while a story happens: ``python -m tests.asterisk.record --version 22 [NAME…]``.

For each story two files below ``tests/scenarios/asterisk-VERSION``: the bytes as the socket delivered them, and the calls
that a tracker must report. Stories marked so are recorded a second time as ``NAME_filtered``, for the manager user with
the least rights.

With ``--cel`` every story is recorded for that user only, below ``tests/scenarios/cel-VERSION``, and beside it stands
``NAME.cel.csv``: what Asterisk's channel event log, configured as in ``dialplan_examples``, held of the same calls.
"""

import argparse
import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

from tests.asterisk.manager import ManagerTap
from tests.asterisk.office import SECRET, AsteriskOffice, running_office
from tests.asterisk.phone import SipPhone, Trunk
from tests.asterisk.server import AsteriskServer, explained
from tests.asterisk.stories import calls_in, calls_out, harder, outside, programs, queues, together, transfers
from tests.asterisk.stories.story import STORIES, Story

BOOKS = (calls_in, transfers, queues, calls_out, harder, together, programs, outside)
SCENARIOS = Path(__file__).parent.parent / "scenarios"


@dataclass(frozen=True)
class StoryRecording:
    """One story, told to one manager user."""

    story: Story
    user: str
    with_cel: bool = False

    @property
    def name(self) -> str:
        return self.story.name if self.user == "full" or self.with_cel else f"{self.story.name}_filtered"


async def record(
    recording: StoryRecording, server: AsteriskServer, phones: dict[str, SipPhone], trunk: Trunk, technology: str
) -> bytes:
    """Drive the story once and return the stream; the PBX is at rest before and after."""
    async with (
        ManagerTap(server.ami_port, "full", SECRET) as boss,
        ManagerTap(server.ami_port, recording.user, SECRET) as tap,
    ):
        try:
            await recording.story.drive(AsteriskOffice(server, phones, trunk, boss, technology))
            await (tap.closed.wait() if recording.story.restarts else tap.settled())
        finally:
            for phone in (*phones.values(), trunk):
                phone.forget()
        return bytes(tap.raw)


def save(folder: Path, recording: StoryRecording, stream: bytes, cel: str) -> None:
    """Write the files; the truth comes from the story alone."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{recording.name}.ami").write_bytes(stream)
    if recording.with_cel:
        (folder / f"{recording.name}.cel.csv").write_text(cel)
    truth = json.dumps(recording.story.calls, ensure_ascii=False, indent=1)
    (folder / f"{recording.name}.json").write_text(f"{truth}\n")


def _written(server: AsteriskServer) -> str:
    """The channel event log so far."""
    path = server.folder / "log/cel-custom/Master.csv"
    return path.read_text() if path.exists() else ""


async def run(version: str, technology: str, names: list[str], *, with_cel: bool) -> list[str]:
    """Make those recordings (all without names); returns the names of those that failed."""
    stories = [story for story in STORIES.values() if technology in story.technologies]
    every = [
        StoryRecording(story, user)
        for story in stories
        for user in ("full", "least")
        if user == "full" or story.filtered
    ]
    if with_cel:
        every = [StoryRecording(story, "least", with_cel=True) for story in stories]
    folder = f"cel-{version}" if with_cel else f"asterisk-{version}{'-chan_sip' if technology == 'SIP' else ''}"
    recordings = [one for one in every if not names or one.name in names or one.story.name in names]
    failed = []
    async with running_office(version, technology) as (server, phones, trunk):
        for recording in recordings:
            before = len(_written(server))
            try:
                with explained(server):
                    stream = await record(recording, server, phones, trunk, technology)
            except (AssertionError, TimeoutError) as error:
                failed.append(recording.name)
                print(f"{recording.name}: {error!r}\n" + "\n".join(getattr(error, "__notes__", [])))
                await server.kill()
                await server.start()
                continue
            save(SCENARIOS / folder, recording, stream, _written(server)[before:])
            print(f"{recording.name}: {len(stream)} bytes", flush=True)
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(description="Record manager events of a real Asterisk.")
    parser.add_argument("--version", choices=["22", "16"], default="22")
    parser.add_argument("--chan-sip", action="store_true", help="with the old SIP driver (Asterisk 16 has it)")
    parser.add_argument("--cel", action="store_true", help="with the channel event log beside each stream")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(STORIES)}")
    options = parser.parse_args()
    technology = "SIP" if options.chan_sip else "PJSIP"
    failed = asyncio.run(run(options.version, technology, options.names, with_cel=options.cel))
    if failed:
        raise SystemExit(f"not recorded: {', '.join(failed)}")


if __name__ == "__main__":
    main()
