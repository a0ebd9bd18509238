"""People whom a note names: each gets a task on the deal, and their pages say it at once. Only those who see the deal."""

from collections import Counter
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, can, may
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.deals.models import Deal, Note
from pbxcrm.deals.people_queries import who_sees_deal
from pbxcrm.notes.mention_rules import beginning, mentioned
from pbxcrm.people.directory import load_directory
from pbxcrm.people.models import User
from pbxcrm.shared.news import NewsKind, say_news
from pbxcrm.shared.reasons import reason
from pbxcrm.tasks.actions import TaskDraft, do_create_tasks
from pbxcrm.tasks.models import ABOUT_MENTION, TaskKind

DUE_MINUTES = 480  # working minutes: a day


async def tell_mentioned(session: AsyncSession, viewer: Viewer, note: Note, deal: Deal, now: datetime) -> None:
    """Give a task to everybody whom the note names, except its author. Quality control, which neither has nor gives tasks, is only told, and
    who is named by it, too: for work it raises a flag.
    """
    if "@" not in note.text:
        return
    people = await load_directory(session)
    named = [user for user in mentioned(note.text, who_sees_deal(deal, people)) if user.id != viewer.user_id]
    if not named:
        return
    calendars = await load_calendars(session, people)
    text = beginning(note.text)
    drafts = [
        TaskDraft(
            kind=TaskKind.TODO,
            title=reason("note.mention", who=viewer.name, text=text),
            why=reason("note.mention_why", who=viewer.name),
            due_at=calendars.of_user(user.id).add_minutes(now, DUE_MINUTES),
            assignee_id=user.id,
            deal_id=deal.id,
            contact_id=deal.contact_id,
            about=f"{ABOUT_MENTION}{note.id}:{user.id}",
            note=note.text,
        )
        for user in named
        if can(viewer, Permission.TASKS_EDIT) and may(user.role, Permission.TASKS_EDIT)
    ]
    await do_create_tasks(session, drafts, now, people)
    say_news(session, NewsKind.MENTION, note.id or 0, now, [user.id for user in named])


async def named_in_vain(session: AsyncSession, viewer: Viewer, text: str, deal: Deal) -> list[User]:
    """Whom a note on the deal names although they do not see the deal: they are not told."""
    people = await load_directory(session)
    seeing = {user.id for user in who_sees_deal(deal, people)}
    active = [user for user in people.users.values() if user.is_active]
    told = {user.id for user in mentioned(text, who_sees_deal(deal, people))}
    return [user for user in mentioned(text, active) if user.id not in seeing | told and user.id != viewer.user_id]


async def names_to_mention(session: AsyncSession, viewer: Viewer, deal: Deal) -> list[str]:
    """Whom a note on the deal may name, without the viewer: by name, or by login where two have one name."""
    found = who_sees_deal(deal, await load_directory(session))
    names = Counter(user.name.lower() for user in found)
    return [user.name if names[user.name.lower()] == 1 else user.login for user in found if user.id != viewer.user_id]
