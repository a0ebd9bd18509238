"""What every kind of step has: ``check do would undo``."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.automation.models import AutomationRule, StepStatus
from pbxcrm.automation.params import Param
from pbxcrm.calendars.queries import Calendars
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.deals.queries import Funnel
from pbxcrm.fields.queries import FieldSet
from pbxcrm.money.models import LineTemplate
from pbxcrm.people.directory import Directory
from pbxcrm.people.whom import RESPONSIBLE, USER, named
from pbxcrm.shared.reasons import Reason

Settings = Mapping[str, Any]


class Repeats(StrEnum):
    """What becomes of a step if the worker is killed in its midst."""

    TOGETHER = "together"  # it changes our database only, in the transaction that marks it as taken: it is taken once
    SAFE = "safe"  # it reaches outside, and the other side knows a repetition: it is done again
    UNSAFE = "unsafe"  # it reaches outside: nobody knows whether it was done, and a person decides


@dataclass(frozen=True, slots=True)
class Around:
    """What checks and steps need to know, read once."""

    people: Directory
    calendars: Calendars
    funnel: Funnel
    fields: FieldSet
    region: str  # of telephone numbers
    hook_values: Mapping[str, str] = field(default_factory=dict)  # what incoming webhooks declare
    currency: str = ""  # of a client's first deal; set where steps are taken
    lines: Mapping[int, str] = field(default_factory=dict)  # names of telephone lines by id


@dataclass(frozen=True, slots=True)
class KnownThings:
    """What parameters may name. ``forms``: the names of web forms by id; ``products``: the ids of those that are offered, by what
    the rule names them with: an id, a SKU or a name; ``templates``: those of lines by id; ``line_names``: what formulas of quantities may read; ``messages``: the
    names of templates of messages by id.
    """

    around: Around
    forms: Mapping[int, str]
    products: Mapping[int | str, int] = field(default_factory=dict)
    templates: Mapping[int, LineTemplate] = field(default_factory=dict)
    line_names: Collection[str] = ()
    messages: Mapping[int, str] = field(default_factory=dict)
    hooks: Mapping[int, str] = field(default_factory=dict)  # the names of incoming webhooks by id
    webhooks: Mapping[int, str] = field(default_factory=dict)  # of outgoing ones that are on


@dataclass(frozen=True, slots=True)
class StepContext:
    """A step is taken now on the deal, or (``deal`` None) on the client. ``why`` is the reason of each act."""

    session: AsyncSession
    around: Around
    rule: AutomationRule
    deal: Deal | None
    contact_id: int | None
    now: datetime
    why: Reason
    event_id: int = 0  # of the firing
    key: str = ""  # of this step of this firing: what has an effect outside is written down once by it
    heard: Mapping[str, Any] = field(default_factory=dict)  # the data of the event

    @property
    def of_deal(self) -> Deal:
        """The deal; kinds of steps that need one are refused in rules that work on clients."""
        assert self.deal is not None
        return self.deal


@dataclass(frozen=True, slots=True)
class StepTaken:
    """What a step did. ``status`` is *done*, *held* or *refused*; a refused one ends the run. ``undo``: what taking it back needs."""

    said: Reason
    status: StepStatus = StepStatus.DONE
    undo: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TakingBack:
    """Somebody takes back what a step did to the deal."""

    session: AsyncSession
    viewer: Viewer
    deal: Deal | None
    people: Directory
    now: datetime


class Step(ABC):
    """A kind of step. ``params``: its settings besides ``kind``. ``needs_deal``: not for rules that work on clients. ``repeats`` has no
    default: each kind says it.
    """

    kind: ClassVar[str]
    title: ClassVar[str]
    params: ClassVar[tuple[Param, ...]]
    repeats: ClassVar[Repeats]
    needs_deal: ClassVar[bool] = True
    changes: ClassVar[frozenset[str] | None] = (
        None  # names of the terms of conditions that it may change; None: anything
    )

    def check(self, settings: dict[str, Any], at: str, known: KnownThings) -> dict[str, Any]:
        """The settings as they are stored, after the check of each parameter. Raises Invalid at their place below ``at`` (``then.1``)."""
        return settings

    @abstractmethod
    async def do(self, context: StepContext, settings: Settings) -> StepTaken:
        """Take the step. Raises a business error if it can never be taken, another error if it may be later."""

    @abstractmethod
    async def would(self, context: StepContext, settings: Settings) -> Reason:
        """What ``do`` would do now; changes nothing."""

    async def watch(self, context: StepContext, settings: Settings) -> Reason:
        """What a rule that only watches does: it says what it would do. Steps with recipients for tests reach those."""
        return await self.would(context, settings)

    @abstractmethod
    async def undo(self, undoing: TakingBack, kept: Settings) -> Reason | None:
        """Take back what ``do`` did, or say why it stays. ``kept``: the ``undo`` of ``StepTaken``."""


def whom(asked: str, deal: Deal | None, people: Directory) -> int | None:
    """The id of who is asked, active people only; the manager instead of somebody who has left. None: there is nobody."""
    owner_id = deal.responsible_id if deal is not None else None
    user = people.active(owner_id) if asked == RESPONSIBLE else None
    if asked.startswith(USER):
        found = named(asked, people)
        user = people.active(found.id) if found is not None else None
    user = user or people.manager_of(owner_id)
    return user.id if user is not None else None


def stage_in(funnel: Funnel, stage_id: Any) -> Stage | None:
    """The stage, if it is there and not archived."""
    stage = funnel.stages.get(stage_id) if isinstance(stage_id, int) and not isinstance(stage_id, bool) else None
    return stage if stage is not None and stage.archived_at is None else None
