"""Putting tags on deals and taking them off."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Executable, bindparam, delete, literal, union_all
from sqlalchemy import select as select_columns
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.deals.actions import access_deal_for_change, say_deal_changed
from pbxcrm.deals.filters import tag_key
from pbxcrm.deals.models import LONGEST_TAG, Deal, DealTag, Tag
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.core_sql import add_new, execute, fetch, list_param
from pbxcrm.shared.errors import Invalid, NotFound
from pbxcrm.shared.lengths import check_line
from pbxcrm.shared.reasons import Reason

MOST_TAGS = 20  # of one deal
# Built once, because building a statement takes as long as executing it.
_OF_DEAL = select(DealTag.tag_id).where(DealTag.deal_id == bindparam("deal"))
_OF_DEALS = select(DealTag.deal_id, DealTag.tag_id).where(col(DealTag.deal_id).in_(list_param("deals")))
_KNOWN = select(Tag.key, Tag.id, Tag.name).where(col(Tag.key).in_(list_param("keys")))
_OF_DEAL_AND_KNOWN: Executable = union_all(
    select_columns(literal(""), col(DealTag.tag_id), literal("")).where(col(DealTag.deal_id) == bindparam("deal")),
    _KNOWN,
)
_TAKE_OFF = delete(SQLModel.metadata.tables[str(DealTag.__tablename__)]).where(
    col(DealTag.deal_id) == bindparam("deal"), col(DealTag.tag_id) == bindparam("tag")
)
_NAMES = select(Tag.id, Tag.name).where(col(Tag.id).in_(list_param("tags")))
_READ = "deal_tags"  # key in ``session.info``: a ``_ReadTags``


@dataclass(frozen=True, slots=True)
class _ReadTags:
    """Tags that were read together. ``of_deals``: ids by deal; ``ids`` by key, of those of ``asked`` that exist; ``names`` by id."""

    of_deals: dict[int, set[int]]
    asked: frozenset[str]
    ids: dict[str, int]
    names: dict[int, str]


def check_tag(name: str) -> str:
    """The name in one line. Raises Invalid at ``tag``."""
    return check_line(name, Tag.name, "tag", "deals.tag", "Write a tag of up to {most} characters.")


async def add_tag(session: AsyncSession, viewer: Viewer, deal_id: int, name: str, now: datetime) -> int | None:
    """Put the tag on a deal that the viewer may edit. Returns its id; None if the deal has it already."""
    deal = await access_deal_for_change(session, viewer, deal_id, None)
    tag_id = await _tag_id(session, check_tag(name))
    had = await _ids(session, deal_id)
    if tag_id in had:
        return None
    await _change(session, viewer, deal, had, had | {tag_id}, now)
    return tag_id


async def remove_tag(session: AsyncSession, viewer: Viewer, deal_id: int, tag_id: int, now: datetime) -> bool:
    """Take the tag off a deal that the viewer may edit. Returns whether the deal had it. Raises NotFound for a tag that does not exist."""
    await _access_tag(session, tag_id)
    deal = await access_deal_for_change(session, viewer, deal_id, None)
    had = await _ids(session, deal_id)
    await _change(session, viewer, deal, had, had - {tag_id}, now)
    return tag_id in had


async def restore_tag(session: AsyncSession, viewer: Viewer, deal_id: int, tag_id: int, now: datetime) -> None:
    """Undo of ``remove_tag``. Raises NotFound for a tag that does not exist."""
    tag = await _access_tag(session, tag_id)
    await add_tag(session, viewer, deal_id, tag.name, now)


async def _access_tag(session: AsyncSession, tag_id: int) -> Tag:
    """The tag; everybody may see every tag. Raises NotFound."""
    tag = await session.get(Tag, tag_id)
    if tag is None:
        raise NotFound("deals.no_tag", "There is no such tag.")
    return tag


async def set_tags(
    session: AsyncSession, viewer: Viewer, deal_id: int, names: Iterable[str], now: datetime, *, version: int | None
) -> None:
    """Give a deal that the viewer may edit exactly these tags. Raises Conflict for an old ``version``."""
    deal = await access_deal_for_change(session, viewer, deal_id, version)
    wanted = await _tag_ids(session, [check_tag(name) for name in names])
    await _change(session, viewer, deal, await _ids(session, deal_id), wanted, now)


async def do_change_tags(
    session: AsyncSession,
    deal: Deal,
    add: Iterable[str],
    remove: Iterable[str],
    at: datetime,
    *,
    actor: Viewer | None,
    why: Reason | None = None,
) -> tuple[list[str], list[str]]:
    """Put tags on a deal by name and take others off. The caller has checked access. Returns the names of what changed. Raises Invalid."""
    assert deal.id is not None
    on = {_key(name): name for name in map(check_tag, add)}
    off = {tag_key(name) for name in remove}
    read: _ReadTags | None = session.info.get(_READ)
    if read is not None and deal.id in read.of_deals and read.asked.issuperset({*on, *off}):
        had, known = read.of_deals[deal.id], {key: read.ids[key] for key in (*on, *off) if key in read.ids}
    else:  # one question
        found = await fetch(session, _OF_DEAL_AND_KNOWN, {"deal": deal.id, "keys": [*on, *off]})
        had = {tag_id for key, tag_id, _ in found if not key}
        known = {key: tag_id for key, tag_id, _ in found if key}
    if any(key not in known for key in on):
        known |= (made := await _known_or_made(session, on))
        if read is not None:
            read.ids.update((key, tag_id) for key, tag_id in made.items() if key in read.asked)
    wanted = had - {known[key] for key in off if key in known} | {known[key] for key in on}
    return await _change(session, actor, deal, had, wanted, at, why)


async def read_tags(session: AsyncSession, deal_ids: Sequence[int], names: Iterable[str]) -> None:
    """Read the tags of these deals, and those of these names, for a transaction that puts them on many deals. The caller has locked the
    deals and rolls back no part of the transaction alone.
    """
    asked = frozenset(map(_key, names))
    found = await fetch(session, _KNOWN, {"keys": list(asked)})
    of_deals: dict[int, set[int]] = {deal_id: set() for deal_id in deal_ids}
    for deal_id, tag_id in await fetch(session, _OF_DEALS, {"deals": deal_ids}):
        of_deals[deal_id].add(tag_id)
    ids, named = {key: tag_id for key, tag_id, _ in found}, {tag_id: name for _, tag_id, name in found}
    session.info[_READ] = _ReadTags(of_deals, asked, ids, named)


async def _ids(session: AsyncSession, deal_id: int) -> set[int]:
    return {tag_id for (tag_id,) in await fetch(session, _OF_DEAL, {"deal": deal_id})}


async def _tag_id(session: AsyncSession, name: str) -> int:
    (tag_id,) = await _tag_ids(session, [name])
    return tag_id


async def _tag_ids(session: AsyncSession, names: Iterable[str]) -> set[int]:
    """The ids of the tags. Those that are missing are made; two people may make one at once."""
    wanted = {_key(name): name for name in names}
    return set((await _known_or_made(session, wanted)).values()) if wanted else set()


async def _known_or_made(session: AsyncSession, wanted: Mapping[str, str]) -> dict[str, int]:
    known = dict(await _by_key(session, wanted))
    if missing := [{"name": name, "key": key} for key, name in wanted.items() if key not in known]:
        await add_new(session, Tag, missing)
        known = dict(await _by_key(session, wanted))
    return known


def _key(name: str) -> str:
    return tag_key(name)[: 4 * LONGEST_TAG]


async def _by_key(session: AsyncSession, keys: Iterable[str]) -> Sequence[tuple[str, int]]:
    return [(key, tag_id) for key, tag_id, _ in await fetch(session, _KNOWN, {"keys": list(keys)})]


async def _change(
    session: AsyncSession,
    actor: Viewer | None,
    deal: Deal,
    had: set[int],
    wanted: set[int],
    now: datetime,
    why: Reason | None = None,
) -> tuple[list[str], list[str]]:
    if len(wanted) > MOST_TAGS:
        raise Invalid("tag", "deals.too_many_tags", "A deal can have at most {most} tags.", most=MOST_TAGS)
    if had == wanted:
        return [], []
    assert deal.id is not None
    await add_new(session, DealTag, [{"deal_id": deal.id, "tag_id": tag_id} for tag_id in sorted(wanted - had)])
    await execute(session, _TAKE_OFF, [{"deal": deal.id, "tag": tag_id} for tag_id in sorted(had - wanted)])
    read: _ReadTags | None = session.info.get(_READ)
    names: Mapping[int, str] = read.names if read is not None else {}
    if not names.keys() >= had ^ wanted:
        names = dict(await fetch(session, _NAMES, {"tags": list(had ^ wanted)}))
    if read is not None:
        read.of_deals[deal.id] = wanted
    added, removed = (sorted(names[each] for each in some) for some in (wanted - had, had - wanted))
    record(session, now, "deal.tagged", "deal", deal.id, actor=actor, reason=why, added=added, removed=removed)
    say_deal_changed(session, deal, now, await load_directory(session))
    return added, removed
