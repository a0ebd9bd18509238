"""What a call does to deals, callbacks and tasks. Each step checks first what exists, so a repetition changes nothing."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.callbacks.actions import Miss, do_close, do_miss
from pbxcrm.callbacks.attempts import do_attempt, do_failed_attempt
from pbxcrm.callbacks.models import AttemptResult, Episode, EpisodeStatus
from pbxcrm.callbacks.queries import open_episodes
from pbxcrm.callbacks.rules import reason_of_miss
from pbxcrm.calls.actions import do_set_client_of_call
from pbxcrm.calls.facts import CallState, Direction, MissedReason, Outcome
from pbxcrm.calls.models import Call
from pbxcrm.calls.rules import line_of, title_of_new_deal
from pbxcrm.contacts.models import NumberKind
from pbxcrm.deals.actions import do_assign_deal
from pbxcrm.deals.automatic_moves import do_move_by_itself
from pbxcrm.deals.creation_actions import DealDraft, do_create_by_itself
from pbxcrm.deals.models import Deal, Stage, StageKind
from pbxcrm.distribution.actions import read_case, settle
from pbxcrm.distribution.cases import DealCase
from pbxcrm.people.models import User
from pbxcrm.reactions.call_context import CallContext, Case
from pbxcrm.reactions.client_of_call import identify, talk_after
from pbxcrm.reactions.next_attempts import decided, do_plan_next, do_settle
from pbxcrm.reactions.owner_actions import CallOwner, choose_owner_of, new_case
from pbxcrm.shared.db import lock
from pbxcrm.shared.lengths import cut
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.tasks.actions import TaskDraft, do_create_task
from pbxcrm.tasks.models import Task, TaskKind

HUMAN_GAVE_UP = {MissedReason.ABANDONED_RINGING, MissedReason.ABANDONED_IN_QUEUE, MissedReason.ABANDONED_IN_IVR}


def has_consequences(state: CallState, call: Call) -> bool:
    """Whether the call must be considered: at the start of the first talk, or at the end if nobody talked."""
    return not call.reason if state.was_answered else state.outcome is not Outcome.OPEN


async def consider(session: AsyncSession, context: CallContext, call: Call, state: CallState, at: datetime) -> None:
    """Do what follows from a call in its present state: somebody talked, or it is over."""
    if not has_consequences(state, call):
        return
    talked, over = state.was_answered, state.outcome is not Outcome.OPEN
    if state.direction is Direction.INTERNAL:
        if over:  # before that it may still become part of a client's call
            call.reason = reason("call.internal").stored()
        return
    line = line_of(state, context.lines)
    call.line_id = line.id
    await lock(session, f"client:{call.client_number}")
    client = await identify(session, call.client_number, context.numbers, context.before)
    if client.deal is not None:
        context.deals.append(client.deal)
    case = Case(session, context, call, state, line, client, at)
    if case.client.contact is not None:
        await do_set_client_of_call(session, call, case.client.contact.id, at, None)
    if state.direction is Direction.INBOUND:
        await (_inbound_talked(case) if talked else _inbound_over(case))
    else:
        await (_outbound_talked(case) if talked else _outbound_over(case))


async def _inbound_talked(case: Case) -> None:
    """A2: the client talked to one of us; a new deal belongs to the person who answered."""
    call = case.call
    if _is_nobodys_client(case):
        return
    waiting = await open_episodes(case.session, case.keys) if case.client.number is not None else []
    user = case.who_talked
    if call.deal_id is None and not call.reason:
        await _find_or_make_deal(case, user)
    call.responsible_id = user.id if user else call.responsible_id
    if user is None and case.state.answered_by:
        await _ask_whose_extension(case, case.state.answered_by)
    who = user.name if user else case.talker
    await _close_episodes(case, waiting, EpisodeStatus.RECOVERED, reason("episode.recovered", who=who), user)


async def _find_or_make_deal(case: Case, user: User | None) -> None:
    call, line, deal = case.call, case.line, case.client.deal
    if deal is not None:
        call.deal_id, call.responsible_id = deal.id, deal.responsible_id
        call.reason = reason("call.open_deal").stored()
        await _attempts_end(case, deal, user)
        await _leave_didnt_reach(case, deal, user, user.name if user else case.talker)
        return
    if not _makes_deal(case):
        call.reason = reason("call.line_off", line=line.name).stored()
        return
    stage = _stage(case, StageKind.UNSORTED)
    if stage is None:
        return
    facts = {"number": case.number, "stage": stage.name, "extension": case.talker}
    if user is not None:
        owner_id = user.id
        why = reason(
            "call.new_deal",
            reason("owner.answered", who=user.name, extension=case.talker),
            who=user.name,
            **facts,
        )
    else:
        owner = await choose_owner_of(case, new_case(case, stage))
        code = "call.new_deal_unmapped" if case.state.answered_by else "call.new_deal_outside"
        made = await _make_deal(case, stage, owner.user_id, reason(code, owner.why, **facts))
        await settle(case.session, owner.choice, made, case.at, case.context.people)
        return
    await _make_deal(case, stage, owner_id, why)


async def _inbound_over(case: Case) -> None:
    """A3: the call is over and none of us talked to the client."""
    call, line, state = case.call, case.line, case.state
    if state.outcome in {Outcome.INTERRUPTED, Outcome.UNKNOWN}:
        call.reason = reason(f"call.{state.outcome.value}").stored()
        return
    if _is_nobodys_client(case):
        return
    waited = state.wait_seconds or 0.0
    if state.missed_reason in HUMAN_GAVE_UP and waited < line.short_seconds:
        call.missed_reason = MissedReason.SHORT.value
        call.reason = reason("call.short", seconds=round(waited), limit=line.short_seconds, line=line.name).stored()
        return
    why_missed = reason_of_miss(
        "voicemail" if state.outcome is Outcome.VOICEMAIL else state.missed_reason,
        [case.context.people.called(extension) for extension in state.rang],
        state.queue,
    )
    known = await _deal_known(case)
    owner = await choose_owner_of(case, await _case_to_distribute(case, known))
    owner_id, why_owner = owner.user_id, owner.why
    deal = await _deal_of_miss(case, known, owner, why_missed)
    call.responsible_id = deal.responsible_id if deal is not None else owner_id
    talk = await talk_after(case.session, case.client, call, case.context.write_down)
    if talk is not None and deal is not None:
        await _talked_already(case, deal, talk)
    if not line.makes_callbacks:
        return
    working = case.context.calendars.of_user(owner_id)
    miss = Miss(
        call=call,
        client_keys=case.keys,
        client=case.client_name,
        line=line.name,
        line_id=line.id,
        contact_id=call.contact_id,
        deal_id=call.deal_id,
        owner_id=owner_id,
        why=Reason(why_missed.code, why_missed.params, (why_owner,)),
        due_at=working.add_minutes(case.at, case.context.norm),
        at=case.state.ended_at or case.at,
    )
    episode = await do_miss(case.session, miss, case.context)
    if case.client.deal is not None:  # what was planned for it is the callback's now
        called = reason("attempts.called")
        await _settle_attempts(case, case.client.deal, called, None)
    if talk is not None:
        user, who = _talker_of(case, talk)
        status = EpisodeStatus.RECOVERED if talk.direction == Direction.INBOUND else EpisodeStatus.REACHED
        why = reason(f"episode.{status.value}", who=who)
        await do_close(case.session, episode, status, why, case.at, case.context, call_id=talk.id, by_id=_id(user))


async def _talked_already(case: Case, deal: Deal, talk: Call) -> None:
    """The missed call got its verdict after ``talk`` with the client began, so the talk could not find the deal of the miss."""
    if talk.deal_id is None:
        talk.deal_id, talk.reason = deal.id, reason("call.open_deal").stored()
    await _leave_didnt_reach(case, deal, *_talker_of(case, talk))


def _talker_of(case: Case, talk: Call) -> tuple[User | None, str]:
    """Who of us talked in an earlier stored call, and what to call them."""
    user = case.context.people.user_of(talk.answered_by if talk.direction == Direction.INBOUND else talk.made_by)
    return user, user.name if user else talk.answered_by or talk.made_by or talk.trunk or ""


async def _deal_known(case: Case) -> Deal | None:
    """The deal of the call, else the client's open one, else that of the callback which withheld numbers share."""
    if case.call.deal_id is not None:
        return await case.session.get(Deal, case.call.deal_id)
    if case.client.deal is None and case.client.number is None:
        return await _deal_of_anonymous(case)
    return case.client.deal


async def _case_to_distribute(case: Case, known: Deal | None) -> DealCase | None:
    """What to ask the rules of distribution about: the deal that a missed call makes, or an open one that is nobody's yet."""
    if not case.context.distribution:
        return None
    if known is not None:
        if known.responsible_id is not None or known.closed_at is not None:
            return None
        return replace(await read_case(case.session, known), subject=f"call:{case.call.id}", line_id=case.line.id)
    stage = _stage(case, StageKind.DIDNT_REACH) if _makes_deal(case) else None
    return new_case(case, stage) if stage is not None else None


def _makes_deal(case: Case) -> bool:
    """Whether the line makes deals of such calls."""
    line = case.line
    return line.makes_deals and (case.client.number is not None or line.anonymous_makes_deals)


async def _deal_of_miss(case: Case, known: Deal | None, owner: CallOwner, why_missed: Reason) -> Deal | None:
    call, line, people = case.call, case.line, case.context.people
    if known is not None:
        if call.deal_id is None:
            call.deal_id = known.id
            call.reason = reason("call.missed_open_deal", why_missed).stored()
        if owner.choice.spoke and known.responsible_id is None:
            await do_assign_deal(case.session, known, owner.user_id, case.at, actor=None, people=people, why=owner.why)
            await settle(case.session, owner.choice, known, case.at, people)
        return known
    if not _makes_deal(case):
        call.reason = reason("call.missed_no_deal", why_missed, line=line.name).stored()
        return None
    stage = _stage(case, StageKind.DIDNT_REACH)
    if stage is None:
        return None
    why = reason("call.missed_new_deal", why_missed, owner.why, number=case.number, stage=stage.name)
    deal = await _make_deal(case, stage, owner.user_id, why)
    await settle(case.session, owner.choice, deal, case.at, people)
    return deal


async def _deal_of_anonymous(case: Case) -> Deal | None:
    """The deal of the line's open callback for withheld numbers: they share one callback until somebody closes it."""
    known = await open_episodes(case.session, case.keys)
    return await case.session.get(Deal, known[0].deal_id) if known and known[0].deal_id is not None else None


async def _outbound_talked(case: Case) -> None:
    """We called the client and talked: close the open callback, if any."""
    call = case.call
    user = case.who_talked
    call.responsible_id = user.id if user else None
    if _is_nobodys_client(case):
        return
    waiting = await open_episodes(case.session, case.keys)
    if not call.reason:
        deal = await _deal_called_about(case)
        if deal is not None:
            call.deal_id = deal.id
            call.reason = reason("call.open_deal").stored()
            await _attempts_end(case, deal, user)
            await _leave_didnt_reach(case, deal, user, user.name if user else case.talker)
        else:
            call.reason = reason("call.no_deal", number=case.number).stored()
    who = user.name if user else case.talker
    await _close_episodes(case, waiting, EpisodeStatus.REACHED, reason("episode.reached", who=who), user)


async def _outbound_over(case: Case) -> None:
    """We called and nobody answered: record an attempt on each open callback."""
    call = case.call
    user = case.context.people.user_of(case.state.made_by)
    call.responsible_id = user.id if user else None
    if _is_nobodys_client(case):
        return
    deal = await _deal_called_about(case)
    call.deal_id = deal.id if deal is not None else None
    what_next = decided(call)
    told = reason("call.open_deal", what_next) if deal is not None else reason("call.no_deal", number=case.number)
    call.reason = told.stored()
    if case.state.outcome not in {Outcome.NO_ANSWER, Outcome.BUSY, Outcome.FAILED}:
        return
    waiting = await open_episodes(case.session, case.keys)
    if deal is not None and deal.closed_at is None and not waiting and what_next is None:
        what_next = await _plan_next(case, deal, user)
        call.reason = reason("call.open_deal", what_next).stored()
    for episode in waiting:
        await do_failed_attempt(
            case.session, episode, case.at, case.context, user_id=user.id if user else None, call=call
        )


async def _plan_next(case: Case, deal: Deal, user: User | None) -> Reason | None:
    """What follows from a failed call without a callback. A call that is reported late changes nothing for a client talked to since."""
    if case.client.number is None:
        return None
    if await talk_after(case.session, case.client, case.call, case.context.write_down) is not None:
        return reason("call.next_talked")
    return await do_plan_next(case.session, case.context, case.call, deal, case.client_name, case.at, _id(user))


async def _attempts_end(case: Case, deal: Deal, user: User | None) -> None:
    """The client is talked to: what was planned after a failed call of ours is done."""
    why = reason("attempts.talked", who=user.name if user else case.talker)
    await _settle_attempts(case, deal, why, user)


async def _settle_attempts(case: Case, deal: Deal, why: Reason, user: User | None) -> None:
    context, by_id = case.context, _id(user)
    await do_settle(case.session, deal.id, why, case.at, context.people, by_id=by_id, read_before=context.attempts)


async def _deal_called_about(case: Case) -> Deal | None:
    """The deal of a click-to-call while it is open, else the client's open deal, else the closed one."""
    asked = await case.session.get(Deal, case.call.deal_id) if case.call.deal_id is not None else None
    if asked is not None and asked.closed_at is None:
        return asked
    return case.client.deal or asked


def _is_nobodys_client(case: Case) -> bool:
    """Whether the number is our own or spam: then the call makes no deal or callback, and its reason says so."""
    is_colleague = case.context.people.user_of_mobile(case.client.number) is not None
    if case.client.special is None and not is_colleague:
        return False
    code = "call.own_number" if is_colleague or case.client.special is NumberKind.OWN else "call.spam"
    case.call.reason = reason(code, number=case.number).stored()
    return True


async def _close_episodes(
    case: Case, waiting: Sequence[Episode], status: EpisodeStatus, why: Reason, user: User | None
) -> None:
    over = case.state.ended_at
    for episode in waiting:
        if over is not None and over < episode.last_missed_at:
            continue  # the client called again after this conversation, and that call was missed
        if status is EpisodeStatus.REACHED:
            await do_attempt(
                case.session,
                episode,
                AttemptResult.REACHED,
                case.at,
                case.context.people,
                user_id=user.id if user else None,
                call_id=case.call.id,
            )
        await do_close(
            case.session,
            episode,
            status,
            why,
            case.at,
            case.context,
            call_id=case.call.id,
            by_id=user.id if user else None,
        )


async def _leave_didnt_reach(case: Case, deal: Deal, user: User | None, who: str) -> None:
    """After a talk, move a deal out of "Didn't reach" to Unsorted and assign it to the person who talked, called ``who`` in texts."""
    stages = case.context.funnel.stages

    def left_out() -> Stage | None:
        stage = stages.get(deal.stage_id)
        return stage if stage is not None and stage.kind == StageKind.DIDNT_REACH else None

    if left_out() is None:
        return
    await lock_row(case.session, Deal, deal.id or 0)
    stage = left_out()
    if stage is None:  # somebody moved it meanwhile
        return
    to = case.context.funnel.stage_for_calls(deal.pipeline_id, StageKind.UNSORTED)
    why = reason("deal.talked", stage=stage.name, who=who)
    people = case.context.people
    if to is not None:
        await do_move_by_itself(case.session, deal, to, case.at, people=people, why=why)
    if user is not None:
        await do_assign_deal(case.session, deal, user.id, case.at, actor=None, people=people, why=why)
        case.call.responsible_id = user.id


async def _make_deal(case: Case, stage: Stage, owner_id: int | None, why: Reason) -> Deal:
    client, line = case.client, case.line
    new = DealDraft(
        title=title_of_new_deal(client.contact.name if client.contact else None, case.call.client_name, client.number),
        stage=stage,
        responsible_id=owner_id,
        reason=why,
        currency=case.context.settings.currency,
        contact_id=client.contact.id if client.contact else None,
        company_id=client.contact.company_id if client.contact else None,
        client_number=client.number,
        values={"source": line.source or line.name},
        made_by_call_id=case.call.id,
    )
    deal = await do_create_by_itself(case.session, new, case.at, case.context.people, second=True)
    case.context.deals.append(deal)
    case.call.deal_id, case.call.responsible_id = deal.id, owner_id
    case.call.reason = why.stored()
    return deal


def _stage(case: Case, kind: StageKind) -> Stage | None:
    """The stage set for the line (Unsorted only), else the stage of this kind in the line's or the default pipeline.

    The default pipeline has one, unless it was made before that was required: then its first open stage, so that no client is lost.
    """
    line, funnel = case.line, case.context.funnel
    chosen = funnel.stages.get(line.stage_id) if kind is StageKind.UNSORTED else None
    if chosen is not None and chosen.archived_at is None:
        return chosen
    return funnel.stage_of_kind(line.pipeline_id, kind) or funnel.stage_for_calls(funnel.default_id, kind)


async def _ask_whose_extension(case: Case, extension: str) -> None:
    """A8: an extension that belongs to no user answered; make a task that asks a manager whose it is."""
    people = case.context.people
    manager = people.manager_of(case.line.owner_id)
    new = TaskDraft(
        kind=TaskKind.CONTROL,
        title=reason("task.unmapped", extension=extension, client=case.client_name),
        why=reason("task.unmapped_why", extension=extension),
        due_at=case.at,
        assignee_id=_id(manager),
        call_id=case.call.id,
        about=cut(f"extension:{extension}", Task.about),
    )
    await do_create_task(case.session, new, case.at, people)


def _id(user: User | None) -> int | None:
    return user.id if user is not None else None
