"""The hooks of deals for the contexts above; ``pbxcrm.composition`` registers their handlers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pbxcrm.access import Viewer
from pbxcrm.contacts.hooks import Left
from pbxcrm.deals.models import Deal, Pipeline, Stage, StageMove
from pbxcrm.people.directory import Directory
from pbxcrm.shared.hooks import Hook, Question


@dataclass(frozen=True, slots=True)
class StageEntry:
    """A deal has entered ``stage``. ``move`` is stored; ``left`` is the previous stage, None for a new deal. ``actor`` is None for
    an automatic move.
    """

    deal: Deal
    stage: Stage
    move: StageMove
    left: Stage | None
    at: datetime
    actor: Viewer | None
    people: Directory


@dataclass(frozen=True, slots=True)
class WithAnothersClient:
    """``by`` has made or changed ``deal`` so that it is with a client of ``owner_id``."""

    deal: Deal
    client: str
    owner_id: int
    by: Viewer
    at: datetime
    people: Directory


@dataclass(frozen=True, slots=True)
class SecondDeal:
    """``deal`` has been created, opened again, moved to this pipeline or given its client, and nobody was asked."""

    deal: Deal
    at: datetime
    people: Directory


@dataclass(frozen=True, slots=True)
class DealsMerging:
    """Called before rows move from the deal ``from_id`` to ``into_id``. ``kept``: to be filled; stored for the undo."""

    viewer: Viewer
    from_id: int
    into_id: int
    at: datetime
    kept: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DealsUnmerging:
    """Called after rows moved back. ``kept`` is from ``DealsMerging.kept``; ``left`` collects what is not restored."""

    viewer: Viewer
    from_id: int
    into_id: int
    at: datetime
    kept: Mapping[str, Any]
    left: list[Left] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DealFollowed:
    """``won`` was won, and ``made`` was created in the next pipeline, which takes over its notes."""

    won: Deal
    made: Deal
    at: datetime


deals_merging: Hook[DealsMerging] = Hook("deals.deals_merging")
deals_unmerging: Hook[DealsUnmerging] = Hook("deals.deals_unmerging")

with_anothers_client: Hook[WithAnothersClient] = Hook("deals.with_anothers_client")

#: The client has other open deals in the pipeline: the sequence, the last moved first.
second_deal = Hook[SecondDeal, Sequence[Deal]]("deals.second_deal")

deal_followed: Hook[DealFollowed] = Hook("deals.deal_followed")

stage_entered: Hook[StageEntry] = Hook("deals.stage_entered")

#: A deal was edited or got another responsible person.
deal_changed = Hook[Deal, datetime]("deals.deal_changed")

#: The norm or the kind of a stage was changed.
stage_changed = Hook[Stage, datetime]("deals.stage_changed")

#: A stage was archived. Its deals go to the second stage; None: it had none.
stage_archived = Hook[Stage, Stage | None]("deals.stage_archived")

#: The second stage was split off the first one and has its settings.
stage_split = Hook[Stage, Stage, Viewer, datetime]("deals.stage_split")

#: A pipeline was created from a template, with its stages.
pipeline_made = Hook[Pipeline]("deals.pipeline_made")

#: The pipeline takes the amount of its deals from their lines from now on.
amount_by_lines_chosen = Hook[Pipeline, datetime]("deals.amount_by_lines_chosen")

#: Whether the amount of the deal is the sum of its lines, so that nobody types another.
is_amount_of_lines = Question[Deal]("deals.is_amount_of_lines")

#: The longest time for which a next task counts as work was changed in this pipeline.
longest_plan_changed = Hook[Pipeline, datetime]("deals.longest_plan_changed")
