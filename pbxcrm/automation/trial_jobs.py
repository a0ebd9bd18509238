"""The dry run of a rule over the last days, in the background: the same conditions, and steps that only say what they would do.

It reads in a session that cannot write (``background_jobs.Reader``).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.automation.hook_queries import load_live_hooks
from pbxcrm.automation.models import AutomationRule
from pbxcrm.automation.queries import check_rules, load_around, ready_rule, with_merged
from pbxcrm.automation.rule_checks import RuleDraft, check_draft
from pbxcrm.automation.steps.step import Around, StepContext
from pbxcrm.automation.trial import NOT_TRIED, Fired, TrialCount, Window, try_on
from pbxcrm.automation.watching import REFUSALS, would
from pbxcrm.deals.models import Deal
from pbxcrm.shared.background_jobs import BackgroundJob, JobProgress, Reader, start
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import reason

TRIAL = "automation.trial"
MOST_DAYS = 90
MOST_ROWS = 200  # firings that are told one by one
CHUNK = 200  # deals that are read together
LONGEST = 1.0  # seconds of a batch; it holds no lock
_KEPT = ("name", "owner_id", "when", "conditions", "steps", "most_per_hour")


async def try_rule(
    session: AsyncSession, viewer: Viewer, draft: RuleDraft, *, days: int, region: str, now: datetime
) -> BackgroundJob:
    """Start asking what the rule would have done in the last days. Raises Invalid at the wrong place, NotAllowed."""
    check_rules(viewer)
    checked = await check_draft(session, draft, region)
    if not 1 <= days <= MOST_DAYS:
        raise Invalid(
            "days", "automation.number", "Write a whole number from {least} to {most}.", least=1, most=MOST_DAYS
        )
    if checked["when"]["kind"] in NOT_TRIED:
        raise Invalid("when.kind", "automation.not_tried", "Nothing tells what a rule of this kind would have heard.")
    payload = {
        "rule": {name: checked[name] for name in _KEPT},
        "since": (now - timedelta(days=days)).isoformat(),
        "until": now.isoformat(),
        "region": region,
    }
    last = (await session.exec(select(func.max(col(Deal.id))))).one() or 0
    return await start(session, TRIAL, payload, now, total=last, owner_id=viewer.user_id)


async def trial_batch(session: AsyncSession, job: BackgroundJob, _now: datetime) -> JobProgress:
    """Ask about some deals, by their ids. ``done`` and ``total`` of the job are ids, which is near enough for a progress."""
    payload: Mapping[str, Any] = job.payload
    window = Window(datetime.fromisoformat(payload["since"]), datetime.fromisoformat(payload["until"]))
    around = await load_around(session, payload["region"])
    rule = AutomationRule(**payload["rule"], state="on", mode="once", created_at=window.until)
    ready = await with_merged(
        session, ready_rule(rule, around.fields, around.people, around.hook_values, await load_live_hooks(session))
    )
    result: dict[str, Any] = {
        "fired": 0,
        "skipped": 0,
        "limited": 0,
        "deals": 0,
        "refused": 0,
        "rows": [],
        **job.result,
    }
    result["rows"] = list(result["rows"])
    after, began = int(job.cursor.get("after", 0)), perf_counter()
    while True:
        query = select(Deal.id).where(col(Deal.id) > after, col(Deal.merged_into_id).is_(None))
        ids = [each or 0 for each in (await session.exec(query.order_by(col(Deal.id)).limit(CHUNK))).all()]
        if ids:
            await _count(session, rule, await try_on(session, ready, ids, window, around), around, window, result)
            after = ids[-1]
            session.expunge_all()
        is_over = len(ids) < CHUNK
        if is_over or perf_counter() - began > LONGEST:
            break
    if is_over:
        result["rows"].sort(key=lambda row: row["at"], reverse=True)
    return JobProgress({"after": after}, job.total if is_over else after, job.total, result, is_over)


async def _count(
    session: AsyncSession,
    rule: AutomationRule,
    tried: TrialCount,
    around: Around,
    window: Window,
    result: dict[str, Any],
) -> None:
    result["fired"] += len(tried.fired)
    result["skipped"] += tried.skipped
    result["limited"] += tried.limited
    result["deals"] += len({each.deal.id for each in tried.fired})
    for each in tried.fired[: max(0, MOST_ROWS - len(result["rows"]))]:
        row = await _row(session, rule, each, around, window)
        result["rows"].append(row)
        result["refused"] += row["refused"]


async def _row(
    session: AsyncSession, rule: AutomationRule, fired: Fired, around: Around, window: Window
) -> dict[str, Any]:
    """A firing as it is kept; ``erase_actions`` deletes it with the client."""
    why = reason("automation.rule", rule=rule.name)
    # A copy of the deal in the stage of then: where it is now it may be because of the rule.
    stage = around.funnel.stages[fired.stage_id]
    deal = Deal(**fired.deal.model_dump() | {"stage_id": stage.id, "pipeline_id": stage.pipeline_id})
    context = StepContext(session, around, rule, deal, deal.contact_id, window.until, why)
    said = [each.stored() for each in await would(context)]
    return {
        "at": fired.act.at.isoformat(),
        "deal_id": fired.deal.id,
        "act": fired.act.act,
        "by_id": fired.act.by_id,
        "would": said,
        "refused": any(each["code"] in REFUSALS for each in said),
        "did": [{"at": act.at.isoformat(), "act": act.act, "by_id": act.by_id} for act in fired.did],
    }


READERS: Mapping[str, Reader] = {TRIAL: trial_batch}
