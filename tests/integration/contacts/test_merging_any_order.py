"""Random merges, edits and undos: nothing is lost on the way, and whoever undoes all of it backwards stands where they began."""

import asyncio
import shutil
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlmodel import col, select

from pbxcrm.composition import compose
from pbxcrm.contacts import merge_queries
from pbxcrm.contacts.models import Contact, Merge
from pbxcrm.deals.models import Deal
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict
from pbxcrm.shared.settings import Settings
from tests.calls import NOON
from tests.integration.contacts.merging import Clients
from tests.office import open_office

Result = TypeVar("Result")
NUMBERS = [f"+38067111220{each}" for each in range(4)]
CLIENTS = st.integers(0, 3)


class Merges(RuleBasedStateMachine):
    """Four clients who share numbers and addresses, with deals, tasks, notes, calls and open callbacks."""

    template: Path
    folder: Path
    runs = 0

    def __init__(self) -> None:
        super().__init__()
        Merges.runs += 1
        file = self.folder / f"{Merges.runs}.db"
        shutil.copyfile(self.template, file)
        self.runner = asyncio.Runner()
        self.database = Database(f"sqlite:///{file}")
        self.ids: list[int] = []
        self.made: list[int] = []  # deals made meanwhile
        self.edited = False
        self.crossed = False  # of two merged into one the first was undone first: what they shared may be at both
        self.turn = 0
        self.run(self._begin(file.parent))
        self.start = self.run(self.clients.picture())

    def run(self, what: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(what)

    async def _begin(self, folder: Path) -> None:
        office = await open_office(self.database)
        self.clients = Clients(self.database, office)
        intake = Intake(self.database, Settings(data_dir=folder))
        for each in range(4):
            numbers = [NUMBERS[each], NUMBERS[(each + each % 2) % 4]]  # some have one in common
            address = f"{'ABCD'[each // 2]}@example.com"
            made = await self.clients.make(
                f"Client {each}", *numbers, emails=(address,), note=f"Note {each}" * (each % 2)
            )
            self.ids.append(made)
            await self.clients.deal(made, f"Deal {each}")
            await self.clients.task(made, f"Task {each}")
            await self.clients.note(made, f"Written {each}")
        for each, number in enumerate(NUMBERS):
            await self.clients.missed(intake, number, NOON + timedelta(minutes=each))

    @rule(
        this=CLIENTS,
        into=CLIENTS,
        chosen=st.sampled_from([{}, {"name": "this"}, {"responsible_id": "this", "note": "into"}]),
    )
    def merge(self, this: int, into: int, chosen: dict[str, str]) -> None:
        if this == into:
            return
        self.turn += 1
        try:
            self.run(
                self.clients.merge(self.ids[this], self.ids[into], now=NOON + timedelta(hours=self.turn), chosen=chosen)
            )
        except Conflict:
            gone = [self.run(self.clients.get(self.ids[each])).merged_into_id for each in (this, into)]
            assert any(gone)

    @precondition(lambda self: self.run(self.open_merges()))
    @rule(which=st.integers(0, 10))
    def undo(self, which: int) -> None:
        merges = self.run(self.open_merges())
        merge = merges[which % len(merges)]
        try:
            self.run(self.clients.undo(merge.id or 0))
        except Conflict:
            assert self.run(self.clients.get(merge.into_id)).merged_into_id is not None
        else:
            self.crossed |= any(each.into_id == merge.into_id for each in merges if (each.id or 0) > (merge.id or 0))

    @rule(who=CLIENTS, name=st.sampled_from(["Renamed", "Other"]))
    def rename(self, who: int, name: str) -> None:
        self.edited = True
        self.run(self.clients.set(Contact, self.ids[who], name=name))

    @rule(who=CLIENTS)
    def work(self, who: int) -> None:
        self.edited = True
        if self.run(self.clients.get(self.ids[who])).merged_into_id is None:
            self.made.append(self.run(self.clients.deal(self.ids[who], "Newer")))

    @rule(who=CLIENTS)
    def edit_a_deal(self, who: int) -> None:
        self.edited = True
        self.run(self.clients.set(Deal, who + 1, title="Edited"))

    async def open_merges(self) -> list[Merge]:
        async with self.database.read() as session:
            found = await session.exec(select(Merge).where(col(Merge.undone_at).is_(None)).order_by(col(Merge.id)))
            return list(found.all())

    @invariant()
    def nothing_is_lost_and_nobody_is_lost(self) -> None:
        now = self.run(self.clients.picture())
        live = {row[0] for row in now["contacts"] if row[5] is None}
        assert {row[0] for row in now["contacts"]} == set(self.ids)
        for link in merge_queries.CLIENTS.links:
            rows = [row for row in now[link.name] if not (link.table.name == "deals" and row[0] in self.made)]
            assert [row[0] for row in rows] == [row[0] for row in self.start[link.name]], link.name
            assert {row[1] for row in now[link.name]} <= live | {None}, link.name
        assert {row[0] for row in now["phones"]} <= live
        assert {row[1] for row in now["phones"]} == {row[1] for row in self.start["phones"]}
        assert {row[1].casefold() for row in now["emails"]} == {row[1].casefold() for row in self.start["emails"]}
        assert len({row[:2] for row in now["phones"]}) == len(now["phones"])
        keys = [key for _, key, status, *_ in now["callbacks"] if status == "open"]
        assert len(keys) == len(set(keys))
        # what was missed is in one callback each, and counted there
        assert sorted(call for _, call in now["missed"]) == sorted(call for _, call in self.start["missed"])
        for episode, _, status, missed, *_ in now["callbacks"]:
            if status == "open":
                assert missed == len([1 for one, _ in now["missed"] if one == episode])
        into = {row[0]: row[5] for row in now["contacts"]}
        for each in self.ids:
            seen = set()
            at: int | None = each
            while at is not None:
                assert at not in seen, "a circle"
                seen.add(at)
                at = into[at]

    def teardown(self) -> None:
        for merge in reversed(self.run(self.open_merges())):
            self.run(self.clients.undo(merge.id or 0))
        end = self.run(self.clients.picture())
        if not self.edited and not self.crossed:
            assert end == self.start
        assert all(row[5] is None for row in end["contacts"])
        whose = dict(self.start["deals.contact_id"])
        assert {row: owner for row, owner in end["deals.contact_id"] if row in whose} == whose
        assert {row[:2] for row in self.start["phones"]} <= {row[:2] for row in end["phones"]}
        self.run(self.database.close())
        self.runner.close()


@pytest.mark.timeout(600)
def test_any_order_of_merges_edits_and_undos_loses_nothing(tmp_path: Path, sqlite_template: Path) -> None:
    compose()
    Merges.template, Merges.folder = sqlite_template, tmp_path
    run_state_machine_as_test(
        Merges,
        settings=settings(
            max_examples=8, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
