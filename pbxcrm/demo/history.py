"""Writes the stories of the sample company as the rows that its work would have left: clients, deals with their moves, calls, tasks,
notes, callbacks, and lamps that lit and went out.

What is open now gets its lamps from the engine itself, by ``filling``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from sqlalchemy import bindparam, insert, update
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.audit.models import AuditEntry
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.callbacks.models import Attempt, AttemptResult, Episode, EpisodeStatus
from pbxcrm.calls.facts import Direction, LegResult, MissedReason, Outcome
from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.checkpoints.counting import spans_to_store
from pbxcrm.checkpoints.models import Lamp, LampState, Subject, WorkKind
from pbxcrm.checkpoints.rules import Stay, Work, WouldLight, would_light
from pbxcrm.contacts.models import Company, Contact, Phone
from pbxcrm.deals.models import Deal, Note, StageMove
from pbxcrm.demo.people import EXTENSIONS, MANAGERS, TEAM_OF_SELLER
from pbxcrm.demo.recordings import RECORDINGS
from pbxcrm.demo.stories import CallStory, DealStory, SampleClient, StageShape, StayStory, TaskStory
from pbxcrm.shared import reasons
from pbxcrm.shared.core_sql import add_rows, execute, fetch
from pbxcrm.shared.lengths import cut
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.shared.search_keys import search_key
from pbxcrm.tasks.models import Task, TaskKind, TaskStatus
from pbxcrm.tasks.rules import ABOUT_LAMP

BATCH = 250  # deals whose rows are in memory at a time
RECORDED_DAYS = 60  # recordings are kept for so long
PAUSE = 60  # working minutes until a lamp goes on to the manager, as in ``checkpoints.default_checkpoints``
TALK_COUNTS = 30  # seconds
GIVEN_UP = timedelta(minutes=40)  # after this a missed call without a return was closed
TRUNK, DID = "operator", "+380443330100"  # the line and the number by which the calls came in


@dataclass(frozen=True, slots=True)
class DemoOffice:
    """What the rows refer to. ``checkpoints``: stage id -> the id of its checkpoint."""

    ids: Mapping[str, int]  # user ids by login
    names: Mapping[str, str]  # people's names by login
    stage_names: Mapping[int, str]
    checkpoints: Mapping[int, int]
    working: WorkingTime
    currency: str
    now: datetime


@dataclass(frozen=True, slots=True)
class _ToldCall:
    """A call with its id, its story and its deal."""

    id: int
    story: CallStory
    deal: DealStory
    deal_id: int


@dataclass(frozen=True, slots=True)
class _OldLamp:
    """A lamp that is out. ``minutes``: working minutes from the start of its clock."""

    story: DealStory
    deal_id: int
    stage: StageShape
    entry: str
    lamp: WouldLight
    minutes: int
    left_at: datetime

    @property
    def out_at(self) -> datetime:
        """When it went out: by a talk, or because the deal moved on."""
        return self.lamp.out_at or self.left_at


_DEALS, _EPISODE_CALLS = (SQLModel.metadata.tables[name] for name in ("deals", "episode_calls"))
_MADE_BY = update(_DEALS).where(_DEALS.c.id == bindparam("deal")).values(made_by_call_id=bindparam("call"))
_OF_EPISODE = insert(_EPISODE_CALLS)


class History:
    """Writes stories in batches, each in the order in which its tables refer to each other."""

    def __init__(self, session: AsyncSession, office: DemoOffice) -> None:
        self._session = session
        self._office = office
        self._contacts: dict[str, int] = {}  # id by number
        self._companies: dict[str, int] = {}
        self._calls = 0

    async def write(self, stories: Iterable[DealStory]) -> int:
        """Write all stories; returns how many there were."""
        count, waiting = 0, iter(stories)
        while batch := list(islice(waiting, BATCH)):
            await self._clients([story.client for story in batch])
            deals = await self._deals(batch)
            calls = await self._add_calls(batch, deals)
            await self._add_callbacks(calls)
            moves = await self._moves(batch, deals)
            await self._lamps(batch, deals, moves)
            await self._add_tasks_and_notes(batch, deals)
            count += len(batch)
        return count

    async def _add(self, rows: Sequence[SQLModel]) -> None:
        """Insert rows of one table and forget them, so that the session stays small. Their ids stay."""
        if rows:
            await add_rows(self._session, *rows)
            for row in rows:
                self._session.expunge(row)

    async def _insert(self, model: type[SQLModel], rows: Sequence[Mapping[str, object]]) -> list[int]:
        """Insert rows through Core and return their ids: an object of a model takes longer to make than its row to write.

        Not for names and notes, whose spellings and words are indexed when an object is inserted.
        """
        if not rows:
            return []
        table = SQLModel.metadata.tables[str(model.__tablename__)]
        statement = insert(table).returning(table.c.id, sort_by_parameter_order=True)
        return [row_id for (row_id,) in await fetch(self._session, statement, rows)]

    async def _clients(self, clients: Sequence[SampleClient]) -> None:
        new = {client.number: client for client in clients if client.number not in self._contacts}
        names = {client.company for client in new.values() if client.company} - self._companies.keys()
        made = {client.company: client for client in reversed(new.values())}
        companies = [
            Company(name=name, responsible_id=self._office.ids[made[name].seller], created_at=made[name].created_at)
            for name in sorted(names)
        ]
        await self._add(companies)
        self._companies.update((row.name, row.id or 0) for row in companies)
        contacts = [
            Contact(
                name=client.name,
                company_id=self._companies[client.company] if client.company else None,
                responsible_id=self._office.ids[client.seller],
                created_at=client.created_at,
            )
            for client in new.values()
        ]
        await self._add(contacts)
        self._contacts.update((number, row.id or 0) for number, row in zip(new, contacts, strict=True))
        await self._add([Phone(contact_id=self._contacts[number], number=number) for number in new])

    async def _deals(self, stories: Sequence[DealStory]) -> list[int]:
        rows = [self._deal(story) for story in stories]
        await self._add(rows)
        ids = [row.id or 0 for row in rows]
        await self._insert(
            AuditEntry,
            [
                {
                    "at": story.created_at,
                    "actor_id": self._office.ids[story.seller],
                    "action": "deal.created",
                    "entity": "deal",
                    "entity_id": str(deal_id),
                    "reason": self._why(story).stored(),
                }
                for story, deal_id in zip(stories, ids, strict=True)
            ],
        )
        return ids

    def _why(self, story: DealStory) -> Reason:
        who = self._office.names[story.seller]
        if any(call.makes_deal for call in story.calls):
            return reason(
                "call.new_deal",
                number=story.client.number,
                stage=self._office.stage_names[story.stays[0].stage.id],
                who=who,
                extension=EXTENSIONS[story.seller],
            )
        return reason("owner.by_hand", by=who, who=who)

    def _deal(self, story: DealStory) -> Deal:
        return Deal(
            title=story.title,
            pipeline_id=story.pipeline.id,
            stage_id=story.ends_in or story.stays[-1].stage.id,
            responsible_id=self._office.ids[story.seller],
            contact_id=self._contacts[story.client.number],
            company_id=self._companies[story.client.company] if story.client.company else None,
            client_number=story.client.number,
            amount=story.amount,
            currency=self._office.currency,
            source=story.source,
            lost_reason=story.lost_reason,
            created_at=story.created_at,
            stage_since=story.closed_at or story.stays[-1].entered_at,
            closed_at=story.closed_at,
            reason=self._why(story).stored(),
        )

    async def _moves(self, stories: Sequence[DealStory], deals: Sequence[int]) -> list[list[int]]:
        """The moves; returns their ids per story, in order."""
        rows: list[dict[str, object]] = []
        for story, deal_id in zip(stories, deals, strict=True):
            ends = [(stay.stage.id, stay.entered_at) for stay in story.stays]
            if story.ends_in is not None and story.closed_at is not None:
                ends.append((story.ends_in, story.closed_at))
            before: tuple[int | None, datetime | None] = (None, None)
            for stage_id, at in ends:
                rows.append(
                    {
                        "deal_id": deal_id,
                        "from_stage_id": before[0],
                        "from_since": before[1],
                        "to_stage_id": stage_id,
                        "by_id": self._office.ids[story.seller],
                        "at": at,
                        "reason": self._why(story).stored() if before[0] is None else {},
                    }
                )
                before = (stage_id, at)
        ids = iter(await self._insert(StageMove, rows))
        return [list(islice(ids, len(story.stays) + (story.ends_in is not None))) for story in stories]

    async def _add_calls(self, stories: Sequence[DealStory], deals: Sequence[int]) -> list["_ToldCall"]:
        told = [(call, story, deal_id) for story, deal_id in zip(stories, deals, strict=True) for call in story.calls]
        ids = await self._insert(Call, [self._call(*each) for each in told])
        calls = [_ToldCall(call_id, *each) for call_id, each in zip(ids, told, strict=True)]
        await self._insert(CallLeg, [self._leg(call) for call in calls])
        made = [{"deal": call.deal_id, "call": call.id} for call in calls if call.story.makes_deal]
        await execute(self._session, _MADE_BY, made)
        return calls

    def _call(self, call: CallStory, story: DealStory, deal_id: int) -> dict[str, object]:
        self._calls += 1
        extension = EXTENSIONS[story.seller]
        answered = call.at + timedelta(seconds=call.wait) if call.talk else None
        not_answered = Outcome.MISSED if call.inbound else Outcome.NO_ANSWER
        recorded = answered is not None and self._office.now - call.at < timedelta(days=RECORDED_DAYS)
        why = reason("call.missed_open_deal" if call.inbound and not call.talk else "call.open_deal")
        return {
            "pbx": "default",
            "linkedid": f"history-{self._calls}",
            "direction": (Direction.INBOUND if call.inbound else Direction.OUTBOUND).value,
            "outcome": (Outcome.ANSWERED if call.talk else not_answered).value,
            "missed_reason": MissedReason.ABANDONED_RINGING.value if call.inbound and not call.talk else None,
            "client_number": story.client.number,
            "client_heard": story.client.number,
            "trunk": TRUNK,
            "did": DID if call.inbound else None,
            "made_by": None if call.inbound else extension,
            "rang": [extension] if call.inbound else [],
            "answered_by": extension if call.inbound and call.talk else None,
            "talked": [extension] if call.talk else [],
            "started_at": call.at,
            "answered_at": answered,
            "ended_at": call.ended_at,
            "wait_seconds": float(call.wait),
            "talk_seconds": float(call.talk),
            "recording": RECORDINGS[self._calls % len(RECORDINGS)].name if recorded else None,
            "contact_id": self._contacts[story.client.number],
            "deal_id": deal_id,
            "responsible_id": self._office.ids[story.seller],
            "reason": (self._why(story) if call.makes_deal else why).stored(),
        }

    def _leg(self, call: "_ToldCall") -> dict[str, object]:
        told, seller = call.story, call.deal.seller
        not_talked = LegResult.CANCELLED if told.inbound else LegResult.NO_ANSWER
        return {
            "call_id": call.id,
            "channel_id": f"history-{call.id}.1",
            "extension": EXTENSIONS[seller],
            "user_id": self._office.ids[seller],
            "dialled_at": told.at,
            "ringing_at": told.at,
            "answered_at": told.at + timedelta(seconds=told.wait) if told.talk else None,
            "ended_at": told.ended_at,
            "result": (LegResult.TALKED if told.talk else not_talked).value,
        }

    async def _add_callbacks(self, calls: Sequence["_ToldCall"]) -> None:
        """The missed calls of the history, all of them over: the client was reached, or somebody closed it with a reason."""
        missed = [call for call in calls if call.story.missed]
        ids = await self._insert(Episode, [self._episode(call) for call in missed])
        both = list(zip(ids, missed, strict=True))
        await execute(self._session, _OF_EPISODE, [{"episode_id": id_, "call_id": call.id} for id_, call in both])
        attempts = [
            {
                "episode_id": episode_id,
                "user_id": self._office.ids[call.deal.seller],
                "at": call.story.returned_at,
                "result": AttemptResult.REACHED.value,
            }
            for episode_id, call in both
            if call.story.returned_at is not None
        ]
        await self._insert(Attempt, attempts)

    def _episode(self, call: "_ToldCall") -> dict[str, object]:
        who, returned_at = self._office.names[call.deal.seller], call.story.returned_at
        why = reason("episode.reached", who=who)
        if returned_at is None:
            why = reason("episode.dismissed", who=who, why="The client wrote instead.")
        contact_id, owner_id = self._contacts[call.deal.client.number], self._office.ids[call.deal.seller]
        return {
            "client_key": f"contact:{contact_id}",
            "client_number": call.deal.client.number,
            "contact_id": contact_id,
            "deal_id": call.deal_id,
            "last_call_id": call.id,
            "first_missed_at": call.story.at,
            "last_missed_at": call.story.at,
            "owner_id": owner_id,
            "attempts": 0 if returned_at is None else 1,
            "status": (EpisodeStatus.DISMISSED if returned_at is None else EpisodeStatus.REACHED).value,
            "closed_at": returned_at or call.story.at + GIVEN_UP,
            "closed_by_id": owner_id,
            "closed_reason": why.stored(),
            "reason": reason("owner.deal", who=who).stored(),
        }

    async def _lamps(self, stories: Sequence[DealStory], deals: Sequence[int], moves: Sequence[Sequence[int]]) -> None:
        """The lamps of stays that are over, as the engine's own rule says that they lit; each with the task that it gave."""
        lamps: list[_OldLamp] = []
        for story, deal_id, into in zip(stories, deals, moves, strict=True):
            for stay, move_id in zip(story.stays, into, strict=False):  # the last move goes to the end
                lamps += self._lit(story, stay, deal_id, move_id)
        tasks = await self._insert(Task, [self._lamp_task(lamp) for lamp in lamps])
        await self._insert(Lamp, [self._lamp(lamp, task_id) for lamp, task_id in zip(lamps, tasks, strict=True)])

    def _lit(self, story: DealStory, stay: StayStory, deal_id: int, move_id: int) -> list["_OldLamp"]:
        norm = stay.stage.norm
        if norm is None or stay.left_at is None or stay.stage.id not in self._office.checkpoints:
            return []
        works = [
            Work(call.at, WorkKind.TALKED, "", call.at, None)
            for call in sorted(story.calls, key=lambda call: call.at)
            if call.talk >= TALK_COUNTS and stay.entered_at <= call.at < stay.left_at
        ]
        lit = would_light(Stay(stay.entered_at, stay.left_at, works), self._office.working, (norm, PAUSE))
        found: list[_OldLamp] = []
        for nth, each in enumerate(lit):
            clock, minutes = f"m{move_id}:history{nth}", norm
            if each.step:  # as ``checkpoints.rules`` names the steps that follow
                clock, minutes = f"{found[-1].entry}/{int(found[-1].lamp.lit_at.timestamp())}", PAUSE
            found.append(_OldLamp(story, deal_id, stay.stage, clock, each, minutes, stay.left_at))
        return found

    def _lamp(self, lit: "_OldLamp", task_id: int) -> dict[str, object]:
        at, owner = lit.lamp.lit_at, self._office.ids[lit.story.seller]
        since = self._office.working.add_minutes(at, -lit.minutes)
        return {
            "checkpoint_id": self._office.checkpoints[lit.stage.id],
            "step": lit.lamp.step,
            "subject": Subject.DEAL.value,
            "deal_id": lit.deal_id,
            "stage_id": lit.stage.id,
            "entry": lit.entry,
            "owner_id": owner,
            "addressee_id": self._asked(lit),
            "state": LampState.OUT.value,
            "entered_at": since,
            "minutes": lit.minutes,
            "due_at": at,
            "lit_at": at,
            "asked_at": at,
            "out_at": lit.out_at,
            "out_by_id": owner,
            "out_reason": self._why_out(lit).stored(),
            "task_id": task_id,
            "reason": self._why_lit(lit).stored(),
            "worked": spans_to_store(self._office.working, since, at),
            "is_escalation": bool(lit.lamp.step),
        }

    def _asked(self, lit: "_OldLamp") -> int:
        seller = lit.story.seller
        return self._office.ids[MANAGERS[TEAM_OF_SELLER[seller]] if lit.lamp.step else seller]

    def _why_lit(self, lit: "_OldLamp") -> Reason:
        if lit.lamp.step:
            return reason("lamp.later", norm=lit.minutes)
        return reason("lamp.stage", norm=lit.minutes, stage=self._office.stage_names[lit.stage.id])

    def _why_out(self, lit: "_OldLamp") -> Reason:
        if lit.lamp.out_at is None:
            return reason("lamp.out_moved")
        return reason("lamp.out_talked", who=self._office.names[lit.story.seller])

    def _lamp_task(self, lit: "_OldLamp") -> dict[str, object]:
        """The task of a lamp that is out."""
        stage, title, why = self._office.stage_names[lit.stage.id], lit.story.title, self._why_out(lit)
        said = reason("task.lamp_stage", title=title, stage=stage)
        if lit.lamp.step:
            said = reason("task.lamp_control", who=self._office.names[lit.story.seller], title=title)
        return {
            "kind": (TaskKind.CONTROL if lit.lamp.step else TaskKind.LAMP).value,
            **_titled(cut(reasons.text(said), Task.title)),
            "title_code": said.stored(),
            "due_at": lit.lamp.lit_at,
            "assignee_id": self._asked(lit),
            "deal_id": lit.deal_id,
            "status": TaskStatus.DONE.value,
            "about": f"{ABOUT_LAMP}{lit.entry}",
            "result": cut(reasons.text(why), Task.result),
            "result_code": why.stored(),
            "reason": self._why_lit(lit).stored(),
            "created_at": lit.lamp.lit_at,
            "done_at": lit.out_at,
            "done_by_id": self._office.ids[lit.story.seller],
        }

    async def _add_tasks_and_notes(self, stories: Sequence[DealStory], deals: Sequence[int]) -> None:
        tasks, notes = [], []
        for story, deal_id in zip(stories, deals, strict=True):
            who = self._office.ids[story.seller]
            contact_id = self._contacts[story.client.number]
            tasks += [self._task(task, deal_id, contact_id, who) for task in story.tasks]
            notes += [Note(deal_id=deal_id, author_id=who, text=text, at=at) for at, text in story.notes]
        await self._insert(Task, tasks)
        await self._add(notes)

    @staticmethod
    def _task(task: TaskStory, deal_id: int, contact_id: int, who: int) -> dict[str, object]:
        return {
            "kind": TaskKind.TODO.value,
            **_titled(task.title),
            "due_at": task.due_at,
            "assignee_id": who,
            "deal_id": deal_id,
            "contact_id": contact_id,
            "status": (TaskStatus.DONE if task.done_at else TaskStatus.OPEN).value,
            "created_by_id": who,
            "created_at": task.created_at,
            "done_at": task.done_at,
            "done_by_id": who if task.done_at else None,
        }


def _titled(title: str) -> dict[str, object]:
    """A title with its search key, which events of the ORM make for rows that are added as objects."""
    return {"title": title, "title_folded": search_key(title)}
