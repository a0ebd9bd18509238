"""Reading firings: those of deals and clients that the viewer sees, with their steps."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, can, check
from pbxcrm.access.kept import kept
from pbxcrm.automation.models import AutomationRule, RuleRun, RunStatus, RunStep, StepStatus
from pbxcrm.contacts.access import visible_contacts
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal
from pbxcrm.shared.conditions import equal
from pbxcrm.shared.errors import NotFound


@dataclass(frozen=True, slots=True)
class RunFilter:
    """The filters of a list of firings; None and empty do not filter."""

    rule_id: int | None = None
    deal_id: int | None = None
    contact_id: int | None = None
    status: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunRow:
    """A firing with its rule and steps. ``causes``: the rules of its chain, by id."""

    run: RuleRun
    rule: AutomationRule
    steps: Sequence[RunStep]
    causes: Mapping[int, AutomationRule]

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to take back: a step that changed something, or a wait that ends."""
        if self.run.undone_at is not None:
            return False
        did = any(step.status == StepStatus.DONE and step.undo for step in self.steps)
        return did or self.run.status == RunStatus.WAITING


@kept
def visible_runs(viewer: Viewer) -> ColumnElement[bool]:
    """Firings on what the viewer sees: a deal, or a client for a rule that works on clients."""
    deals = select(Deal.id).where(visible_deals(viewer))
    clients = select(Contact.id).where(visible_contacts(viewer))
    return or_(
        col(RuleRun.deal_id).in_(deals), and_(col(RuleRun.deal_id).is_(None), col(RuleRun.contact_id).in_(clients))
    )


async def list_runs(
    session: AsyncSession, viewer: Viewer, asked: RunFilter, *, before: int | None = None, limit: int = 50
) -> list[RunRow]:
    """Firings that the viewer may see, the newest first. ``before``: only those with a smaller id. Raises NotAllowed."""
    check(viewer, Permission.DEALS_READ)
    filters = equal(
        (RuleRun.rule_id, asked.rule_id),
        (RuleRun.deal_id, asked.deal_id),
        (RuleRun.contact_id, asked.contact_id),
        (RuleRun.status, asked.status),
    ) + ([col(RuleRun.at) >= asked.since] if asked.since is not None else [])
    query = select(RuleRun).where(*filters).order_by(col(RuleRun.id).desc()).limit(limit)
    if not can(viewer, Permission.RULES_EDIT):
        query = query.where(visible_runs(viewer))
    if before is not None:
        query = query.where(col(RuleRun.id) < before)
    return await as_rows(session, (await session.exec(query)).all())


async def access_run(session: AsyncSession, viewer: Viewer, run_id: int) -> RuleRun:
    """A firing that the viewer may see. Raises NotFound, NotAllowed."""
    check(viewer, Permission.DEALS_READ)
    query = select(RuleRun).where(col(RuleRun.id) == run_id)
    if not can(viewer, Permission.RULES_EDIT):
        query = query.where(visible_runs(viewer))
    run = (await session.exec(query)).first()
    if run is None:
        raise NotFound("automation.no_run", "There is no such firing, or it is on a colleague's deal.")
    return run


async def as_rows(session: AsyncSession, runs: Sequence[RuleRun]) -> list[RunRow]:
    """The firings with their rules and steps, in a fixed number of queries. The caller has checked access."""
    ids = {run.rule_id for run in runs} | {link[0] for run in runs for link in run.chain}
    rules = {
        rule.id or 0: rule
        for rule in (await session.exec(select(AutomationRule).where(col(AutomationRule.id).in_(ids)))).all()
    }
    of_runs = select(RunStep).where(col(RunStep.run_id).in_([run.id for run in runs])).order_by(col(RunStep.id))
    steps: dict[int, list[RunStep]] = {}
    for step in (await session.exec(of_runs)).all():
        steps.setdefault(step.run_id, []).append(step)
    return [RunRow(run, rules[run.rule_id], steps.get(run.id or 0, ()), rules) for run in runs]


async def subjects_of(
    session: AsyncSession, runs: Sequence[RuleRun]
) -> tuple[Mapping[int | None, Deal], Mapping[int | None, Contact]]:
    """The deals and the clients that firings were about, by id. The caller has checked access to the firings."""
    deal_ids = {run.deal_id for run in runs if run.deal_id is not None}
    contact_ids = {run.contact_id for run in runs if run.deal_id is None and run.contact_id is not None}
    found = (await session.exec(select(Contact).where(col(Contact.id).in_(contact_ids)))).all() if contact_ids else ()
    return await deals_named(session, deal_ids), {contact.id: contact for contact in found}


async def deals_named(session: AsyncSession, deal_ids: Collection[int]) -> Mapping[int | None, Deal]:
    """Deals by id, to be named. The caller has checked access to what names them."""
    if not deal_ids:
        return {}
    return {deal.id: deal for deal in (await session.exec(select(Deal).where(col(Deal.id).in_(deal_ids)))).all()}
