"""Changing rules: each saved change is a version; a way back to one makes a new version."""

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.automation.arming import start_arming
from pbxcrm.automation.models import AutomationRule, RuleRun, RuleState, RuleVersion, RunStatus
from pbxcrm.automation.moved_waits import wait_anew
from pbxcrm.automation.queries import access_rule, check_rules
from pbxcrm.automation.rule_checks import RuleDraft, check_draft
from pbxcrm.shared.db import lock
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.reasons import reason

MOST_RULES = 1000
_ORDER = "automation_rules"  # lock: two people who add the last rule at once
#: What a version keeps of a rule.
_SAVED = ("name", "owner_id", "mode", "when", "conditions", "steps", "goal", "most_per_hour", "pipeline_id", "stage_id")


class Waiting(StrEnum):
    """What happens to runs that wait when their rule changes."""

    KEEP = "keep"  # they go on by the rule as it was
    MOVE = "move"  # they go on by the rule as it is now, from the step of the same number; its wait counts from when they began
    CANCEL = "cancel"


async def lock_rules(session: AsyncSession) -> None:
    """Nobody else adds a rule until the end of the transaction: two presses of one button make one."""
    await lock(session, _ORDER)


async def save_rule(
    session: AsyncSession,
    viewer: Viewer,
    rule_id: int | None,
    draft: RuleDraft,
    *,
    version: int | None,
    waiting: Waiting = Waiting.KEEP,
    region: str,
    now: datetime,
) -> AutomationRule:
    """Add a rule (``rule_id`` None) or change one. ``version``: the one that the viewer saw, None to overwrite.

    Raises Invalid at the wrong place, NotFound, Conflict, NotAllowed.
    """
    check_rules(viewer)
    checked = await check_draft(session, draft, region)
    if rule_id is None:
        await lock_rules(session)
        count = select(func.count()).select_from(AutomationRule).where(col(AutomationRule.archived_at).is_(None))
        if (await session.exec(count)).one() >= MOST_RULES:
            raise Invalid("", "automation.many", "There can be at most {most} rules.", most=MOST_RULES)
        rule = AutomationRule(**checked, created_at=now)
        session.add(rule)
        await session.flush()
        await _keep_version(session, viewer, rule, now)
        await start_arming(session, rule, now)
        record(session, now, "rule.created", "rule", rule.id, actor=viewer, name=rule.name, state=rule.state)
        return rule
    rule = await open_rule(session, viewer, rule_id, version=version)
    changed = {name: value for name, value in checked.items() if getattr(rule, name) != value}
    if not changed:
        return rule
    for name, value in changed.items():
        setattr(rule, name, value)
    rule.version += 1
    await session.flush()
    await _keep_version(session, viewer, rule, now)
    if changed.keys() & {"when", "state"}:
        await start_arming(session, rule, now)
    await _settle_waiting(
        session, rule, waiting if changed.keys() & {"when", "conditions", "steps", "goal"} else Waiting.MOVE, now
    )
    record_change(session, viewer, rule, changed, now)
    return rule


async def open_rule(
    session: AsyncSession, viewer: Viewer, rule_id: int, *, version: int | None = None
) -> AutomationRule:
    """The rule, locked, for whoever may change it. Raises Conflict for an archived one and for another version, NotFound, NotAllowed."""
    rule = await access_rule(session, viewer, rule_id, lock=True)
    if version is not None and rule.version != version:
        raise Conflict(
            "automation.stale", "Somebody changed this rule meanwhile. Look at it again before you change it."
        )
    if rule.archived_at is not None:
        raise Conflict("automation.archived", "The rule is archived. Bring it back first.")
    return rule


def record_change(
    session: AsyncSession, viewer: Viewer, rule: AutomationRule, changed: Collection[str], now: datetime
) -> None:
    """The audit record of a change. ``changed``: names of columns."""
    named: dict[str, Any] = {"name": rule.name, "changed": sorted(changed), "state": rule.state}
    record(session, now, "rule.changed", "rule", rule.id, actor=viewer, **named)


async def archive_rule(
    session: AsyncSession, viewer: Viewer, rule_id: int, now: datetime, *, archived: bool
) -> AutomationRule:
    """Archive a rule, which switches it off, or bring it back, switched off. Its runs stay; those that wait end. Raises NotFound, NotAllowed."""
    rule = await access_rule(session, viewer, rule_id, lock=True)
    if (rule.archived_at is not None) is archived:
        return rule
    rule.archived_at, rule.state = now if archived else None, RuleState.OFF.value
    rule.version += 1
    await session.flush()
    await _keep_version(session, viewer, rule, now)
    if archived:
        await _settle_waiting(session, rule, Waiting.CANCEL, now)
    act = "rule.archived" if archived else "rule.restored"
    record(session, now, act, "rule", rule.id, actor=viewer, name=rule.name)
    return rule


async def _keep_version(session: AsyncSession, viewer: Viewer, rule: AutomationRule, now: datetime) -> None:
    saved: Mapping[str, Any] = {name: getattr(rule, name) for name in _SAVED}
    session.add(
        RuleVersion(rule_id=rule.id or 0, version=rule.version, by_id=viewer.user_id, at=now, saved=dict(saved))
    )
    await session.flush()


async def _settle_waiting(session: AsyncSession, rule: AutomationRule, waiting: Waiting, now: datetime) -> None:
    theirs = update(RuleRun).where(col(RuleRun.rule_id) == rule.id, col(RuleRun.status) == RunStatus.WAITING.value)
    if waiting is Waiting.MOVE:
        await session.exec(theirs.values(rule_version=rule.version))
        await wait_anew(session, rule)
    if waiting is Waiting.CANCEL:
        why = reason("automation.changed" if rule.archived_at is None else "automation.off").stored()
        await session.exec(theirs.values(status=RunStatus.SKIPPED.value, reason=why, ended_at=now, due_at=None))
