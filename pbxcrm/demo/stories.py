"""Invents the history of the sample company from a seed: one story per deal, in order of time.

It knows no tables: ``history`` turns stories into rows. The same seed, time and shapes give the same stories.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from decimal import Decimal
from random import Random
from zoneinfo import ZoneInfo

from pbxcrm.demo import words
from pbxcrm.demo.people import SALES, SERVICE, WHOLESALE, sellers_of

SEED = 20
DEALS = 2000
YEAR = timedelta(days=365)
GROWTH = 1.7  # the company grows: above 1, more of the deals began lately
SPREAD = 0.8  # of the logarithm of the time in a stage: about one stay in six is longer than the norm
USUAL = 0.45  # the median stay, in norms
PLANLESS, PLANLESS_LATE = 0.3, 0.6  # the share of open deals without a next task; of those beyond the norm
REACTS = 0.6  # the share of lamps after which the seller calls at once
WITHOUT_NORM = 2 * 24 * 60  # minutes that a stage without a norm takes

#: How many of 100 deals go on from the nth open stage.
GOES_ON = {
    "b2b": (75, 80, 62, 88, 90, 97, 99),
    "cold": (45, 60, 75, 80, 60, 85),
    "repeat": (70, 75, 92, 98),
    "complaint": (98, 95, 92, 95),
}
TEAM_OF = {"b2b": SALES, "cold": WHOLESALE, "repeat": SERVICE, "complaint": SERVICE}
SHARE = {"b2b": 50, "cold": 18, "repeat": 24, "complaint": 8}
BY_BUYERS = frozenset({"repeat", "complaint"})  # their clients have bought already
COMES_BACK = {"b2b": 0.15, "cold": 0.05, "repeat": 0.9, "complaint": 0.9}  # the share of deals with a known client
#: Where a seller loses more than the others: the stage (nth open) and by how much.
SINKS = {("taras", "b2b"): (2, 0.6), ("dmytro", "cold"): (2, 0.55), ("petro", "repeat"): (1, 0.7)}


@dataclass(frozen=True, slots=True)
class StageShape:
    """A stage of a real pipeline, as far as stories need it. ``norm``: working minutes; the office works round the clock."""

    id: int
    norm: int | None


@dataclass(frozen=True, slots=True)
class PipelineShape:
    """A real pipeline: its open stages in order, and its ends."""

    id: int
    template: str  # a key of ``GOES_ON``
    open: Sequence[StageShape]
    won: int
    lost: int


@dataclass(frozen=True, slots=True)
class SampleClient:
    """A client, made by their first deal."""

    number: str
    name: str
    company: str | None
    seller: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CallStory:
    """A call with the client. ``talk`` seconds; 0: nobody answered."""

    at: datetime
    inbound: bool
    wait: int
    talk: int
    makes_deal: bool = False
    missed: bool = False  # inbound, and a callback came of it
    returned_at: datetime | None = None  # of a missed one: when the client was reached

    @property
    def ended_at(self) -> datetime:
        """When it was over."""
        return self.at + timedelta(seconds=self.wait + self.talk)


@dataclass(frozen=True, slots=True)
class TaskStory:
    """A next task. ``done_at`` None: still open."""

    title: str
    created_at: datetime
    due_at: datetime
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class StayStory:
    """A stay in a stage. ``left_at`` None: the deal is still there."""

    stage: StageShape
    entered_at: datetime
    left_at: datetime | None


@dataclass(slots=True)
class DealStory:
    """All that happened to one deal."""

    pipeline: PipelineShape
    client: SampleClient
    seller: str
    title: str
    amount: Decimal | None
    source: str
    created_at: datetime
    stays: list[StayStory] = field(default_factory=list)
    ends_in: int | None = None  # the stage in which it was closed
    closed_at: datetime | None = None
    lost_reason: str = ""
    calls: list[CallStory] = field(default_factory=list)
    tasks: list[TaskStory] = field(default_factory=list)
    notes: list[tuple[datetime, str]] = field(default_factory=list)


class Storyteller:
    """Invents the stories of one company."""

    def __init__(
        self, pipelines: Mapping[str, PipelineShape], now: datetime, timezone: ZoneInfo, *, seed: int = SEED
    ) -> None:
        self._pipelines = pipelines
        self._now = now
        self._timezone = timezone
        self._dice = Random(seed)  # noqa: S311  # sample data, not a secret
        self._numbers: set[str] = set()
        self._clients: dict[str, list[SampleClient]] = {team: [] for team in (SALES, WHOLESALE, SERVICE)}
        self._busy: set[tuple[int, str]] = set()  # (pipeline, number) of open deals: a client has one per pipeline
        self._won: list[SampleClient] = []

    def tell(self, deals: int = DEALS) -> Iterator[DealStory]:
        """The stories, oldest first."""
        ages = sorted((self._dice.random() ** GROWTH for _ in range(deals)), reverse=True)
        for age in ages:
            at = self._at_work(self._now - YEAR * age)
            yield self._deal(min(at, self._now - timedelta(minutes=20)))

    def _at_work(self, at: datetime) -> datetime:
        """A time of the same day between eight and seven; of ten things on a weekend nine wait until Monday."""
        local = at.astimezone(self._timezone)
        if local.weekday() > 4 and self._dice.random() < 0.9:
            local += timedelta(days=7 - local.weekday())
        minute = int(self._dice.triangular(8 * 60, 19 * 60, 11 * 60))
        worked = datetime.combine(
            local.date(), time(minute // 60, minute % 60, self._dice.randrange(60)), self._timezone
        )
        return worked.astimezone(at.tzinfo)

    def _deal(self, at: datetime) -> DealStory:
        template = self._dice.choices(list(SHARE), list(SHARE.values()))[0]
        pipeline = self._pipelines[template]
        seller = self._dice.choice(sellers_of(TEAM_OF[template]))
        client = self._client(pipeline, seller, at)
        goods = self._dice.choice(words.GOODS).format(n=self._dice.randint(2, 90))
        is_complaint = template == "complaint"
        story = DealStory(
            pipeline,
            client,
            seller,
            self._dice.choice(words.COMPLAINTS).format(goods=goods) if is_complaint else goods,
            None if is_complaint else Decimal(round(math.exp(self._dice.gauss(10.3, 0.9)), -2)),
            "" if is_complaint else "Cold call" if template == "cold" else self._dice.choice(words.SOURCES),
            at,
        )
        self._begin(story)
        self._walk(story)
        self._say_next(story)
        if story.closed_at is None:
            self._busy.add((pipeline.id, client.number))
        elif story.ends_in == pipeline.won:
            self._won.append(client)
        return story

    def _client(self, pipeline: PipelineShape, seller: str, at: datetime) -> SampleClient:
        """A client who comes back, or a new one."""
        known = self._clients[TEAM_OF[pipeline.template]]
        if pipeline.template in BY_BUYERS:
            known = self._won
        if known and self._dice.random() < COMES_BACK[pipeline.template]:
            found = self._dice.choice(known)
            if (pipeline.id, found.number) not in self._busy:
                return found
        person = f"{self._dice.choice(words.FIRST_NAMES)} {self._dice.choice(words.LAST_NAMES)}"
        company = None
        if self._dice.random() < (0.9 if pipeline.template == "cold" else 0.3):
            company = self._dice.choice(words.COMPANY_KINDS).format(name=self._dice.choice(words.COMPANY_NAMES))
        client = SampleClient(self._number(), person, company, seller, at)
        self._clients[TEAM_OF[pipeline.template]].append(client)
        return client

    def _number(self) -> str:
        while (
            number := f"+380{self._dice.choice((50, 63, 66, 73, 93, 96, 98, 99))}{self._dice.randrange(10**7):07}"
        ) in self._numbers:
            pass
        self._numbers.add(number)
        return number

    def _begin(self, story: DealStory) -> None:
        """Deals by phone begin with the client's call; to the others we call soon."""
        if story.source == "Call":
            wait = self._dice.randint(3, 25)
            began = story.created_at - timedelta(seconds=wait)
            story.calls.append(CallStory(began, True, wait, self._talk(), makes_deal=True))
        elif story.pipeline.template != "complaint":
            self._call_out(story, story.created_at + timedelta(minutes=self._dice.randint(4, 240)))

    def _walk(self, story: DealStory) -> None:
        """From stage to stage until it is closed or until now. Some skip a stage, some go back, some rest for weeks."""
        stages, at, nth, back = story.pipeline.open, story.created_at, 0, 1
        chances = GOES_ON[story.pipeline.template]
        sink = SINKS.get((story.seller, story.pipeline.template))
        while True:
            stage = stages[nth]
            stay = (stage.norm or WITHOUT_NORM) * USUAL * math.exp(self._dice.gauss(0, SPREAD))
            if self._dice.random() < 0.05:
                stay *= 12
            left = self._at_work(at + timedelta(minutes=stay)) if stay > 600 else at + timedelta(minutes=stay)
            left = max(left, at + timedelta(minutes=5))
            if left > self._now:
                story.stays.append(StayStory(stage, at, None))
                return
            story.stays.append(StayStory(stage, at, left))
            self._work(story, stage, at, left)
            chance = chances[min(nth, len(chances) - 1)] / 100
            if sink is not None and sink[0] == nth:
                chance *= sink[1]
            if self._dice.random() > chance:
                story.ends_in, story.closed_at, story.lost_reason = (
                    story.pipeline.lost,
                    left,
                    self._dice.choice(words.LOST_REASONS),
                )
                return
            if nth and back and self._dice.random() < 0.05:
                nth, back = nth - 1, 0
            else:
                nth += 2 if self._dice.random() < 0.05 else 1
            if nth >= len(stages):
                story.ends_in, story.closed_at = story.pipeline.won, left
                return
            at = left

    def _work(self, story: DealStory, stage: StageShape, since: datetime, until: datetime) -> None:
        """What is done during a stay that is over: a call when its lamp lit, a talk that leads to the move, a task, a note."""
        dice = self._dice
        lit = since + timedelta(minutes=stage.norm or WITHOUT_NORM)
        if lit + timedelta(hours=1) < until and dice.random() < REACTS:
            story.calls.append(CallStory(lit + timedelta(minutes=dice.randint(4, 55)), False, 12, 30 + self._talk()))
        if dice.random() < 0.7:
            story.calls.append(
                CallStory(
                    until - timedelta(minutes=dice.randint(3, 9)),
                    dice.random() < 0.35,
                    dice.randint(3, 20),
                    self._talk(),
                )
            )
        if dice.random() < 0.25:
            self._call_out(story, since + (until - since) * dice.random())
        if dice.random() < 0.12:
            missed = since + (until - since) * dice.random()
            back = missed + timedelta(minutes=math.exp(dice.gauss(1.0, 1.1)))
            story.calls.append(
                CallStory(
                    missed, True, dice.randint(8, 40), 0, missed=True, returned_at=back if dice.random() < 0.9 else None
                )
            )
            if story.calls[-1].returned_at is not None:
                story.calls.append(CallStory(back - timedelta(seconds=20), False, 10, self._talk()))
        if dice.random() < 0.55:
            made = since + timedelta(minutes=2)
            done = until - timedelta(minutes=1)
            due = done + timedelta(hours=dice.uniform(-6, 30))
            story.tasks.append(TaskStory(dice.choice(words.TASKS), made, max(due, made), max(done, made)))
        if dice.random() < 0.25:
            story.notes.append((until - timedelta(minutes=2), dice.choice(words.NOTES)))

    def _say_next(self, story: DealStory) -> None:
        """Most open deals have a next task, some of them overdue; the lamps find the others."""
        if story.closed_at is not None:
            return
        stage, entered = story.stays[-1].stage, story.stays[-1].entered_at
        is_late = stage.norm is not None and self._now - entered > timedelta(minutes=stage.norm)
        if self._dice.random() < (PLANLESS_LATE if is_late else PLANLESS):
            return
        made = min(entered + timedelta(minutes=3), self._now - timedelta(minutes=1))
        due = self._at_work(self._now + timedelta(days=self._dice.triangular(-1.5, 9, 1)))
        story.tasks.append(TaskStory(self._dice.choice(words.TASKS), made, max(due, made + timedelta(hours=1)), None))

    def _call_out(self, story: DealStory, at: datetime) -> None:
        if at < self._now - timedelta(minutes=15):
            talk = self._talk() if self._dice.random() < 0.75 else 0
            story.calls.append(CallStory(at, False, self._dice.randint(5, 30), talk))

    def _talk(self) -> int:
        return max(8, int(math.exp(self._dice.gauss(4.6, 0.8))))
