"""The result that a person records for a callback (reached, didn't reach, wrong number …); its undo is in ``undo_actions``."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, can, decides_for
from pbxcrm.audit.actions import record
from pbxcrm.callbacks.actions import asked_to_close, do_close, say_episode_changed
from pbxcrm.callbacks.attempts import call_behind, do_attempt, do_failed_attempt
from pbxcrm.callbacks.claims import access_for_work, check_free, closed
from pbxcrm.callbacks.models import Attempt, AttemptResult, Episode, EpisodeStatus
from pbxcrm.callbacks.queries import DecisionContext, burning_lamps, client_of, has_next_task, load_context
from pbxcrm.callbacks.rules import about_episode, about_forgotten
from pbxcrm.callbacks.undo_actions import remember
from pbxcrm.calls.facts import Outcome
from pbxcrm.calls.models import Call
from pbxcrm.contacts.actions import mark_number
from pbxcrm.contacts.models import NumberKind
from pbxcrm.contacts.queries import special_number
from pbxcrm.deals.access import edits_deal
from pbxcrm.deals.lost import LOST_NOT_A_CLIENT, LOST_WRONG_NUMBER, do_lose_deal
from pbxcrm.deals.models import Deal
from pbxcrm.deals.passed_decisions import active_or_manager, do_pass_on, open_passed, owner_to_ask
from pbxcrm.screenpop.models import Disposition
from pbxcrm.screenpop.outcome_actions import do_say_ended
from pbxcrm.shared.errors import Conflict, Incomplete, Invalid, Missing
from pbxcrm.shared.lengths import longest
from pbxcrm.shared.reasons import N_, Reason, reason
from pbxcrm.shared.typed_reasons import SAY_WHY, check_why
from pbxcrm.tasks.actions import do_change_task
from pbxcrm.tasks.models import Task, TaskStatus
from pbxcrm.tasks.queries import open_task_about
from pbxcrm.tasks.rules import ABOUT_DIGEST, ABOUT_PASSED

# Results that close the callback, with the new status and the reason after a talk; other reasons after a call or without one.
_CLOSING = {
    AttemptResult.REACHED: (EpisodeStatus.REACHED, "episode.said_reached"),
    AttemptResult.WRONG_NUMBER: (EpisodeStatus.DISMISSED, "episode.wrong_number"),
    AttemptResult.NOT_INTERESTED: (EpisodeStatus.DISMISSED, "episode.not_interested"),
    AttemptResult.SPAM: (EpisodeStatus.DISMISSED, "episode.spam"),
    AttemptResult.NO_NUMBER: (EpisodeStatus.DISMISSED, "episode.no_number"),
}
_NOT_TALKED = {"episode.not_interested": "episode.said_not_interested"}
_NOT_CALLED = {**_NOT_TALKED, "episode.wrong_number": "episode.said_wrong_number"}

# The disposition of the talk that closed the callback, by result.
_ENDED = {
    AttemptResult.REACHED: Disposition.DONE,
    AttemptResult.WRONG_NUMBER: Disposition.WRONG_NUMBER,
    AttemptResult.NOT_INTERESTED: Disposition.NOT_INTERESTED,
    AttemptResult.SPAM: Disposition.WRONG_NUMBER,
}
_LOST = {
    AttemptResult.WRONG_NUMBER: LOST_WRONG_NUMBER,
    AttemptResult.SPAM: LOST_NOT_A_CLIENT,
}
NO_CALL = N_("You have not called the client. Call, or say why no call is needed.")


@dataclass(frozen=True, slots=True)
class Recorded:
    """The effect of a result. ``attempt`` is None if the decision was only passed on, or without an attempt.

    ``passed``: the task of the person who decides about their deal or client. ``ask_task_for``: the id of the deal for which the page
    must ask for the next task.
    """

    episode: Episode
    attempt: Attempt | None
    ask_task_for: int | None = None
    passed: Task | None = None


#: The title of the task by which a result without a call is passed on (``task.passed_…``).
SAID_WITHOUT_CALL = {
    AttemptResult.REACHED: "reached",
    AttemptResult.DIDNT_REACH: "didnt_reach",
    AttemptResult.WRONG_NUMBER: "said_wrong_number",
    AttemptResult.NOT_INTERESTED: "said_not_interested",
    AttemptResult.SPAM: "said_spam",
}


@dataclass(frozen=True, slots=True)
class ResultDecider:
    """Who decides instead of the person who recorded a result (``user_id`` None: nobody is there), and as whose it is: the
    ``client``, the ``lamp`` or the ``callback`` (then with its whole result), or the ``deal``.
    """

    user_id: int | None
    whose: str


@dataclass(frozen=True, slots=True)
class Said:
    """A checked result. ``call`` is the call that it is about; None: ``without_call`` says why there is none."""

    result: AttemptResult
    why: str
    without_call: str
    note: str
    call: Call | None
    deal: Deal | None  # the open deal of the callback
    owner_id: int | None  # who must be asked because the deal or the client is theirs; None: the viewer may decide

    @property
    def noted(self) -> str:
        """All that the person wrote, as one text for the attempt; empty if nothing."""
        return "; ".join(part for part in (self.why, self.without_call, self.note) if part)

    @property
    def talked(self) -> bool:
        """Whether the result is about an answered call."""
        return self.call is not None and self.call.outcome == Outcome.ANSWERED


async def record_result(
    session: AsyncSession,
    viewer: Viewer,
    episode_id: int,
    result: AttemptResult,
    *,
    now: datetime,
    region: str,
    version: int | None = None,
    why: str = "",
    without_call: str = "",
    note: str = "",
) -> Recorded:
    """Record the result of a callback. ``version``: the one that the viewer saw, so that a key pressed twice counts once (Conflict).

    A result needs a call by the viewer (``attempts.call_behind``) or ``without_call``, the reason why there is none. ``why`` is required
    for NOT_INTERESTED. Raises Incomplete with everything that is missing. A decision about a colleague's deal or client is passed to
    them; without a call also that about a colleague's callback or one with a burning lamp.
    A callback that the viewer's own talk has closed still accepts the result of that talk.
    """
    episode = await access_for_work(session, viewer, episode_id)
    context = await load_context(session)
    check_free(episode, viewer, context, now)
    settles = _settles_own_talk(episode, viewer)
    if episode.status != EpisodeStatus.OPEN and not settles:
        raise closed(episode)
    if version is not None and episode.version != version and not settles:
        raise Conflict("callbacks.stale", "This callback changed meanwhile. Look at it again, then say how it went.")
    if result is AttemptResult.DIDNT_REACH and settles:
        raise closed(episode)
    if result is AttemptResult.NO_NUMBER and episode.client_number is not None:
        raise Invalid("result", "callbacks.has_number", "The number of this client is known.")
    if result is AttemptResult.SPAM and episode.client_number is None:
        raise Invalid("result", "callbacks.no_number", "A withheld number cannot be put on the list.")
    said = await _as_said(session, viewer, episode, result, why, without_call, note, context, settles=settles)
    if passed := await _pass_on(session, viewer, episode, said, now, context):
        return Recorded(episode, None, passed=passed)
    if result is AttemptResult.DIDNT_REACH:
        return await _didnt_reach(session, viewer, episode, said, now, context)
    return await _close_by_hand(session, viewer, episode, said, now, context, region)


async def dismiss(session: AsyncSession, viewer: Viewer, episode_id: int, why: str, *, now: datetime) -> Recorded:
    """Close a callback without a call for the reason ``why``. A colleague's one, or one with a burning lamp, is passed on."""
    why = check_why(why)
    episode = await access_for_work(session, viewer, episode_id)
    context = await load_context(session)
    check_free(episode, viewer, context, now)
    if episode.status != EpisodeStatus.OPEN:
        raise closed(episode)
    deal = await _open_deal(session, episode)
    decider = await decider_of(session, viewer, episode, None, deal, context, called=False)
    if decider is not None:
        passed = await _pass_close(session, viewer, episode, deal, decider, why, now, context)
        return Recorded(episode, None, passed=passed)
    told = reason("episode.dismissed", who=viewer.name, why=why)
    await do_close(session, episode, EpisodeStatus.DISMISSED, told, now, context, by_id=viewer.user_id)
    return Recorded(episode, None)


async def _as_said(
    session: AsyncSession,
    viewer: Viewer,
    episode: Episode,
    result: AttemptResult,
    why: str,
    without_call: str,
    note: str,
    context: DecisionContext,
    *,
    settles: bool,
) -> Said:
    """The checked result with its call. Raises Incomplete with everything that is missing, Invalid."""
    call = await (session.get(Call, episode.closed_by_call_id) if settles else call_behind(session, viewer, episode))
    needs_call = result is not AttemptResult.NO_NUMBER and call is None
    needs_why = result is AttemptResult.NOT_INTERESTED
    if needs_call and not without_call.strip():
        missing = [Missing("call", "without_call", NO_CALL)]
        if needs_why and not why.strip():
            missing.append(Missing("field", "why", SAY_WHY))
        raise Incomplete("callbacks.no_call", missing)
    deal = await _open_deal(session, episode)
    number = episode.client_number if result is AttemptResult.SPAM else None
    why = check_why(why) if needs_why else ""
    without_call = check_why(without_call, "without_call") if needs_call else ""
    return Said(
        result,
        why,
        without_call,
        _check_note(note.strip(), why, without_call),
        call,
        deal,
        await owner_to_ask(session, viewer, context.people, deal=deal, number=number),
    )


def _check_note(note: str, *reasons: str) -> str:
    """The note, if it fits into the column together with the reasons before it. Raises Invalid at ``note``."""
    most = longest(Attempt.note) - sum(len(each) + len("; ") for each in reasons if each)
    if len(note) > most:
        raise Invalid("note", "form.too_long", "Write at most {most} characters.", most=most)
    return note


async def _pass_on(
    session: AsyncSession, viewer: Viewer, episode: Episode, said: Said, now: datetime, context: DecisionContext
) -> Task | None:
    """Pass the whole result on as a task and return it; None if the viewer may record the result."""
    called = said.call is not None
    decider = await decider_of(session, viewer, episode, said.result, said.deal, context, called=called)
    if decider is None:
        return None
    if said.result is AttemptResult.SPAM and decider.whose == "client":
        why = reason("passed.client", *_without(said), who=viewer.name)
        return await _pass(session, viewer, episode, "spam", decider, said.deal, why, now, context)
    return await _pass_close(session, viewer, episode, said.deal, decider, said.noted, now, context, said.result)


async def decider_of(
    session: AsyncSession,
    viewer: Viewer,
    episode: Episode,
    result: AttemptResult | None,
    deal: Deal | None,
    context: DecisionContext,
    *,
    called: bool,
) -> ResultDecider | None:
    """Who decides about the whole result instead of the viewer; None: the viewer does. ``result`` None: closing without a call.

    Marking a colleague's client as spam is theirs to decide; without a call (``called``) also anything about a colleague's callback,
    and while its lamp burns the manager decides: whoever has the escalation already. ``deal``: the open one of the callback.
    """
    people = context.people
    if result is AttemptResult.SPAM:
        owner_id = await owner_to_ask(session, viewer, people, deal=deal, number=episode.client_number)
        if owner_id is not None:
            return ResultDecider(active_or_manager(owner_id, people), "client")
    if called or result is AttemptResult.NO_NUMBER:
        return None
    burning = () if can(viewer, Permission.ESCALATIONS_WORK) else await burning_lamps(session, [episode.id])
    if burning:
        others = [lamp.addressee_id for lamp in burning if lamp.is_escalation and lamp.addressee_id != viewer.user_id]
        asked = [each for each in others if people.active(each)]
        manager = people.manager_of(episode.owner_id if episode.owner_id is not None else viewer.user_id)
        return ResultDecider(asked[-1] if asked else manager.id if manager is not None else None, "lamp")
    if deal is not None:
        theirs, owner_id = not edits_deal(viewer, deal, people), deal.responsible_id
    else:
        theirs, owner_id = not decides_for(viewer, episode.owner_id, people), episode.owner_id
    return ResultDecider(active_or_manager(owner_id, people), "callback") if theirs else None


async def _pass_close(
    session: AsyncSession,
    viewer: Viewer,
    episode: Episode,
    deal: Deal | None,
    decider: ResultDecider,
    why: str,
    now: datetime,
    context: DecisionContext,
    result: AttemptResult | None = None,
) -> Task:
    """Pass on closing without a call. ``result`` is what the viewer says of the client; None where they ask to close the callback."""
    asked = SAID_WITHOUT_CALL.get(result, "close") if result is not None else "close"
    told = reason("passed.lamp" if decider.whose == "lamp" else "passed.callback", who=viewer.name, why=why)
    return await _pass(session, viewer, episode, "close", decider, deal, told, now, context, asked)


async def _pass(
    session: AsyncSession,
    viewer: Viewer,
    episode: Episode,
    what: str,
    decider: ResultDecider,
    deal: Deal | None,
    why: Reason,
    now: datetime,
    context: DecisionContext,
    asked: str = "",
) -> Task:
    client = await client_of(session, episode)
    task = await _own_task(session, episode, decider)
    if task is not None:  # they have the callback already: it is asked there, so that one miss stays one thing to do
        title = reason(f"task.passed_{asked or what}", who=viewer.name, client=client)
        behind = [*(each.stored() for each in why.because), *_why_made(task)]
        explained = {**why.stored(), "because": behind}
        await do_change_task(
            session, task, now, context.people, actor=viewer, why=why, title=title, explained=explained
        )
    else:
        task = await do_pass_on(
            session,
            viewer,
            what,
            decider.user_id,
            why,
            now,
            context.people,
            client=client,
            about=f"callback-{episode.id}",
            asked=asked,
            deal_id=deal.id if deal is not None else episode.deal_id,
            contact_id=episode.contact_id,
            call_id=episode.last_call_id,
        )
    record(session, now, "callback.passed_on", "callback", episode.id, actor=viewer, reason=why, task_id=task.id)
    await say_episode_changed(session, episode, now, context.people)
    return task


async def _own_task(session: AsyncSession, episode: Episode, decider: ResultDecider) -> Task | None:
    """The open task that the decider has about this callback: its own, else of its latest burning lamp, else what was passed on before."""
    if episode.status != EpisodeStatus.OPEN or episode.id is None:
        return None
    lamps = await burning_lamps(session, [episode.id])
    ids = [episode.task_id, *(lamp.task_id for lamp in reversed(lamps))]
    tasks = [await session.get(Task, each) for each in ids if each is not None]
    for task in [*tasks, *await open_passed(session, asked_to_close(episode))]:
        is_theirs = task is not None and task.status == TaskStatus.OPEN and task.assignee_id == decider.user_id
        if (
            task is not None and is_theirs and not task.about.startswith(ABOUT_DIGEST)
        ):  # that one is about many callbacks
            return task
    return None


def _why_made(task: Task) -> list[dict[str, Any]]:
    """Why the task was made, without what was said of the client since; stored reasons."""
    if task.about.startswith(ABOUT_PASSED):
        return []
    was_said = str(task.reason.get("code", "")).startswith("passed.")
    return [task.reason["because"][-1] if was_said else task.reason]


async def _didnt_reach(
    session: AsyncSession, viewer: Viewer, episode: Episode, said: Said, now: datetime, context: DecisionContext
) -> Recorded:
    before = await remember(session, episode, said.deal)
    attempt = await do_failed_attempt(session, episode, now, context, user_id=viewer.user_id, note=said.noted)
    await session.flush()
    if episode.status == EpisodeStatus.OPEN:  # it was not the last attempt, so the deal was not moved
        before.pop("deal", None)
    for about in (about_episode(episode.id), about_forgotten(about_episode(episode.id))):
        asked = await open_task_about(session, about)
        if asked is not None and asked.created_at == now:
            before["passed"] = asked.id
    if attempt.call_id is None:
        attempt.before = {**before, "version": episode.version}
    return Recorded(episode, attempt)


async def _close_by_hand(
    session: AsyncSession,
    viewer: Viewer,
    episode: Episode,
    said: Said,
    now: datetime,
    context: DecisionContext,
    region: str,
) -> Recorded:
    result, deal = said.result, said.deal
    before = await remember(session, episode, deal)
    people, (status, code) = context.people, _CLOSING[result]
    if not said.talked:
        code = (_NOT_TALKED if said.call is not None else _NOT_CALLED).get(code, code)
    told = reason(code, *_without(said), who=viewer.name, why=said.why)
    attempt = await _attempt(session, viewer, episode, said, now, context)
    if episode.status != EpisodeStatus.OPEN:  # the viewer's talk has closed it: only the result is new
        episode.status, episode.closed_reason = status.value, told.stored()
        episode.version += 1
        if episode.closed_by_call_id is not None:  # so that the call's card does not ask again
            await do_say_ended(session, episode.closed_by_call_id, viewer.user_id, _ENDED[result], now)
    else:
        await do_close(session, episode, status, told, now, context, by_id=viewer.user_id)
    passed = None
    if deal is not None and result in {*_LOST, AttemptResult.NOT_INTERESTED}:
        if said.owner_id is None and edits_deal(viewer, deal, people):
            await _lose(session, viewer, deal, said, told, now, context)
        else:
            what = "not_interested" if result is AttemptResult.NOT_INTERESTED else "wrong_number"
            why = reason("passed.deal", told)
            decider = ResultDecider(active_or_manager(said.owner_id, people), "deal")
            passed = await _pass(session, viewer, episode, what, decider, deal, why, now, context)
            before["passed"] = passed.id
    if result is AttemptResult.SPAM and episode.client_number is not None:
        if await special_number(session, episode.client_number) is None:
            before["spam"] = episode.client_number
        await mark_number(session, viewer, episode.client_number, NumberKind.SPAM, region=region, now=now)
    await session.flush()
    attempt.before = {**before, "version": episode.version}
    if result is not AttemptResult.REACHED or deal is None or deal.closed_at is not None:
        return Recorded(episode, attempt, passed=passed)
    asks = edits_deal(viewer, deal, people) and not await has_next_task(session, deal)
    return Recorded(episode, attempt, deal.id if asks else None)


async def _attempt(
    session: AsyncSession, viewer: Viewer, episode: Episode, said: Said, now: datetime, context: DecisionContext
) -> Attempt:
    """The attempt of the result's call, updated with the result; a new one if there is none."""
    known = await attempt_of_call(session, episode, said.call.id) if said.call is not None and said.call.id else None
    if known is not None:
        known.result, known.by_hand = said.result.value, True
        known.note = said.noted or known.note
        return known
    return await do_attempt(
        session,
        episode,
        said.result,
        now,
        context.people,
        user_id=viewer.user_id,
        call_id=None,
        note=said.noted,
        by_hand=True,
    )


async def _lose(
    session: AsyncSession, viewer: Viewer, deal: Deal, said: Said, told: Reason, now: datetime, context: DecisionContext
) -> None:
    """Lose the deal of a client who is not interested; for a wrong number or spam only a deal in the first stages."""
    lost, only_raw = _LOST.get(said.result, said.why), said.result is not AttemptResult.NOT_INTERESTED
    if await do_lose_deal(session, deal, lost, now, actor=viewer, people=context.people, only_raw=only_raw, why=told):
        record(session, now, "deal.lost_by_callback", "deal", deal.id, actor=viewer, reason=told)


def _without(said: Said) -> tuple[Reason, ...]:
    return (reason("episode.without_call", why=said.without_call),) if said.without_call else ()


async def _open_deal(session: AsyncSession, episode: Episode) -> Deal | None:
    deal = await session.get(Deal, episode.deal_id) if episode.deal_id is not None else None
    return deal if deal is not None and deal.closed_at is None else None


def _settles_own_talk(episode: Episode, viewer: Viewer) -> bool:
    """Whether the viewer's own talk closed the callback, so that its result can still be recorded."""
    return (
        episode.status == EpisodeStatus.REACHED
        and episode.closed_by_call_id is not None
        and episode.closed_by_id == viewer.user_id
    )


async def attempt_of_call(session: AsyncSession, episode: Episode, call_id: int) -> Attempt | None:
    """The attempt of this call; None without one."""
    found = await session.exec(select(Attempt).where(Attempt.episode_id == episode.id, Attempt.call_id == call_id))
    return found.first()
