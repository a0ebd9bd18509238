"""The people of a deal besides its client, and its watchers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import literal, true, union_all
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.contacts.access import is_live
from pbxcrm.contacts.models import Contact
from pbxcrm.contacts.queries import ContactRow, with_numbers
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.audience import audience_of_deal
from pbxcrm.deals.models import Deal, DealPerson, DealWatcher, Note, StageMove
from pbxcrm.people.directory import Directory
from pbxcrm.people.models import User
from pbxcrm.shared.core_sql import fetch, list_param
from pbxcrm.shared.errors import NotFound

MOST_ROLES = 100  # suggested
# Built once: each note asks it.
_WATCHERS = select(DealWatcher.deal_id, DealWatcher.user_id).where(col(DealWatcher.deal_id).in_(list_param("deals")))
_READ = "deal_watchers"  # key in ``session.info``: the ids of who watches, by deal, of those that were read together


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A person of a deal with their numbers."""

    person: DealPerson
    row: ContactRow


async def people_of(session: AsyncSession, deal: Deal) -> list[PersonRow]:
    """The people of a deal that the viewer sees, in the order in which they were added. Whoever sees the deal sees them
    (``deals.access.PERSON_OF_DEAL``). The client of the deal may be among them, with a role of their own.
    """
    found = await session.exec(
        select(DealPerson, Contact)
        .join(Contact, col(Contact.id) == col(DealPerson.contact_id))
        .where(DealPerson.deal_id == deal.id, col(DealPerson.removed_at).is_(None), is_live())
        .order_by(col(DealPerson.id))
    )
    first: dict[int, tuple[DealPerson, Contact]] = {}
    for person, contact in found.all():
        first.setdefault(person.contact_id, (person, contact))
    rows = await with_numbers(session, [contact for _, contact in first.values()]) if first else []
    return [PersonRow(person, row) for (person, _), row in zip(first.values(), rows, strict=True)]


async def access_person(
    session: AsyncSession, viewer: Viewer, deal_id: int, person_id: int, *, or_removed: bool = False
) -> DealPerson:
    """One of the people of a deal that the viewer sees; ``or_removed``: also one who was taken off. Raises NotFound."""
    found = await session.exec(
        select(DealPerson)
        .join(Deal, col(Deal.id) == col(DealPerson.deal_id))
        .where(
            DealPerson.id == person_id,
            DealPerson.deal_id == deal_id,
            true() if or_removed else col(DealPerson.removed_at).is_(None),
            visible_deals(viewer),
        )
    )
    person = found.first()
    if person is None:
        raise NotFound("deals.no_person", "This person is not on the deal any more.")
    return person


async def list_roles(session: AsyncSession, viewer: Viewer) -> list[str]:
    """The roles that people have on deals that the viewer sees, as suggestions, by name."""
    found = await session.exec(
        select(DealPerson.role)
        .join(Deal, col(Deal.id) == col(DealPerson.deal_id))
        .where(DealPerson.role != "", visible_deals(viewer))
        .distinct()
        .order_by(col(DealPerson.role))
        .limit(MOST_ROLES)
    )
    return list(found.all())


async def deals_of_person(session: AsyncSession, viewer: Viewer, contact_id: int) -> list[tuple[Deal, str]]:
    """The deals on which somebody is another person than the client, with their role, of those the viewer sees, newest first."""
    found = await session.exec(
        select(Deal, DealPerson.role)
        .join(DealPerson, col(DealPerson.deal_id) == col(Deal.id))
        .where(
            DealPerson.contact_id == contact_id,
            col(DealPerson.removed_at).is_(None),
            col(Deal.contact_id).is_distinct_from(contact_id),
            visible_deals(viewer),
        )
        .order_by(col(Deal.id).desc())
        .limit(20)
    )
    return [(deal, role) for deal, role in found.all()]


async def watchers_of(session: AsyncSession, deal_id: int, people: Directory) -> list[User]:
    """Who watches a deal, by name; those who have left are not among them."""
    known: Mapping[int, set[int]] = session.info.get(_READ, {})
    if deal_id not in known:
        known = await _watching(session, [deal_id])
    watching = (people.active(user_id) for user_id in known.get(deal_id, ()))
    return sorted((user for user in watching if user is not None), key=lambda user: user.name)


async def read_watchers(session: AsyncSession, deal_ids: Sequence[int]) -> None:
    """Read who watches these deals together, for a transaction that writes to many of them and lets nobody begin or end it."""
    found = await _watching(session, deal_ids)
    session.info[_READ] = {deal_id: found.get(deal_id, set()) for deal_id in deal_ids}


async def _watching(session: AsyncSession, deal_ids: Sequence[int]) -> dict[int, set[int]]:
    if session.autoflush:
        await session.flush()  # somebody may have begun to watch just now
    found: dict[int, set[int]] = {}
    for deal_id, user_id in await fetch(session, _WATCHERS, {"deals": deal_ids}):
        found.setdefault(deal_id, set()).add(user_id)
    return found


def who_sees_deal(deal: Deal, people: Directory) -> list[User]:
    """Everybody who sees the deal and has not left, by name."""
    heard = audience_of_deal(deal, people)
    found = [user for user in people.users.values() if user.is_active and heard.includes(user.id, user.role)]
    return sorted(found, key=lambda user: user.name)


async def is_watching(session: AsyncSession, viewer: Viewer, deal_id: int) -> bool:
    """Whether the viewer watches the deal."""
    mine = DealWatcher.deal_id == deal_id, DealWatcher.user_id == viewer.user_id
    return (await session.exec(select(DealWatcher.id).where(*mine).limit(1))).first() is not None


async def access_move(session: AsyncSession, viewer: Viewer, move_id: int) -> StageMove:
    """A move of a deal that the viewer sees. Raises NotFound."""
    seen = select(Deal.id).where(visible_deals(viewer))
    query = select(StageMove).where(StageMove.id == move_id, col(StageMove.deal_id).in_(seen))
    found = (await session.exec(query)).first()
    if found is None:
        raise NotFound("deals.no_move", "There is no such move, or it is of a colleague's deal.")
    return found


@dataclass(frozen=True, slots=True)
class Happened:
    """A move or a note on a watched deal. Exactly one of ``move`` and ``note`` is set."""

    at: datetime
    deal: Deal
    move: StageMove | None
    note: Note | None


async def happened_on_watched(
    session: AsyncSession, viewer: Viewer, *, since: datetime, limit: int = 100
) -> list[Happened]:
    """What others did since then on the deals that the viewer watches and sees, newest first."""
    watched = select(DealWatcher.deal_id).where(DealWatcher.user_id == viewer.user_id)
    seen = select(Deal.id).where(visible_deals(viewer), col(Deal.id).in_(watched))
    not_mine = viewer.user_id
    moves: Any = select(
        literal("move").label("kind"), col(StageMove.id).label("id"), col(StageMove.at).label("at")
    ).where(
        col(StageMove.deal_id).in_(seen), col(StageMove.by_id).is_distinct_from(not_mine), col(StageMove.at) >= since
    )
    notes: Any = select(literal("note").label("kind"), col(Note.id).label("id"), col(Note.at).label("at")).where(
        col(Note.deal_id).in_(seen), col(Note.author_id).is_distinct_from(not_mine), col(Note.at) >= since
    )
    both = union_all(moves, notes).subquery()
    newest = await fetch(
        session, select(both.c.kind, both.c.id).order_by(both.c.at.desc(), both.c.id.desc()).limit(limit)
    )
    move_ids = [row_id for kind, row_id in newest if kind == "move"]
    note_ids = [row_id for kind, row_id in newest if kind == "note"]
    moved = (await session.exec(select(StageMove).where(col(StageMove.id).in_(move_ids)))).all()
    noted = (await session.exec(select(Note).where(col(Note.id).in_(note_ids)))).all()
    ids = {move.deal_id for move in moved} | {note.deal_id for note in noted}
    deals = {deal.id: deal for deal in (await session.exec(select(Deal).where(col(Deal.id).in_(ids)))).all()}
    told = [Happened(move.at, deals[move.deal_id], move, None) for move in moved]
    told += [Happened(note.at, deals[note.deal_id], None, note) for note in noted]
    return sorted(told, key=lambda one: one.at, reverse=True)


async def watched_deals(session: AsyncSession, viewer: Viewer, *, limit: int = 200) -> Sequence[Deal]:
    """The deals that the viewer watches and sees, the newest first."""
    watched = select(DealWatcher.deal_id).where(DealWatcher.user_id == viewer.user_id)
    query = select(Deal).where(col(Deal.id).in_(watched), visible_deals(viewer))
    return (await session.exec(query.order_by(col(Deal.id).desc()).limit(limit))).all()
