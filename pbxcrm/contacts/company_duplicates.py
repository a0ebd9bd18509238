"""Companies that may be one: their names are spelled alike, or their clients share the domain of an e-mail address or a number.

Names are the surest sign, then domains; a number may be that of an accountant who works for both. What stands in a client whom the
viewer may not see is no sign for them: it would tell them that client's number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, FromClause, func, literal_column, select
from sqlmodel import SQLModel, col
from sqlmodel import select as select_rows
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.access.owners import SEES_EVERYTHING
from pbxcrm.audit.actions import record
from pbxcrm.contacts.access import editable_companies, sees_little, visible_companies, visible_contacts
from pbxcrm.contacts.actions import check_company_editable
from pbxcrm.contacts.duplicates import nobodys_numbers
from pbxcrm.contacts.likely_pairs import GROUPS_AT_ONCE, SMALL_GROUP, Alike, Groups, PairCursor, PairWalk, pairs_in
from pbxcrm.contacts.models import Company, NotSameCompany
from pbxcrm.contacts.name_likeness import company_key
from pbxcrm.contacts.queries import access_company, edits_company
from pbxcrm.shared.core_sql import fetch, load_by_id
from pbxcrm.shared.errors import Invalid

KINDS = (Alike.NAME, Alike.EMAIL, Alike.NUMBER)
LOOKED_THROUGH = 5_000  # addresses or numbers that are looked through at once for those of several companies
MOST_STEPS = 4  # of these in one request
SUGGESTED = 10
MOST_KEYS = 50  # domains or numbers of one company that are compared


@dataclass(frozen=True, slots=True)
class CompanyPair:
    """Two companies that may be one, the older first, and the surest sign of it. ``edits``: as of ``duplicates.Pair``."""

    low: Company
    high: Company
    same: tuple[tuple[Alike, str], ...]
    edits: bool


@dataclass(frozen=True, slots=True)
class _Keys:
    """Where the keys of a kind stand, and whose they are."""

    source: FromClause
    key: ColumnElement[str]
    company: ColumnElement[int]


@dataclass(frozen=True, slots=True)
class _Sight:
    """What the viewer sees: conditions on companies and on clients. ``clients`` None: all."""

    companies: ColumnElement[bool]
    clients: ColumnElement[bool] | None

    @classmethod
    async def of(cls, session: AsyncSession, viewer: Viewer) -> "_Sight":
        little = await sees_little(session, viewer)
        clients = None if viewer.role in SEES_EVERYTHING else visible_contacts(viewer, little=little)
        return cls(visible_companies(viewer, little=little), clients)

    def of_keys(self, alike: Alike) -> list[ColumnElement[bool]]:
        """On the keys of a kind. Who sees a client sees the company."""
        if alike is Alike.NAME:
            return [self.companies]
        return [] if self.clients is None else [self.clients]


_TABLES = SQLModel.metadata.tables
_companies, _contacts = _TABLES["companies"], _TABLES["contacts"]
_emails, _phones = _TABLES["emails"], _TABLES["phones"]
_KEYS = {
    Alike.NAME: _Keys(_companies, _companies.c.name_key, _companies.c.id),
    Alike.EMAIL: _Keys(
        _emails.join(_contacts, _contacts.c.id == _emails.c.contact_id), _emails.c.domain_key, _contacts.c.company_id
    ),
    Alike.NUMBER: _Keys(
        _phones.join(_contacts, _contacts.c.id == _phones.c.contact_id), _phones.c.number, _contacts.c.company_id
    ),
}
_NOTHING: ColumnElement[str] = literal_column("''")  # literal as in the index


async def list_company_duplicates(
    session: AsyncSession, viewer: Viewer, *, after: PairCursor | None = None, limit: int = 50
) -> tuple[list[CompanyPair], PairCursor | None]:
    """Pairs among the visible companies, without those marked as different, and the next cursor (None: the end).

    Fewer than ``limit`` with a cursor: the rest was not looked through yet.
    """
    sight = await _Sight.of(session, viewer)

    async def groups_of(alike: Alike, key: str, include: bool) -> Groups:
        return await _groups(session, alike, key, sight, include=include)

    async def pairs_of(alike: Alike, groups: Mapping[str, Sequence[int]]) -> list[tuple[CompanyPair, PairCursor]]:
        return await _pairs(session, viewer, alike, groups, sight)

    return await PairWalk(KINDS, groups_of, pairs_of, MOST_STEPS).page(after, limit)


async def companies_alike(
    session: AsyncSession, viewer: Viewer, *, name: str = "", company_id: int | None = None, limit: int = SUGGESTED
) -> list[tuple[Company, tuple[tuple[Alike, str], ...]]]:
    """Visible companies that may be the one of this name, with what they have in common, the surest first.

    ``company_id``: the company that is looked at; its clients' domains and numbers are compared as well, and those marked as different
    are left out.
    """
    same: dict[int, list[tuple[Alike, str]]] = {}
    apart = await _apart_from(session, company_id) if company_id is not None else set()
    sight = await _Sight.of(session, viewer)
    for alike in KINDS:
        keys = _KEYS[alike]
        if alike is Alike.NAME:
            wanted = [key] if (key := company_key(name)) else []
        else:
            wanted = await _keys_of(session, alike, company_id, sight) if company_id is not None else []
        found = (
            select(keys.key, keys.company)
            .select_from(keys.source)
            .where(keys.key != _NOTHING, keys.key.in_(wanted), keys.company.is_not(None), *sight.of_keys(alike))
            .distinct()
            .limit(SMALL_GROUP * max(1, len(wanted)))
        )
        for key, other_id in await fetch(session, found) if wanted else ():
            if other_id not in apart and (alike, key) not in same.setdefault(other_id, []):
                same[other_id].append((alike, key))
    seen = select_rows(Company).where(col(Company.id).in_(same), sight.companies).order_by(col(Company.id))
    rows = sorted((await session.exec(seen)).all(), key=lambda row: KINDS.index(same[row.id or 0][0][0]))
    return [(row, tuple(same[row.id or 0])) for row in rows[:limit]]


async def say_companies_differ(
    session: AsyncSession, viewer: Viewer, one_id: int, other_id: int, *, now: datetime
) -> None:
    """Mark two companies as different, so that they are not suggested again. A repetition changes nothing.

    The viewer must see both and may change at least one. Raises NotAllowed, NotFound, and Invalid at ``other_company``.
    """
    if one_id == other_id:
        raise Invalid("other_company", "company_merges.same", "Choose another company: this is the same one.")
    await _check_pair(session, viewer, one_id, other_id)
    low, high = sorted((one_id, other_id))
    if await session.get(NotSameCompany, (low, high)) is None:
        session.add(NotSameCompany(low_id=low, high_id=high, by_id=viewer.user_id, at=now))
        record(session, now, "company.not_same", "company", one_id, actor=viewer, other=other_id)


async def take_back_companies_differ(
    session: AsyncSession, viewer: Viewer, one_id: int, other_id: int, *, now: datetime
) -> None:
    """Remove the mark of ``say_companies_differ``, under the same conditions."""
    await _check_pair(session, viewer, one_id, other_id)
    known = await session.get(NotSameCompany, tuple(sorted((one_id, other_id))))
    if known is not None:
        await session.delete(known)
        record(session, now, "company.may_be_same", "company", one_id, actor=viewer, other=other_id)


async def _check_pair(session: AsyncSession, viewer: Viewer, one_id: int, other_id: int) -> None:
    check(viewer, Permission.CONTACTS_EDIT)
    one = await access_company(session, viewer, one_id)
    await access_company(session, viewer, other_id, field="other_company")
    if not (await edits_company(session, viewer, one_id) or await edits_company(session, viewer, other_id)):
        await check_company_editable(session, viewer, one)


async def _groups(session: AsyncSession, alike: Alike, after: str, sight: _Sight, *, include: bool) -> Groups:
    """The next keys that several visible companies share, among the next ``LOOKED_THROUGH``."""
    keys = _KEYS[alike]
    column = keys.key.table
    behind = [keys.key != _NOTHING, keys.key >= after if include else keys.key > after]
    end_at = select(keys.key).select_from(column).where(*behind).order_by(keys.key).offset(LOOKED_THROUGH).limit(1)
    ends = await fetch(session, end_at)
    end = ends[0][0] if ends else None
    if end is not None:
        behind.append(keys.key <= end)
    seen = [keys.company.is_not(None), *sight.of_keys(alike)]
    several = (
        select(keys.key)
        .select_from(keys.source)
        .where(*behind, *seen)
        .group_by(keys.key)
        .having(func.count(keys.company.distinct()) > 1)
    )
    shared = [row[0] for row in await fetch(session, several.order_by(keys.key).limit(GROUPS_AT_ONCE))]
    groups: dict[str, list[int]] = {key: [] for key in shared}
    members = (
        select(keys.key, keys.company)
        .select_from(keys.source)
        .where(keys.key != _NOTHING, keys.key.in_(shared), *seen)
        .order_by(keys.company)
        .distinct()
    )
    for key, company_id in await fetch(session, members) if shared else ():
        groups[key].append(company_id)
    return Groups(groups, shared[-1] if len(shared) == GROUPS_AT_ONCE else end)


async def _pairs(
    session: AsyncSession, viewer: Viewer, alike: Alike, groups: Mapping[str, Sequence[int]], sight: _Sight
) -> list[tuple[CompanyPair, PairCursor]]:
    """Each pair of the groups once, under the surest sign; in the order of the list."""
    nobodys: set[str] = await nobodys_numbers(session, groups) if alike is Alike.NUMBER else set()
    places = pairs_in(alike, {key: members for key, members in groups.items() if key not in nobodys})
    lows = sorted({place.low_id for place in places})
    apart = await session.exec(
        select_rows(NotSameCompany.low_id, NotSameCompany.high_id).where(col(NotSameCompany.low_id).in_(lows))
    )
    marked = set(apart.all())
    places = [place for place in places if (place.low_id, place.high_id) not in marked]
    ids = {one for place in places for one in (place.low_id, place.high_id)}
    rows = await load_by_id(session, Company, ids)
    editable = await session.exec(select_rows(Company.id).where(col(Company.id).in_(ids), editable_companies(viewer)))
    edits = set(editable.all())
    shared = {kind: await _shared(session, kind, ids, sight) for kind in KINDS[1 : KINDS.index(alike) + 1]}
    found: list[tuple[CompanyPair, PairCursor]] = []
    for place in places:
        low, high = rows[place.low_id], rows[place.high_id]
        signs = [(Alike.NAME, low.name_key)] if low.name_key and low.name_key == high.name_key else []
        for kind, keys in shared.items():
            both = keys.get(place.low_id, set()) & keys.get(place.high_id, set()) - nobodys
            signs += [(kind, key) for key in sorted(both)]
        if signs[:1] == [(alike, place.key)]:
            may = not edits.isdisjoint({place.low_id, place.high_id})
            found.append((CompanyPair(low, high, tuple(signs), may), place))
    return found


async def _shared(session: AsyncSession, alike: Alike, company_ids: set[int], sight: _Sight) -> dict[int, set[str]]:
    """The keys of these companies that several of them have."""
    keys = _KEYS[alike]
    theirs = (keys.company.in_(company_ids), keys.key != _NOTHING, *sight.of_keys(alike))
    several = select(keys.key).select_from(keys.source).where(*theirs)
    several = several.group_by(keys.key).having(func.count(keys.company.distinct()) > 1)
    query = select(keys.company, keys.key).select_from(keys.source).where(*theirs)
    found: dict[int, set[str]] = {}
    for company_id, key in await fetch(session, query.where(keys.key.in_(several)).distinct()):
        found.setdefault(company_id, set()).add(key)
    return found


async def _keys_of(session: AsyncSession, alike: Alike, company_id: int, sight: _Sight) -> list[str]:
    keys = _KEYS[alike]
    of_it = (keys.company == company_id, keys.key != _NOTHING, *sight.of_keys(alike))
    query = select(keys.key).select_from(keys.source).where(*of_it)
    found = [row[0] for row in await fetch(session, query.distinct().limit(MOST_KEYS))]
    nobodys = await nobodys_numbers(session, found) if alike is Alike.NUMBER else set()
    return [key for key in found if key not in nobodys]


async def _apart_from(session: AsyncSession, company_id: int) -> set[int]:
    """Ids of the company and of those marked as different from it."""
    either = (col(NotSameCompany.low_id) == company_id) | (col(NotSameCompany.high_id) == company_id)
    found = await session.exec(select_rows(NotSameCompany).where(either))
    return {company_id, *(one for row in found.all() for one in (row.low_id, row.high_id))}
