"""What holds for every deal, whatever was done to it: its stage is where its moves end, and its log tells its fields."""

from itertools import pairwise

from pbxcrm.audit.models import AuditEntry
from pbxcrm.deals.models import Deal, Stage, StageKind, StageMove
from pbxcrm.deals.rules import is_closing


def check_stage(deal: Deal, stages: dict[int, Stage], moves: list[StageMove]) -> None:
    assert moves
    assert moves[0].from_stage_id is None
    for earlier, later in pairwise(moves):
        assert later.from_stage_id == earlier.to_stage_id, "a move is missing"
        assert later.at >= earlier.at
    assert moves[-1].to_stage_id == deal.stage_id
    stage = stages[deal.stage_id]
    assert stage.pipeline_id == deal.pipeline_id
    assert (deal.closed_at is not None) == (is_closing(stage) or deal.merged_into_id is not None)
    assert bool(deal.lost_reason) == (stage.kind == StageKind.LOST)
    assert stage.archived_at is None or deal.merged_into_id is not None, "a deal nobody sees"


def check_history(deal: Deal, told: list[AuditEntry]) -> None:
    """Whoever replays the log gets the value that the deal has, for the fields and for whose it is."""
    assert told[0].action == "deal.created"
    for key in ("amount", "source"):
        steps = [entry.data["changed"][key] for entry in told if key in entry.data.get("changed", {})]
        for earlier, later in pairwise(steps):
            assert later["before"] == earlier["after"], (key, steps)
        if steps:
            assert steps[-1]["after"] in {getattr(deal, key), str(getattr(deal, key))}, (key, steps)
    given = [entry.data for entry in told if entry.action == "deal.assigned"]
    for first, second in pairwise(given):
        assert second["before"] == first["after"]
    if given:
        assert given[-1]["after"] == deal.responsible_id
    assert all(entry.actor_id is not None or entry.reason for entry in told), "an automatic act without a why"
