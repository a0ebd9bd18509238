"""What contexts above the funnel may take part in; ``pbxcrm.composition`` registers who does."""

from dataclasses import dataclass
from datetime import datetime

from pbxcrm.access import Viewer
from pbxcrm.deals.models import Deal, Pipeline, Stage, StageMove
from pbxcrm.people.directory import Directory
from pbxcrm.shared.hooks import Hook


@dataclass(frozen=True, slots=True)
class StageEntry:
    """A deal has entered a stage. ``move`` has an id; ``left`` is where it stood, None for a new deal; ``actor`` None: the product."""

    deal: Deal
    stage: Stage
    move: StageMove
    left: Stage | None
    at: datetime
    actor: Viewer | None
    people: Directory


stage_entered: Hook[StageEntry] = Hook("deals.stage_entered")

#: An open deal was edited or given to somebody.
deal_changed = Hook[Deal, datetime]("deals.deal_changed")

#: The norm or the kind of a stage was changed, or it was archived.
stage_changed = Hook[Stage, datetime]("deals.stage_changed")

#: A pipeline was made with its first stages.
pipeline_made = Hook[Pipeline]("deals.pipeline_made")
