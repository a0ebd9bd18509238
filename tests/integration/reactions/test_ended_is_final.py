"""A finished call is never opened again, whatever is told of it in whatever order.

The facts are those of journal, snapshot and CEL of two calls that a listener, killed again and again, once left open for ever:
a client is missed at 101, calls again at once and is answered by 101.
"""

import asyncio
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from sqlmodel import select

from ami import cel, cel_translation
from ami.cel_translation import Told
from ami.snapshot import Snapshot
from ami.tracker import Tracker
from pbxcrm.callbacks.models import Episode
from pbxcrm.calls.facts import Batch, CallFact, FactKind, Outcome
from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.calls.queries import open_calls
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.pbx.state import JournalPosition
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from pbxcrm.tasks.models import Task
from tests.office import Office, open_office

REPORTED = Path(__file__).parents[2] / "scenarios/reported/cel_open_for_ever.cel.csv"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[Told]:
    """What happened, as manager events; the phone is that of somebody in the office."""
    path = tmp_path_factory.mktemp("cel") / "cel.csv"
    path.write_text(REPORTED.read_text().replace("151", "101"))
    return list(cel_translation.messages(cel.read(path)))


def heard(events: Sequence[Told]) -> list[CallFact]:
    """The facts of a listener that heard these events, and nothing more."""
    tracker = Tracker()
    return [fact for at, message in events for fact in tracker.feed(message, at)] + tracker.close()


def cut_off(events: Sequence[Told], cut: int, at: Any) -> list[CallFact]:
    """The facts of a listener that was killed, and then found everybody gone: nobody knows how their calls ended."""
    tracker = Tracker()
    facts = [fact for when, message in events[:cut] for fact in tracker.feed(message, when)]
    return facts + tracker.reconcile(Snapshot(channels=()), at)


def met_late(events: Sequence[Told], cut: int) -> list[CallFact]:
    """The facts of one who came while a call went on."""
    return heard(events[cut:])


@dataclass(frozen=True)
class Telling:
    """In what order things are told, and in how many transactions."""

    facts: tuple[CallFact, ...]
    sizes: tuple[int, ...]

    def batches(self) -> list[Batch]:
        parts, rest = [], list(self.facts)
        for size in self.sizes:
            parts.append(rest[:size])
            rest = rest[size:]
        parts.append(rest)
        return [Batch("default", tuple(part), JournalPosition(0, 0)) for part in parts if part]


async def outcome_of(database: Database, telling: Telling, folder: Path) -> dict[str, Any]:
    """What the database says in the end of calls, episode, deal, tasks and phones."""
    intake = Intake(database, Settings(data_dir=folder))
    for batch in telling.batches():
        await intake.apply(batch)
    async with database.read() as session:
        calls = (await session.exec(select(Call).order_by(Call.linkedid))).all()
        legs = (await session.exec(select(CallLeg))).all()
        deals = (await session.exec(select(Deal, Stage).where(Deal.stage_id == Stage.id))).all()
        episodes = (await session.exec(select(Episode))).all()
        tasks = (await session.exec(select(Task))).all()
        still_open = await open_calls(session, "default")
    return {
        "calls": [(c.linkedid, c.outcome, c.missed_reason, c.answered_by, c.ringing, c.talking) for c in calls],
        "legs": sorted((leg.channel_id, leg.result, leg.ended_at is not None) for leg in legs),
        "deals": [(deal.client_number, stage.kind) for deal, stage in deals],
        "episodes": [(e.client_number, e.status, e.missed_count) for e in episodes],
        "open tasks": [task.kind for task in tasks if task.status == "open"],
        "open calls": [call.linkedid for call in still_open],
    }


TRUE = {
    "calls": [
        ("1795797904.84", "missed", "abandoned_ringing", None, [], []),
        ("1795797905.100", "answered", None, "101", [], []),
    ],
    "legs": [("1795797904.85", "cancelled", True), ("1795797905.101", "talked", True)],
    "open tasks": [],
    "open calls": [],
}


def assert_true(found: dict[str, Any]) -> None:
    assert {name: found[name] for name in TRUE} == TRUE
    assert [kind for _, kind in found["deals"]] == ["unsorted"]
    assert all(status == "recovered" for _, status, _ in found["episodes"])


def some_telling(told: Sequence[Told], dice: random.Random) -> Telling:
    at = told[-1][0]
    facts = [*heard(told), *cut_off(told, dice.randrange(len(told)), at)]
    facts += [fact for fact in heard(told) if fact.kind is FactKind.ENDED]
    facts += [f for f in met_late(told, dice.randrange(len(told))) if f.call.outcome in {Outcome.OPEN, Outcome.UNKNOWN}]
    dice.shuffle(facts)
    return Telling(tuple(facts), tuple(dice.randrange(1, 6) for _ in range(dice.randrange(8))))


async def test_told_in_order(database: Database, office: Office, told: list[Told], tmp_path: Path) -> None:
    assert_true(await outcome_of(database, Telling(tuple(heard(told)), ()), tmp_path))


async def test_ended_opened_ringing(database: Database, office: Office, told: list[Told], tmp_path: Path) -> None:
    """As it was written once: the end from CEL, then the beginning from the journal."""
    facts = heard(told)
    ends = [fact for fact in facts if fact.kind is FactKind.ENDED]
    rest = [fact for fact in facts if fact.kind is not FactKind.ENDED]
    assert_true(await outcome_of(database, Telling((*ends, *rest, *ends), (1, 1, 1, 1)), tmp_path))


@pytest.mark.parametrize("seed", range(5))
async def test_in_any_order(database: Database, office: Office, told: list[Told], tmp_path: Path, seed: int) -> None:
    assert_true(await outcome_of(database, some_telling(told, random.Random(seed)), tmp_path))


@pytest.fixture(scope="module")
def office_file(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """A database with an office in it, to be copied."""
    path = tmp_path_factory.mktemp("office") / "office.db"
    shutil.copyfile(sqlite_template, path)

    async def fill() -> None:
        database = Database(f"sqlite:///{path}")
        await open_office(database)
        await database.close()

    asyncio.run(fill())
    return path


# A failing example is as good as its smaller kin, and each costs a database.
@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(seed=21)
@given(seed=st.integers(0, 1 << 32))
def test_in_every_order(office_file: Path, told: list[Told], tmp_path: Path, seed: int) -> None:
    path = tmp_path / "copy.db"
    for leftover in tmp_path.glob("copy.db*"):
        leftover.unlink()
    shutil.copyfile(office_file, path)

    async def tell() -> dict[str, Any]:
        database = Database(f"sqlite:///{path}")
        try:
            return await outcome_of(database, some_telling(told, random.Random(seed)), tmp_path)
        finally:
            await database.close()

    assert_true(asyncio.run(tell()))
