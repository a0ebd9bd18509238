"""Random work on deals through every path, by people of two teams: moves, edits, calls, requests of forms, callbacks, bulk acts, rules of
distribution, merges and their undos.

After each step the rules hold that everything else relies on: a complete history, one stage, gates, sums, versions, access.
"""

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.models import AuditEntry
from pbxcrm.callbacks import unsorted_actions
from pbxcrm.callbacks.models import Attempt, AttemptResult, Episode
from pbxcrm.callbacks.results import record_result
from pbxcrm.callbacks.undo_actions import undo_result
from pbxcrm.calls.models import Call
from pbxcrm.contacts.actions import create_contact, link_number
from pbxcrm.contacts.merge_actions import merge_contacts
from pbxcrm.contacts.models import Contact, Merge
from pbxcrm.contacts.unmerge_actions import undo_merge
from pbxcrm.deals import board_queries
from pbxcrm.deals.access import sees_deal, visible_deals
from pbxcrm.deals.actions import edit_deal, move_deal
from pbxcrm.deals.bulk_jobs import Act, BulkAct, start_bulk
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.filters import DealFilter
from pbxcrm.deals.merge_actions import merge_deals
from pbxcrm.deals.models import Deal, DealMerge, Stage, StageKind, StageMove
from pbxcrm.deals.pipeline_actions import archive_stage, restore_stage
from pbxcrm.deals.pipeline_rules import Requirements
from pbxcrm.deals.queries import list_pipelines
from pbxcrm.deals.unmerge_actions import undo_deal_merge
from pbxcrm.distribution.actions import hand_out
from pbxcrm.distribution.models import DistributionRule
from pbxcrm.distribution.rules import Kind, Member
from pbxcrm.fields.conditions import EVERYTHING
from pbxcrm.fields.relative_times import AskedAt
from pbxcrm.forms.models import WebForm
from pbxcrm.people.directory import load_directory
from pbxcrm.reactions.intake import Intake
from pbxcrm.screenpop import outcome_actions
from pbxcrm.shared.background_jobs import BackgroundJob, JobState, begin_undo, work_on
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import PbxcrmError
from pbxcrm.shared.settings import Settings
from pbxcrm.tasks.models import Task
from tests.calls import NOON, FactStory, batch
from tests.filled import fold
from tests.forms import make_form, send
from tests.integration.deals.deal_truth import check_history, check_stage
from tests.office import Office, open_office

Result = TypeVar("Result")
NUMBERS = ("+380671112233", "+380671112244", "+380671112255")
WORKERS = ("ivan", "olena", "maria", "petro", "oksana")
#: A phone of each of them, for calls.
PHONES = {"101": "ivan", "102": "olena", "201": "petro"}
EVERYBODY = (*WORKERS, "admin", "kira")
#: What one row of a deal is to people; whoever changes any of it counts the version.
SHOWN = ("title", "stage_id", "responsible_id", "contact_id", "amount", "source", "lost_reason", "closed_at")

who = st.sampled_from(WORKERS)
which = st.integers(0, 30)
amounts = st.sampled_from([None, Decimal(100), Decimal("250.50")])
meant = st.sampled_from([None, False, True])


class WorkOnDeals(RuleBasedStateMachine):
    """A pipeline in which one stage requires an amount and losing a deal a reason."""

    beginning: Path
    office: Office
    stages: list[int]
    asks_amount: int
    forms: list[WebForm]
    runs = 0

    def __init__(self) -> None:
        super().__init__()
        WorkOnDeals.runs += 1
        file = self.beginning.with_name(f"{WorkOnDeals.runs}.db")
        shutil.copyfile(self.beginning, file)
        self.runner = asyncio.Runner()
        self.database = Database(f"sqlite:///{file}")
        self.intake = Intake(self.database, Settings(data_dir=file.parent))
        self.now = NOON
        self.calls = 0
        self.moves_seen = 0
        self.before: dict[int, Deal] = {}
        self.clients_merged = False  # since the last look
        self.meant: set[int] = set()  # deals of which somebody said that they are the client's second one

    def run(self, what: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(what)

    # What people do. A refusal is an answer, too; what it leaves behind is looked at afterwards.

    def act(self, login: str, what: Callable[[AsyncSession, Viewer, datetime], Coroutine[Any, Any, object]]) -> None:
        self.now += timedelta(minutes=1)

        async def done() -> None:
            async with self.database.write() as session:
                await what(session, await self.office.viewer(session, login), self.now)

        try:
            self.run(done())
        except PbxcrmError:
            return

    def row(self, table: type[Any], number: int) -> Any:
        """One of the rows of a table; None while it is empty."""

        async def found() -> Any:
            async with self.database.read() as session:
                rows = (await session.exec(select(table).order_by(table.id))).all()
                return rows[number % len(rows)] if rows else None

        return self.run(found())

    def deal(self, number: int) -> int:
        found = self.row(Deal, number)
        return found.id if found else 0

    def client(self, number: int) -> int:
        found = self.row(Contact, number)
        return found.id if found else 0

    @rule(login=who, number=st.sampled_from([None, *NUMBERS]), amount=amounts, client=st.none() | which, second=meant)
    def make(
        self, login: str, number: str | None, amount: Decimal | None, client: int | None, *, second: bool | None
    ) -> None:
        contact_id = self.client(client) or None if client is not None else None

        async def made(session: AsyncSession, viewer: Viewer, now: datetime) -> None:
            deal = await create_deal(
                session,
                viewer,
                title=f"By {login}",
                now=now,
                currency="UAH",
                second=second,
                region="UA",
                values={"amount": amount},
                client_number=number,
                contact_id=contact_id,
            )
            self.said(deal.id, second)

        self.act(login, made)

    def said(self, deal_id: int | None, second: bool | None) -> None:
        if second:
            self.meant.add(deal_id or 0)

    @rule(login=who, deal=which, to=which, why=st.sampled_from(["", "too dear"]), undo=st.booleans(), second=meant)
    def move(self, login: str, deal: int, to: int, why: str, *, undo: bool, second: bool | None) -> None:
        deal_id, stage_id = self.deal(deal), self.stages[to % len(self.stages)]
        self.said(deal_id, second)
        self.act(
            login,
            lambda session, viewer, now: move_deal(
                session, viewer, deal_id, stage_id, version=None, now=now, lost_reason=why, undo=undo, second=second
            ),
        )

    @rule(login=who, numbers=st.lists(st.sampled_from(NUMBERS), max_size=1))
    def make_client(self, login: str, numbers: list[str]) -> None:
        self.act(
            login,
            lambda session, viewer, now: create_contact(
                session, viewer, name=f"Of {login}", phones=numbers, now=now, region="UA"
            ),
        )

    @rule(login=who, client=which, number=st.sampled_from(NUMBERS))
    def add_number(self, login: str, client: int, number: str) -> None:
        contact_id = self.client(client)
        self.act(
            login,
            lambda session, viewer, now: link_number(session, viewer, contact_id, number, region="UA", now=now),
        )

    @rule(login=who, deal=which, client=which, second=meant, unsorted=st.booleans())
    def set_client(self, login: str, deal: int, client: int, *, second: bool | None, unsorted: bool) -> None:
        deal_id, contact_id = self.deal(deal), self.client(client)
        self.said(deal_id, second)
        self.act(
            login,
            lambda session, viewer, now: (
                unsorted_actions.attach(
                    session, viewer, deal_id, contact_id, version=None, region="UA", now=now, second=second
                )
                if unsorted
                else edit_deal(
                    session, viewer, deal_id, version=None, now=now, contact_id=contact_id, keep_contact=False, second=second
                )
            ),
        )  # fmt: skip

    @rule(login=who, deal=which)
    def detach(self, login: str, deal: int) -> None:
        deal_id = self.deal(deal)
        self.act(login, lambda session, viewer, now: unsorted_actions.detach(session, viewer, deal_id, now=now))

    @rule(login=who, this=which, into=which)
    def merge_clients(self, login: str, this: int, into: int) -> None:
        self.clients_merged = True
        this_id, into_id = self.client(this), self.client(into)

        async def merged(session: AsyncSession, viewer: Viewer, now: datetime) -> None:
            await merge_contacts(session, viewer, this_id, into_id, now=now)

        self.act(login, merged)

    @rule(login=who, merge=which)
    def unmerge_clients(self, login: str, merge: int) -> None:
        found = self.row(Merge, merge)
        if found is not None:
            self.clients_merged = True
            self.act(login, lambda session, viewer, now: undo_merge(session, viewer, found.id, now=now))

    @rule(login=who, deal=which, amount=amounts, source=st.sampled_from(["", "web"]))
    def edit(self, login: str, deal: int, amount: Decimal | None, source: str) -> None:
        deal_id, values = self.deal(deal), {"amount": amount, "source": source}
        self.act(
            login,
            lambda session, viewer, now: edit_deal(session, viewer, deal_id, version=None, now=now, values=values),
        )

    @rule(login=who, deal=which, to=who)
    def give(self, login: str, deal: int, to: str) -> None:
        deal_id, to_id = self.deal(deal), self.office.id(to)
        self.act(
            login,
            lambda session, viewer, now: edit_deal(
                session, viewer, deal_id, version=None, now=now, responsible_id=to_id
            ),
        )

    @rule(
        login=who,
        chosen=st.lists(which, min_size=1, max_size=12),
        kind=st.sampled_from(Act),
        to=which,
        person=who,
    )
    def bulk(self, login: str, chosen: list[int], kind: Act, to: int, person: str) -> None:
        asked = BulkAct(
            kind,
            stage_id=self.stages[to % len(self.stages)] if kind is Act.MOVE else None,
            user_id=self.office.id(person) if kind is Act.ASSIGN else None,
            text="many",
            due_at=self.now + timedelta(hours=1) if kind is Act.TASK else None,
        )
        deals: list[tuple[int, int | None]] = [(self.deal(each), None) for each in chosen]
        self.act(login, lambda session, viewer, now: start_bulk(session, viewer, asked, deals, now))
        self.run(work_on(self.database, self.now))

    @rule(job=which)
    def undo_bulk(self, job: int) -> None:
        found = self.row(BackgroundJob, job)
        if found is None or found.state != JobState.DONE:
            return

        async def undone() -> None:
            async with self.database.write() as session:
                begin_undo(await session.get_one(BackgroundJob, found.id))

        self.run(undone())
        self.run(work_on(self.database, self.now))

    @rule(login=who, this=which, into=which)
    def merge(self, login: str, this: int, into: int) -> None:
        this_id, into_id = self.deal(this), self.deal(into)
        self.act(login, lambda session, viewer, now: merge_deals(session, viewer, this_id, into_id, now=now))

    @rule(login=who, merge=which)
    def unmerge(self, login: str, merge: int) -> None:
        found = self.row(DealMerge, merge)
        if found is not None:
            self.said(found.from_id, second=True)  # that they are two is what the undo says
            self.act(login, lambda session, viewer, now: undo_deal_merge(session, viewer, found.id, now=now))

    @rule(number=st.sampled_from(NUMBERS), phone=st.sampled_from(list(PHONES)), answered=st.booleans())
    def call(self, number: str, phone: str, *, answered: bool) -> None:
        self.calls += 1
        self.now += timedelta(minutes=1)
        story = FactStory(f"9.{self.calls}", number, at=self.now).ring(phone).wait(5)
        story = story.answer(phone).wait(40) if answered else story
        self.run(self.intake.apply(batch(story.end(), position=self.calls)))
        self.now = story.at

    @rule(login=who, episode=which, result=st.sampled_from(AttemptResult))
    def call_back(self, login: str, episode: int, result: AttemptResult) -> None:
        found = self.row(Episode, episode)
        if found is None:
            return
        self.act(
            login,
            lambda session, viewer, now: record_result(
                session, viewer, found.id, result, now=now, region="UA", why="too dear", without_call="by mail"
            ),
        )

    @rule(login=who, attempt=which)
    def undo_call_back(self, login: str, attempt: int) -> None:
        found = self.row(Attempt, attempt)
        if found is not None:
            self.act(login, lambda session, viewer, now: undo_result(session, viewer, found.id, now=now))

    @rule(login=who, call=which, undo=st.booleans())
    def finish_card(self, login: str, call: int, *, undo: bool) -> None:
        found = self.row(Call, call)
        if found is None:
            return
        self.act(
            login,
            lambda session, viewer, now: (
                outcome_actions.unhide(session, viewer, found.id, now)
                if undo
                else outcome_actions.finish(session, viewer, found.id, "not_interested", now, why="too dear")
            ),
        )

    @rule(login=who, deal=which, undo=st.booleans())
    def refuse_unsorted(self, login: str, deal: int, *, undo: bool) -> None:
        deal_id = self.deal(deal)
        self.act(
            login,
            lambda session, viewer, now: (
                unsorted_actions.take_back(session, viewer, deal_id, now=now)
                if undo
                else unsorted_actions.refuse(
                    session, viewer, deal_id, "not a client", version=None, now=now, region="UA"
                )
            ),
        )

    @rule(number=st.sampled_from(NUMBERS), form=which, repeated=st.booleans())
    def request(self, number: str, form: int, *, repeated: bool) -> None:
        """Through a web form; the same content again within five minutes is one request."""
        self.now += timedelta(minutes=1)
        asked = self.forms[form % len(self.forms)]
        first = self.run(send(self.database, asked, self.now, number=number, content=f"{number} at {self.now}"))
        if repeated:
            again = self.run(send(self.database, asked, self.now, number=number, content=f"{number} at {self.now}"))
            assert again.id == first.id

    @rule(login=who, deal=which)
    def distribute(self, login: str, deal: int) -> None:
        deal_id = self.deal(deal)
        self.act(login, lambda session, viewer, now: hand_out(session, viewer, deal_id, None, now))

    @rule(on=st.booleans())
    def switch_distribution(self, *, on: bool) -> None:
        async def switched(session: AsyncSession, _viewer: Viewer, _now: datetime) -> None:
            (await session.exec(select(DistributionRule))).one().is_on = on

        self.act("admin", switched)

    @rule(stage=which, to=which)
    def remove_stage(self, stage: int, to: int) -> None:
        this, other = self.stages[stage % len(self.stages)], self.stages[to % len(self.stages)]
        self.act("admin", lambda session, viewer, now: archive_stage(session, viewer, this, other, now=now))

    @rule(stage=which)
    def bring_stage_back(self, stage: int) -> None:
        this = self.stages[stage % len(self.stages)]
        self.act("admin", lambda session, viewer, now: restore_stage(session, viewer, this, now=now))

    # What always holds.

    @invariant()
    def rules_hold(self) -> None:
        self.run(self._look())

    async def _look(self) -> None:
        async with self.database.read() as session:
            deals = {deal.id or 0: deal for deal in (await session.exec(select(Deal))).all()}
            stages = {stage.id or 0: stage for stage in (await session.exec(select(Stage))).all()}
            moves = (await session.exec(select(StageMove).order_by(col(StageMove.id)))).all()
            told = (await session.exec(select(AuditEntry).order_by(col(AuditEntry.id)))).all()
            for deal_id, deal in deals.items():
                check_stage(deal, stages, [move for move in moves if move.deal_id == deal_id])
                mine = [entry for entry in told if entry.entity == "deal" and entry.entity_id == str(deal_id)]
                check_history(deal, mine)
                self._version(deal)
            tasks = (await session.exec(select(Task.about).where(col(Task.about).startswith("second-deal:")))).all()
            self._no_silent_second(deals, {int(about.partition(":")[2]) for about in tasks})
            self._gates([move for move in moves if (move.id or 0) > self.moves_seen], deals)
            assert set(self.before) <= set(deals)
            for login in EVERYBODY:
                await self._seen(session, await self.office.viewer(session, login), deals)
            self.moves_seen = max((move.id or 0 for move in moves), default=0)
            session.expunge_all()
            self.before, self.clients_merged = deals, False

    def _version(self, deal: Deal) -> None:
        """Whatever changes a deal gives it another version, except a merge of clients: the deal's client is the same person after it,
        so nobody's open form is refused, and an undo of the merge knows by the versions who worked on the deal since.
        """
        earlier = self.before.get(deal.id or 0)
        changed = [key for key in SHOWN if earlier is not None and getattr(deal, key) != getattr(earlier, key)]
        if self.clients_merged and "contact_id" in changed:
            changed.remove("contact_id")
        assert not changed or earlier is None or deal.version > earlier.version, changed

    def _no_silent_second(self, deals: dict[int, Deal], told: set[int]) -> None:
        """Of the open deals of one client in one pipeline all but one were meant, or a task told of them."""
        of_client: dict[tuple[int, int], list[int]] = {}
        for deal_id, deal in deals.items():
            if deal.contact_id is not None and deal.closed_at is None:
                of_client.setdefault((deal.contact_id, deal.pipeline_id), []).append(deal_id)
        for found in of_client.values():
            silent = [deal_id for deal_id in found if deal_id not in self.meant | told]
            assert len(silent) < 2, f"a second open deal that nobody was asked or told about: {silent}"

    def _gates(self, moves: list[StageMove], deals: dict[int, Deal]) -> None:
        for move in moves:
            if move.to_stage_id == self.asks_amount:
                assert deals[move.deal_id].amount is not None, "passed beside the gate"

    async def _seen(self, session: AsyncSession, viewer: Viewer, deals: dict[int, Deal]) -> None:
        """What somebody sees is what the rule says of the row, and the heads of the board add up what they see."""
        people = await load_directory(session)
        seen = set((await session.exec(select(Deal.id).where(visible_deals(viewer)))).all())
        assert seen == {deal_id for deal_id, deal in deals.items() if sees_deal(viewer, deal, people)}
        asked = DealFilter(EVERYTHING, AskedAt(self.now, ZoneInfo("Europe/Kyiv")))
        for pipeline, stages in await list_pipelines(session):
            chosen = await board_queries.selected(session, viewer, pipeline.id or 0, stages, asked)
            heads = await board_queries.figures(session, viewer, stages, chosen, {})
            cards = await board_queries.first_cards(session, viewer, stages, chosen, board_queries.Sort.DATE, cards=200)
            for stage in stages:
                rows = [deals[deal_id] for deal_id in seen if deal_id and deals[deal_id].stage_id == stage.id]
                head = heads[stage.id or 0]
                assert (head.count, head.amount) == (len(rows), sum(deal.amount or Decimal(0) for deal in rows))
                assert {card.id for card in cards[stage.id or 0]} == {deal.id for deal in rows}

    def teardown(self) -> None:
        self.run(self.database.close())
        self.runner.close()


async def _begin(file: Path) -> None:
    """An office whose second stage of work requires an amount, and its stage of lost deals a reason."""
    database = Database(f"sqlite:///{file}")
    WorkOnDeals.office = await open_office(database)
    async with database.write() as session:
        stages = (await session.exec(select(Stage).order_by(col(Stage.position)))).all()
        _, asks_amount, *_ = [stage for stage in stages if stage.kind == StageKind.OPEN]
        (lost,) = [stage for stage in stages if stage.kind == StageKind.LOST]
        asks_amount.requires = Requirements(fields=("amount",)).stored()
        lost.requires = Requirements(lost_reason=True).stored()
        turns = [Member(Kind.USER, WorkOnDeals.office.id(login)).stored() for login in ("olena", "petro")]
        session.add(DistributionRule(name="Turns", method="turns", members=turns, otherwise="nobody"))
        admin = await WorkOnDeals.office.viewer(session, "admin")
        WorkOnDeals.asks_amount, WorkOnDeals.stages = asks_amount.id or 0, [stage.id or 0 for stage in stages]
    WorkOnDeals.forms = [await make_form(database, admin, NOON, name=name) for name in ("Site", "Fair")]
    await database.close()
    fold(file)


@pytest.mark.timeout(600)
def test_any_order_of_work_on_deals_keeps_the_rules(tmp_path: Path, sqlite_template: Path) -> None:
    WorkOnDeals.beginning = tmp_path / "beginning.db"
    shutil.copyfile(sqlite_template, WorkOnDeals.beginning)
    asyncio.run(_begin(WorkOnDeals.beginning))
    run_state_machine_as_test(
        WorkOnDeals,
        settings=settings(
            max_examples=5,
            stateful_step_count=28,
            deadline=None,
            phases=[Phase.generate],  # a failure says its steps; making them fewer would take minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
