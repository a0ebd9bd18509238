"""Putting a number on the list of our own numbers or of those that are not clients, and removing it: who may, and what happens to its callbacks."""

from datetime import datetime

from sqlalchemy import or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, can, check, decides_for
from pbxcrm.audit.actions import record
from pbxcrm.callbacks.actions import relight_callback, say_episode_changed
from pbxcrm.callbacks.attempts import call_behind
from pbxcrm.callbacks.models import AttemptResult, Episode, EpisodeStatus
from pbxcrm.callbacks.queries import load_context, open_episodes, open_episodes_of_number
from pbxcrm.callbacks.results import NO_CALL, record_result
from pbxcrm.calls.access import own_calls
from pbxcrm.calls.models import Call
from pbxcrm.checkpoints.lighting import undo_state_before
from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.contacts.actions import mark_number, unmark_number
from pbxcrm.contacts.models import NumberKind, SpecialNumber
from pbxcrm.contacts.queries import contacts_of_number
from pbxcrm.contacts.rules import check_number
from pbxcrm.deals.models import Deal
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Conflict, Invalid, NotAllowed
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.numbers import format_for_people
from pbxcrm.shared.reasons import reason
from pbxcrm.shared.typed_reasons import check_why
from pbxcrm.tasks.actions import TaskDraft, do_create_task, do_open_task, say_task_changed
from pbxcrm.tasks.models import Task, TaskKind, TaskStatus


async def put_on_list(
    session: AsyncSession, viewer: Viewer, number: str, kind: NumberKind, *, note: str = "", region: str, now: datetime
) -> SpecialNumber:
    """``mark_number`` for whoever owns the client, the deal or the callback of the number, and for their managers.

    A seller needs something of their own under the number, or a call with it. Who is not the viewer and owns some of it is told
    by a task with the reason. An open callback of the number is closed as by a result in the queue: by a call of the viewer's
    own, or for the reason in ``note``. Raises NotAllowed, the same for a number of somebody else and for one of nobody; Invalid
    at ``note`` without call and reason; Conflict where the callback is not the viewer's to close so.
    """
    check(viewer, Permission.CALLBACKS_WORK)
    number = check_number(number, region)
    people = await load_directory(session)
    owners = await _owners(session, number)
    theirs = [owner_id for owner_id in owners if not decides_for(viewer, owner_id, people)]
    if theirs or not (owners or can(viewer, Permission.NUMBERS_LIST_EDIT) or await _called(session, viewer, number)):
        raise NotAllowed(
            "numbers.not_yours",
            "Only the person who has the client, the deal or the callback, or their manager, may put a number on the list.",
        )
    if kind is NumberKind.SPAM:
        await _close_open(session, viewer, number, note, region, now)
    special = await mark_number(session, viewer, number, kind, note=note, region=region, now=now)
    for owner_id in sorted({owner_id for owner_id in owners if owner_id not in {None, viewer.user_id}}, key=str):
        facts = {"who": viewer.name, "number": format_for_people(number), "why": note.strip() or "—"}
        new = TaskDraft(
            TaskKind.TODO,
            reason(f"task.number_{kind.value}", **facts),
            reason(f"number.{kind.value}", **facts),
            now,
            owner_id,
            about=f"number:{number}:{owner_id}",
        )
        await do_create_task(session, new, now, people)
    return special


async def _owners(session: AsyncSession, number: str) -> set[int | None]:
    """Whose the clients, open deals and open callbacks of the number are; None among them: some are nobody's."""
    contacts = await contacts_of_number(session, number)
    of_client = or_(col(Deal.client_number) == number, col(Deal.contact_id).in_([contact.id for contact in contacts]))
    deals = await session.exec(select(Deal.responsible_id).where(of_client, col(Deal.closed_at).is_(None)))
    episodes = await open_episodes_of_number(session, number)
    return {*(c.responsible_id for c in contacts), *deals.all(), *(e.owner_id for e in episodes)}


async def _called(session: AsyncSession, viewer: Viewer, number: str) -> bool:
    found = await session.exec(select(Call.id).where(Call.client_number == number, own_calls(viewer)).limit(1))
    return found.first() is not None


async def _close_open(
    session: AsyncSession, viewer: Viewer, number: str, note: str, region: str, now: datetime
) -> None:
    """Give the open callbacks of the number their result, by the rules of the queue (``results.record_result``)."""
    for episode in await open_episodes_of_number(session, number):
        if episode.status != EpisodeStatus.OPEN:  # closed together with the one before
            continue
        call = await call_behind(session, viewer, episode)
        if call is None and not note.strip():
            raise Invalid("note", "numbers.no_call", NO_CALL)
        said = await record_result(
            session,
            viewer,
            episode.id or 0,
            AttemptResult.SPAM,
            now=now,
            region=region,
            without_call=check_why(note, "note") if call is None else "",
        )
        if said.attempt is None:  # it would be passed on: the queue does that
            raise Conflict(
                "numbers.passed_on",
                "You may not close a callback of this number without a call: call, or say in the callback queue that this"
                " is not a client. It is passed on from there.",
            )


async def take_off_list(session: AsyncSession, viewer: Viewer, number: str, *, now: datetime) -> int:
    """Remove the mark of a number (``unmark_number``). Returns how many callbacks were reopened."""
    await unmark_number(session, viewer, number, now=now)
    return len(await open_episodes_of_number(session, number))  # while it was on the list there were none


async def reopen_callbacks(session: AsyncSession, viewer: Viewer, special: SpecialNumber, now: datetime) -> None:
    """Reopen the callbacks that were closed when and because ``special`` was put on its list.

    The norm continues from its previous start, so a lamp may light at once. A callback whose client has another open one stays closed.
    """
    closed = await session.exec(
        select(Episode.id)
        .where(
            Episode.client_number == special.number,
            Episode.status == EpisodeStatus.DISMISSED.value,
            Episode.closed_at == special.added_at,
        )
        .order_by(col(Episode.id))
    )
    context = await load_context(session)
    for episode_id in closed.all():
        episode = await lock_row(session, Episode, episode_id or 0)
        if episode.closed_reason.get("code") != f"episode.{special.kind}":
            continue
        if await open_episodes(session, [episode.client_key]):
            continue
        episode.status, episode.closed_at, episode.closed_reason = EpisodeStatus.OPEN.value, None, {}
        episode.closed_by_id = episode.closed_by_call_id = None
        episode.version += 1
        task = await session.get(Task, episode.task_id) if episode.task_id is not None else None
        if task is not None and task.status != TaskStatus.OPEN:
            do_open_task(task)
            record(session, now, "task.reopened", "task", task.id, actor=viewer)
            await say_task_changed(session, task, now, context.people)
        episode.norm_from = episode.norm_from or episode.first_missed_at
        went_out = await session.exec(
            select(Lamp).where(
                Lamp.callback_id == episode.id, Lamp.state == LampState.OUT.value, Lamp.out_at == special.added_at
            )
        )
        burned = [await undo_state_before(session, lamp) for lamp in went_out.all()]
        await relight_callback(session, episode, context, burned, viewer, now)
        record(session, now, "callback.reopened", "callback", episode.id, actor=viewer, number=special.number)
        await say_episode_changed(session, episode, now, context.people)
