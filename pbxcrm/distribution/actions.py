"""Asks the rules who gets a deal that is nobody's, and carries out what they say.

A context that makes such a deal asks ``choose_owner`` first, makes the deal, and calls ``settle`` with it. Nobody who is not in a
rule ever gets a deal here: without a rule that speaks for it the caller's own order holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Executable, bindparam, insert, update
from sqlalchemy import select as core_select
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.calls.models import Call
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.actions import access_deal_for_change, do_assign_deal, do_explain_deal
from pbxcrm.deals.hooks import StageEntry
from pbxcrm.deals.models import Deal
from pbxcrm.deals.rules import is_closing
from pbxcrm.distribution.cases import DealCase, case_of
from pbxcrm.distribution.models import DistributionChoice, DistributionRule
from pbxcrm.distribution.queries import begin_of_day, count_for, load_rules
from pbxcrm.distribution.rules import Otherwise, Pick, people_of, pick, standings, who_acts
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.core_sql import execute, fetch, insert_into
from pbxcrm.shared.db import lock
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.tasks.actions import TaskDraft, do_close_task, do_create_task
from pbxcrm.tasks.models import TaskKind
from pbxcrm.tasks.queries import open_task_about

#: Taken before rows of deals are locked: all choices follow one after the other, so that a turn and a limit count each once.
LOCK = "distribution"


@dataclass(frozen=True, slots=True)
class Choice:
    """What the rules say. ``rule_id`` is None if no rule speaks for the case: then the caller decides. With a rule, ``user_id`` None
    means that nobody can get it: it stays unassigned, and ``settle`` tells the manager. ``reason`` is None only without a rule.
    """

    user_id: int | None = None
    reason: Reason | None = None
    rule_id: int | None = None
    id: int | None = None  # of the stored choice

    @property
    def spoke(self) -> bool:
        """Whether a rule speaks for the case."""
        return self.rule_id is not None


NO_RULE = Choice()


async def choose_owner(session: AsyncSession, case: DealCase, now: datetime) -> Choice:
    """Ask the rules in their order who gets the deal, and store the answer with the turn that it took.

    Asked again with the same ``case.subject``, the stored answer is returned.
    """
    speaking = [each.rule for each in await load_rules(session) if each.speaks_for(case, now)]
    if not speaking:
        return NO_RULE
    await lock(session, LOCK)
    await session.flush()
    people = await load_directory(session)
    calendars = await load_calendars(session, people)
    began, subject = begin_of_day(now, calendars.default.timezone), case.subject
    passed: list[Reason] = []
    for rule in speaking:
        acting = who_acts(rule, people, calendars, now)
        here = {acts.user_id for acts in acting.values() if acts.user_id is not None}
        counts, known_id = await count_for(session, rule, here, began, subject)
        if known_id is not None:
            return await _stored(session, known_id)
        subject = None  # nobody else chooses meanwhile
        found = pick(rule, standings(rule, acting, people, calendars, now, counts, case.amount), people, counts)
        if found.user_id is not None or rule.otherwise != Otherwise.NEXT:
            why = Reason(found.why.code, found.why.params, (*found.why.because, *passed))
            return await _store(session, rule, Pick(found.user_id, found.turn_of, why), case, now, counts.turns)
        passed.append(found.why)
    # Nobody is left to ask.
    nobody = Pick(None, None, reason("distribution.nobody", *passed, rule=rule.name))
    return await _store(session, rule, nobody, case, now, {})


async def _stored(session: AsyncSession, choice_id: int) -> Choice:
    columns = (_CHOICE.c.user_id, _CHOICE.c.reason, _CHOICE.c.rule_id)
    [(user_id, why, rule_id)] = await fetch(session, core_select(*columns).where(_CHOICE.c.id == choice_id))
    return Choice(user_id, Reason.load(why), rule_id, choice_id)


async def _store(
    session: AsyncSession, rule: DistributionRule, found: Pick, case: DealCase, now: datetime, turns: Mapping[int, int]
) -> Choice:
    """Store a choice and its turn, on PostgreSQL in one question. Through Core: a batch of facts must not flush its calls for it."""
    row: dict[str, Any] = {
        "of_rule": rule.id,
        "chosen": found.user_id,
        "about": case.subject,
        "now": now,
        "why": found.why.stored(),
    }
    dialect = session.get_bind().dialect.name
    if found.turn_of is not None:
        row |= {"of_user": found.turn_of, "next": max(turns.values(), default=0) + 1}
        if dialect != "postgresql":
            await execute(session, _taken(dialect), [row])
    store = _choose_in_turn() if found.turn_of is not None and dialect == "postgresql" else _CHOOSE
    [(choice_id,)] = await fetch(session, store, row)
    return Choice(found.user_id, found.why, rule.id, choice_id)


_TURN = SQLModel.metadata.tables["distribution_turns"]
_CHOICE = SQLModel.metadata.tables["distribution_choices"]
_CHOOSE = (
    insert(_CHOICE)
    .values(
        rule_id=bindparam("of_rule"),
        user_id=bindparam("chosen"),
        subject=bindparam("about"),
        at=bindparam("now"),
        reason=bindparam("why"),
    )
    .returning(_CHOICE.c.id)
)
_SETTLE = update(_CHOICE).where(_CHOICE.c.id == bindparam("choice_id")).values(deal_id=bindparam("led_to"))


@cache
def _taken(dialect: str) -> Any:
    first: dict[str, Any] = {
        "rule_id": bindparam("of_rule"),
        "user_id": bindparam("of_user"),
        "turn": bindparam("next"),
    }
    turn = insert_into(_TURN, dialect).values(first)
    return turn.on_conflict_do_update(index_elements=["rule_id", "user_id"], set_={"turn": turn.excluded.turn})


@cache
def _choose_in_turn() -> Executable:
    """For PostgreSQL only: there a turn is written within the statement that stores the choice."""
    return _CHOOSE.add_cte(_taken("postgresql").cte("taken"))


async def settle(session: AsyncSession, choice: Choice, deal: Deal, now: datetime, people: Directory) -> None:
    """Note to which deal the choice led. If nobody could get it, the manager gets a task, which ends when somebody has the deal."""
    if choice.id is None or choice.reason is None:
        return
    await execute(session, _SETTLE, [{"choice_id": choice.id, "led_to": deal.id}])
    if choice.user_id is None and deal.responsible_id is None:
        await _tell_manager(session, choice, deal, now, people)


async def _tell_manager(session: AsyncSession, choice: Choice, deal: Deal, now: datetime, people: Directory) -> None:
    assert choice.reason is not None
    calendars = await load_calendars(session, people)
    rule = await session.get(DistributionRule, choice.rule_id)
    first = next(iter(people_of(rule, people)), None) if rule is not None else None
    manager = people.manager_of(first)
    asked = manager.id if manager is not None else None
    acting = calendars.acting(asked, now) if asked is not None else None
    new = TaskDraft(
        kind=TaskKind.CONTROL,
        title=reason("task.distribution", title=deal.title),
        why=choice.reason,
        due_at=calendars.of_user(acting or asked).add_minutes(now, 0),
        assignee_id=acting or asked,
        deal_id=deal.id,
        contact_id=deal.contact_id,
        about=about_deal(deal.id),
    )
    await do_create_task(session, new, now, people)


def about_deal(deal_id: int | None) -> str:
    """What the manager's task about a deal that nobody could get is about (``Task.about``)."""
    return f"distribution:{deal_id}"


async def deal_changed(session: AsyncSession, deal: Deal, at: datetime) -> None:
    """Handler of ``deals.hooks.deal_changed``: the manager's task is done once somebody has the deal."""
    if deal.responsible_id is not None:
        people = await load_directory(session)
        await _close_task(session, deal, reason("distribution.given", who=people.name(deal.responsible_id)), at)


async def deal_entered(session: AsyncSession, entry: StageEntry) -> None:
    """Handler of ``deals.hooks.stage_entered``: nobody needs to get a deal that is closed."""
    if entry.left is not None and is_closing(entry.stage):
        await _close_task(session, entry.deal, reason("distribution.closed"), entry.at)


async def _close_task(session: AsyncSession, deal: Deal, why: Reason, at: datetime) -> None:
    if not await load_rules(session):
        return
    task = await open_task_about(session, about_deal(deal.id))
    if task is not None:
        await do_close_task(session, task, at, await load_directory(session), result=why, actor=None)


async def hand_out(
    session: AsyncSession, viewer: Viewer, deal_id: int, version: int | None, now: datetime
) -> tuple[int | None, Choice]:
    """Give a deal that the viewer may change to whom the rules say. Returns who had it, and the choice.

    Raises Conflict if no rule speaks for it, or nobody can get it: then it stays with whoever has it.
    """
    check(viewer, Permission.DEALS_EDIT)
    await lock(session, LOCK)
    deal = await access_deal_for_change(session, viewer, deal_id, version)
    if deal.closed_at is not None:
        raise Conflict("distribution.deal_closed", "The deal is closed.")
    choice = await choose_owner(session, await read_case(session, deal), now)
    if choice.reason is None:
        raise Conflict("distribution.no_rule", "No rule of distribution speaks for this deal.")
    if choice.user_id is None:
        raise Conflict("distribution.nobody", "Nobody of the rules of distribution can get this deal now.")
    before, people = deal.responsible_id, await load_directory(session)
    await do_assign_deal(session, deal, choice.user_id, now, actor=viewer, people=people, why=choice.reason)
    await settle(session, choice, deal, now, people)
    return before, choice


async def distribute_new(session: AsyncSession, viewer: Viewer, deal: Deal, now: datetime, *, field: str) -> Choice:
    """Give a deal that ``viewer`` has just made for nobody to whom the rules say; with nobody, the manager is told.

    Raises Invalid at ``field`` if no rule speaks for it.
    """
    choice = await choose_owner(session, await read_case(session, deal), now)
    if choice.reason is None:
        raise Invalid(
            field, "distribution.no_rule_here", "No rule of distribution speaks for this deal. Choose a person."
        )
    people = await load_directory(session)
    do_explain_deal(deal, reason("distribution.made", choice.reason, by=viewer.name))
    if choice.user_id is not None:
        await do_assign_deal(session, deal, choice.user_id, now, actor=viewer, people=people, why=choice.reason)
    await settle(session, choice, deal, now, people)
    return choice


async def read_case(session: AsyncSession, deal: Deal) -> DealCase:
    """The case of a deal, with its client and the line of the call that made it."""
    contact = await session.get(Contact, deal.contact_id) if deal.contact_id is not None else None
    line_id = None
    if deal.made_by_call_id is not None:
        line_id = (await session.exec(select(Call.line_id).where(col(Call.id) == deal.made_by_call_id))).first()
    return case_of(deal, contact, line_id=line_id)


async def take_back(session: AsyncSession, choice_id: int | None) -> None:
    """Forget a choice whose effect is undone: it counts for nobody's day any more. The turn stays taken."""
    row = await session.get(DistributionChoice, choice_id) if choice_id is not None else None
    if row is not None:
        await session.delete(row)
