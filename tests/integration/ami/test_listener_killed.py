"""The listener killed at any moment, and what the next one makes of its journal."""

import random

from ami.journal import Journal
from ami.snapshot import is_record
from pbxcrm.calls.facts import Outcome
from tests.integration.ami.office import PbxOffice, journalled, office

__all__ = ["office"]


async def test_killed_at_any_moment_it_ends_as_if_nothing_had_happened(office: PbxOffice) -> None:
    """Random calls; the database stands still or not; the listener is killed and started again, many times."""
    dice = random.Random(11)
    begun: list[str] = []
    for round_ in range(25):
        office.listen()
        await office.listening()
        if dice.random() < 0.6:
            office.sink.gate.clear()
        for n in range(dice.randint(1, 40)):
            if office.alive and dice.random() < 0.45:
                await office.pbx.send(office.end(dice.choice(list(office.alive))))
            else:
                begun.append(f"{round_}.{n}")
                await office.pbx.send(office.begin(begun[-1]))
        mark = f"mark.{round_}"
        await office.call(mark)  # once this is in the journal, everything before it is
        await journalled(office.folder / "journal", mark)
        await office.kill()
        office.sink.gate.set()
        office.sink.reports.clear()
    office.listen()
    await office.listening()
    for call in list(office.alive):
        await office.pbx.send(office.end(call))
    await office.call("last")
    await office.heard("last ended:#1")
    assert {call for call, _ in office.sink.facts} == {*begun, *(f"mark.{r}" for r in range(25)), "last"}
    for call in begun:
        ended = office.sink.facts[call, "ended:#1"].call
        assert ended.outcome is Outcome.MISSED  # heard, not guessed
        assert ended.started_at == office.sink.facts[call, "opened:#1"].at


async def test_a_replay_meets_the_snapshot_where_it_was_taken(office: PbxOffice) -> None:
    office.alive["9.9"] = None
    office.listen()
    await office.heard("9.9 opened:#1")
    await office.kill()
    first = office.sink.facts["9.9", "opened:#1"].at
    office.sink.facts.clear()
    office.sink.cursors.clear()  # a database restored from before
    office.listen()
    await office.heard("9.9 opened:#1")
    assert office.sink.facts["9.9", "opened:#1"].at == first
    await office.listening(2)
    await office.stop()
    journal = Journal(office.folder / "journal")
    assert sum(is_record(record.raw) for record in journal.read()) == 2
    journal.close()
