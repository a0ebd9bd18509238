"""Plays the week: calls come as facts, people work through the doors of the product, and the reference hears what happened."""

import heapq
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.models import AuditEntry
from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.checkpoints.absence_actions import settle_absences_now
from pbxcrm.checkpoints.escalation_actions import accept, comment, make_joint, reassign
from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.checkpoints.pause_actions import end_pause, pause_deal
from pbxcrm.checkpoints.sweep import sweep_lamps
from pbxcrm.deals.actions import edit_deal, move_deal
from pbxcrm.deals.models import Deal, StageKind, StageMove
from pbxcrm.notes.actions import add_note
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import PbxcrmError
from pbxcrm.tasks.actions import create_task, edit_task
from pbxcrm.tasks.finish_actions import finish_task
from tests.calls import FactStory, batch, outbound
from tests.week import reference, reference_facts
from tests.week.reference_facts import Planned, ReferenceAct, Subject
from tests.week.world import (
    WeekClient,
    World,
    minute_of,
    moment,
)


@dataclass(slots=True)
class Simulation:
    database: Database
    intake: Intake
    world: World
    admin: Viewer
    dice: random.Random
    down: range = range(0)  # minutes in which no worker runs
    now: int = 0
    last_move: int = 0
    calls: int = 0
    done: Counter[str] = field(default_factory=Counter)
    clients_of_deals: dict[int, WeekClient] = field(default_factory=dict)
    clients_of_callbacks: dict[int, WeekClient] = field(default_factory=dict)
    planned: int = 0
    later: list[tuple[int, int, Callable[[], Awaitable[None]]]] = field(default_factory=list)

    @property
    def office(self) -> reference.ReferenceOffice:
        return self.world.office

    @property
    def at(self) -> datetime:
        return moment(self.now)

    def plan(self, minute: int, act: Callable[[], Awaitable[None]]) -> None:
        self.planned += 1
        heapq.heappush(self.later, (minute, self.planned, act))

    async def run(self) -> None:
        due = await self._next_due()
        for minute in range(self.world.minutes):
            self.now = minute
            if self.now not in self.down:
                if due is not None and due <= self.at:
                    await sweep_lamps(self.database, self.at)
                    due = await self._next_due()
                self.done["lit"] += self.office.light(self.now)
            happened = False
            while self.later and self.later[0][0] <= self.now:
                await heapq.heappop(self.later)[2]()
                happened = True
            if happened:
                await self.follow_who_is_there()
                due = await self._next_due()
            self.office.pass_minute(self.now)

    async def follow_who_is_there(self) -> None:
        """What the worker does each minute, in the product and in the reference."""
        acts = await self._acts() if self.office.somebody_stands_in else []
        await settle_absences_now(self.database, self.at)
        self.office.follow_who_is_there(self.now, acts)

    async def _acts(self) -> list[ReferenceAct]:
        """What people did with deals and callbacks, from the log."""
        async with self.database.read() as session:
            query = select(AuditEntry).where(
                col(AuditEntry.actor_id).is_not(None), col(AuditEntry.entity).in_(["deal", "callback"])
            )
            entries = (await session.exec(query)).all()
            lamps = {lamp.id: (lamp.checkpoint_id, lamp.step) for lamp in (await session.exec(select(Lamp))).all()}
        said = {"escalation.commented", "escalation.joint"}
        return [
            ReferenceAct(
                ("deal" if each.entity == "deal" else "callback", int(each.entity_id)),
                each.actor_id or 0,
                minute_of(each.at) or 0,
                lamps.get(each.data["lamp"]) if each.action in said else None,
            )
            for each in entries
        ]

    async def _next_due(self) -> datetime | None:
        async with self.database.read() as session:
            query = select(Lamp.due_at).where(Lamp.state == LampState.ARMED.value).order_by(col(Lamp.due_at)).limit(1)
            return (await session.exec(query)).first()

    async def do(self, act: Callable[[AsyncSession], Awaitable[object]]) -> bool:
        """One transaction. False if the product refused it, and then nothing has happened."""
        try:
            async with self.database.write() as session:
                await act(session)
        except PbxcrmError as error:
            self.done[f"refused {error.code}"] += 1
            return False
        return True

    # What follows from calls: facts for the reference, which does not care why they happened

    async def look_around(self, client: WeekClient, event: str) -> None:
        async with self.database.read() as session:
            moves = (
                await session.exec(
                    select(StageMove).where(col(StageMove.id) > self.last_move).order_by(col(StageMove.id))
                )
            ).all()
            deals = {}
            for move in moves:
                deals[move.deal_id] = await session.get_one(Deal, move.deal_id)
            own = [deal_id for deal_id, whose in self.clients_of_deals.items() if whose is client]
            owners = (
                await session.exec(select(Deal.id, Deal.responsible_id).where(col(Deal.id).in_([*own, *deals])))
            ).all()
            whose_calls = col(Episode.client_number).in_(client.numbers)
            episodes = (await session.exec(select(Episode).where(whose_calls).order_by(col(Episode.id)))).all()
        for move in moves:
            self._moved(move, deals[move.deal_id], client)
        for deal_id, owner_id in owners:
            if deal_id is not None and self.office.deals[deal_id].owner_id != owner_id:
                self.office.deals[deal_id].owner_id = owner_id
                self.office.look(("deal", deal_id), self.now)
        for episode in episodes:
            self.clients_of_callbacks[episode.id or 0] = client
            self._called(episode, event)

    def _moved(self, move: StageMove, row: Deal, client: WeekClient) -> None:
        self.last_move = move.id or 0
        stage = self.world.stages[move.to_stage_id]
        closed, entered = stage.kind in {StageKind.WON, StageKind.LOST}, minute_of(move.at)
        assert entered is not None
        known = self.office.deals.get(move.deal_id)
        if known is None:
            known = reference_facts.ReferenceDeal(
                move.deal_id,
                stage.pipeline_id,
                move.to_stage_id,
                row.responsible_id,
                entered,
                entered,
                move.id or 0,
                closed,
            )
            self.office.deals[move.deal_id] = known
            self.clients_of_deals[move.deal_id] = client
        else:
            known.pipeline_id, known.stage_id, known.entered_at = stage.pipeline_id, move.to_stage_id, entered
            known.move, known.is_closed = move.id or 0, closed
        self.office.look(("deal", move.deal_id), self.now)

    def _called(self, episode: Episode, event: str) -> None:
        assert episode.id is not None
        known = self.office.callbacks.get(episode.id)
        planned = minute_of(episode.next_attempt_at)
        if known is None:
            known = reference_facts.Callback(episode.id, episode.owner_id, self.now)
            self.office.callbacks[episode.id] = known
        elif not known.is_open:
            return
        elif event == "missed" and (known.is_planned or known.clock_from is None):
            known.clock_from = self.now
        elif event == "tried" and planned is not None:
            known.clock_from = planned
        elif known.owner_id != episode.owner_id:  # a manager gave it to somebody
            known.clock_from = self.now
        known.owner_id, known.is_planned = episode.owner_id, planned is not None
        known.is_open = episode.status == EpisodeStatus.OPEN
        self.office.look(("callback", episode.id), self.now)

    # Calls

    def _story(self, client: WeekClient, *, of_ours: bool, at: datetime) -> FactStory:
        self.calls += 1
        seller = self.dice.choice(self.world.sellers())
        extension, number = self.world.extensions[seller.id], self.dice.choice(client.numbers)
        if of_ours:
            return outbound(f"week.{self.calls}", extension, number, at)
        return FactStory(f"week.{self.calls}", number, at=at).ring(extension)

    async def talk(self, client: WeekClient, *, of_ours: bool = False) -> None:
        """A call that is answered in this minute and over in a later one."""
        story = self._story(client, of_ours=of_ours, at=self.at)
        extension = story.state.made_by or story.state.rang[-1]
        await self.intake.apply(batch(story.answer(extension)))
        await self.look_around(client, "answered")
        until = self.now + self.dice.choice([1, 1, 2, 3, 8])
        client.busy_until = until
        told = len(story.facts)

        async def end() -> None:
            story.wait((until - self.now) * 60 + (self.at - story.at).total_seconds()).end()
            story.facts = story.facts[told:]
            await self.intake.apply(batch(story))
            self._talked(client, round((story.at - (story.state.answered_at or story.at)).total_seconds()))
            await self.look_around(client, "ended")

        self.plan(until, end)

    async def short(self, client: WeekClient) -> None:
        """Ten seconds are no conversation, except where nobody asks how long it was."""
        deals = [self.office.deals[deal_id] for deal_id, whose in self.clients_of_deals.items() if whose is client]
        stages = [self.world.stages[deal.stage_id] for deal in deals if not deal.is_closed]
        if not stages or any(stage.kind == StageKind.DIDNT_REACH for stage in stages):
            return
        story = self._story(client, of_ours=False, at=self.at - timedelta(seconds=10))
        await self.intake.apply(batch(story.answer(story.state.rang[-1]).wait(10).end()))
        self._talked(client, 10)
        await self.look_around(client, "answered")

    def _talked(self, client: WeekClient, seconds: int) -> None:
        for deal_id, whose in self.clients_of_deals.items():
            if whose is client:
                self.office.deals[deal_id].talks.append((self.now, seconds))
                self.office.look(("deal", deal_id), self.now)

    async def miss(self, client: WeekClient) -> None:
        story = self._story(client, of_ours=False, at=self.at - timedelta(seconds=25))
        await self.intake.apply(batch(story.wait(25).end()))
        await self.look_around(client, "missed")

    async def call(self, client: WeekClient) -> None:
        await self.talk(client, of_ours=True)

    async def no_answer(self, client: WeekClient) -> None:
        story = self._story(client, of_ours=True, at=self.at - timedelta(seconds=25))
        await self.intake.apply(batch(story.wait(25).end()))
        await self.look_around(client, "tried")

    # Work on deals

    def some_deal(self) -> reference_facts.ReferenceDeal | None:
        open_ = [deal for deal in self.office.deals.values() if not deal.is_closed]
        return self.dice.choice(open_) if open_ else None

    async def on_deal(self, name: str) -> None:
        deal = self.some_deal()
        if deal is not None:
            await getattr(self, name)(deal)

    async def plan_task(self, deal: reference_facts.ReferenceDeal) -> None:
        ahead = self.dice.randrange(-120, 20) if self.dice.random() < 0.2 else self.dice.randrange(20, 3 * 1440)
        due = self.now + ahead
        made: list[int] = []

        async def act(session: AsyncSession) -> None:
            task = await create_task(
                session, self.admin, title="Call", due_at=moment(due), now=self.at, deal_id=deal.id
            )
            made.append(task.id or 0)

        if await self.do(act):
            deal.tasks[made[0]] = Planned(self.now, due, due)
            self.office.look(("deal", deal.id), self.now)

    def _some_task(self) -> tuple[reference_facts.ReferenceDeal, int] | None:
        found = [
            (deal, number) for deal in self.office.deals.values() if not deal.is_closed
            for number, task in deal.tasks.items() if task.done_at is None
        ]  # fmt: skip
        return self.dice.choice(found) if found else None

    async def postpone(self) -> None:
        if (found := self._some_task()) is None:
            return
        deal, number = found
        due = max(deal.tasks[number].due, self.now) + self.dice.randrange(30, 1440)
        if await self.do(lambda s: edit_task(s, self.admin, number, version=None, now=self.at, due_at=moment(due))):
            deal.tasks[number].due = due
            self.office.look(("deal", deal.id), self.now)

    async def cancel(self) -> None:
        await self.finish(cancelled=True)

    async def finish(self, *, cancelled: bool = False) -> None:
        if (found := self._some_task()) is None:
            return
        deal, number = found
        if await self.do(lambda s: finish_task(s, self.admin, number, result="done", now=self.at, cancelled=cancelled)):
            deal.tasks[number].done_at, deal.tasks[number].cancelled = self.now, cancelled
            self.office.look(("deal", deal.id), self.now)

    async def move(self, deal: reference_facts.ReferenceDeal, *, closes: bool = False) -> None:
        if closes:
            kind = self.dice.choice([StageKind.WON, StageKind.LOST])
            stages = [s for s in self.world.stages.values() if s.kind == kind and s.pipeline_id == deal.pipeline_id]
        else:
            stages = self.world.open_stages(deal.pipeline_id if self.dice.random() < 0.9 else None)
        stage = self.dice.choice(stages)

        async def act(session: AsyncSession) -> None:
            await move_deal(
                session, self.admin, deal.id, stage.id or 0, version=None, now=self.at, lost_reason="Too dear"
            )

        if await self.do(act):
            await self.look_around(self.clients_of_deals[deal.id], "moved")

    async def close(self, deal: reference_facts.ReferenceDeal) -> None:
        await self.move(deal, closes=True)

    async def pause(self, deal: reference_facts.ReferenceDeal) -> None:
        until = self.now + self.dice.randrange(30, 3 * 1440)
        if await self.do(lambda s: pause_deal(s, self.admin, deal.id, moment(until), "On holiday", now=self.at)):
            self._end_rests(deal)
            deal.rests.append([self.now, until])
            self.office.look(("deal", deal.id), self.now)

    async def resume(self, deal: reference_facts.ReferenceDeal) -> None:
        paused = [each for each in self.office.deals.values() if any(until > self.now for _, until in each.rests)]
        deal = self.dice.choice(paused) if paused else deal
        if await self.do(lambda s: end_pause(s, self.admin, deal.id, now=self.at)):
            self._end_rests(deal)
            self.office.look(("deal", deal.id), self.now)

    def _end_rests(self, deal: reference_facts.ReferenceDeal) -> None:
        for rest in deal.rests:
            rest[1] = min(rest[1], self.now)

    async def give(self, deal: reference_facts.ReferenceDeal) -> None:
        to = self.dice.choice(self.world.sellers()).id
        if await self.do(lambda s: edit_deal(s, self.admin, deal.id, version=None, now=self.at, responsible_id=to)):
            await self.look_around(self.clients_of_deals[deal.id], "given")

    async def amount(self, deal: reference_facts.ReferenceDeal) -> None:
        self.done["amounts"] += 1
        new = self.dice.choice(["", "0", str(self.done["amounts"])])
        if await self.do(
            lambda s: edit_deal(s, self.admin, deal.id, version=None, now=self.at, values={"amount": new})
        ):
            if new in {"", "0"}:
                deal.filled.clear()  # what was emptied again was no work
            elif not deal.filled:  # another amount is none either
                deal.filled.append((self.now, "amount"))
            self.office.look(("deal", deal.id), self.now)

    async def title(self, deal: reference_facts.ReferenceDeal) -> None:
        await self.do(
            lambda s: edit_deal(s, self.admin, deal.id, version=None, now=self.at, values={"title": f"At {self.now}"})
        )

    async def note(self, deal: reference_facts.ReferenceDeal) -> None:
        async def act(session: AsyncSession) -> None:
            await add_note(session, self.admin, "Nothing new", self.at, deal=await session.get(Deal, deal.id))

        await self.do(act)

    # What managers do

    async def with_escalation(self, name: str) -> None:
        async with self.database.read() as session:
            query = (
                select(Lamp)
                .where(Lamp.state == LampState.BURNING.value, col(Lamp.is_escalation))
                .order_by(col(Lamp.id))
            )
            burning = (await session.exec(query)).all()
        if burning:
            lamp = self.dice.choice(burning)
            deal, callback = lamp.deal_id, lamp.callback_id
            subject: Subject = ("deal", deal or 0) if lamp.subject == "deal" else ("callback", callback or 0)
            await getattr(self, name)(lamp, subject)

    async def accept(self, lamp: Lamp, subject: Subject) -> None:
        """Until the same time tomorrow, or until the norm has passed again. A callback waits for the client, or its norm runs again.
        All that has reached a manager for one deal is accepted together.
        """
        reached = await self.checkpoints_that_reached_a_manager(lamp)
        is_named = self.dice.random() < 0.5 or (
            subject[0] == "deal" and not all(self.office.norm_of(self.office.rules[each]) for each in reached)
        )
        since = self.now + 1440 if is_named else self.now
        until = self.at + timedelta(days=1) if is_named else None
        if not await self.do(
            lambda s: accept(s, self.admin, lamp.id or 0, "They decide in spring", now=self.at, until=until)
        ):
            return
        if subject[0] == "callback":
            self.office.callbacks[subject[1]].clock_from = since if is_named else None
        else:
            for each in reached:
                self.office.decide(subject, each, self.now, "accepted")
                self.office.deals[subject[1]].accepted[each] = self.now, since, is_named
        self.office.look(subject, self.now)

    async def checkpoints_that_reached_a_manager(self, lamp: Lamp) -> list[int]:
        query = select(Lamp.checkpoint_id).where(
            Lamp.deal_id == lamp.deal_id, Lamp.state == LampState.BURNING.value, col(Lamp.is_escalation)
        )
        async with self.database.read() as session:
            return sorted(set((await session.exec(query)).all()))

    async def reassign(self, lamp: Lamp, subject: Subject) -> None:
        to = self.dice.choice(self.world.sellers()).id
        if not await self.do(lambda s: reassign(s, self.admin, lamp.id or 0, to, now=self.at)):
            return
        if subject[0] == "callback":
            self.office.callbacks[subject[1]].clock_from = self.now
            client = self.clients_of_callbacks[subject[1]]
            self.office.callbacks[subject[1]].owner_id = to
            self.office.look(subject, self.now)
        else:
            client = self.clients_of_deals[subject[1]]
            rule = self.office.rules[lamp.checkpoint_id]
            asks_managers = [number for number, (_, whom) in enumerate(rule.steps) if _is_managers(whom)]
            if asks_managers[:1] == [0]:
                self.office.deals[subject[1]].given.setdefault(rule.id, []).append(self.now)
            for each in list(self.office.burning.get((subject, rule.id), ())):
                if each.step in asks_managers:
                    self.office.put_out(each, self.now, "given")
        await self.look_around(client, "given")

    async def comment(self, lamp: Lamp, _: Subject) -> None:
        await self.do(lambda s: comment(s, self.admin, lamp.id or 0, "Ask for the accountant", now=self.at))

    async def joint(self, lamp: Lamp, _: Subject) -> None:
        await self.do(lambda s: make_joint(s, self.admin, lamp.id or 0, now=self.at))


def _is_managers(whom: str) -> bool:
    return whom in {"manager", "joint", "role:manager"}
