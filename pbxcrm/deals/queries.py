"""Queries for pipelines, stages, deals and moves."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, func, literal, or_, union_all
from sqlalchemy.orm import Mapped
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.contacts.models import Company, Contact
from pbxcrm.contacts.number_owners import OwnedRow, is_beside
from pbxcrm.deals.access import made_by_call, made_with_anothers_client, number_since, visible_deals
from pbxcrm.deals.lamp_queries import LEVELS, LampLevel, lamp_rank
from pbxcrm.deals.models import CLOSED_KINDS, Deal, Pipeline, Stage, StageKind, StageMove
from pbxcrm.deals.rules import merged_meanwhile
from pbxcrm.deals.tag_queries import as_names, names_of_tags
from pbxcrm.people.directory import load_directory
from pbxcrm.people.models import User
from pbxcrm.shared.config_cache import cached_until_changed
from pbxcrm.shared.core_sql import fetch, list_param
from pbxcrm.shared.errors import Conflict, Invalid, NotFound, not_there
from pbxcrm.tasks.models import Task, TaskStatus, is_next_step

MOST_COUNTED = 10_000  # deals of a stage; counting a million would take longer than all else on a page


@dataclass(frozen=True, slots=True)
class DealRow:
    """A deal with the related rows that a card or a list shows. ``next_task`` is its earliest open task."""

    deal: Deal
    stage: Stage
    pipeline: Pipeline
    responsible: User | None
    contact: Contact | None
    company: Company | None
    next_task: Task | None
    lamp: LampLevel
    tags: Sequence[str]


@dataclass(frozen=True, slots=True)
class Funnel:
    """All pipelines and stages in memory, for code that must not run a query for each."""

    default_id: int | None
    stages: dict[int | None, Stage]  # by id, in order of their positions
    pipelines: dict[int | None, Pipeline]  # by id, likewise

    def stage_of_kind(self, pipeline_id: int | None, kind: StageKind) -> Stage | None:
        """The first stage of this kind in the pipeline that is not archived."""
        return next((s for s in self.stages_of(pipeline_id) if s.kind == kind), None)

    def stage_for_calls(self, pipeline_id: int | None, kind: StageKind) -> Stage | None:
        """Where a client of a call goes: the stage of this kind, else Unsorted, else the first open one. None without such a pipeline."""
        kinds = dict.fromkeys((kind, StageKind.UNSORTED, StageKind.OPEN))
        return next((found for each in kinds if (found := self.stage_of_kind(pipeline_id, each)) is not None), None)

    def name_of_pipeline(self, pipeline_id: int | None) -> str:
        """The name of a pipeline, also of an archived one; a dash if there is none."""
        pipeline = self.pipelines.get(pipeline_id)
        return pipeline.name if pipeline is not None else "—"

    def boards(self) -> list[tuple[Pipeline, list[Stage]]]:
        """The same as ``list_pipelines``; the rows belong to no session and are not to be changed."""
        return [(each, self.stages_of(each.id)) for each in self.pipelines.values() if each.archived_at is None]

    def stages_ever_of(self, pipeline_id: int | None) -> list[Stage]:
        """The stages of a pipeline in order, those that were removed, too: each before the one that has its place now."""
        ever = [s for s in self.stages.values() if s.pipeline_id == pipeline_id]
        return sorted(ever, key=lambda s: (s.position, s.archived_at is None))

    def stages_of(self, pipeline_id: int | None) -> list[Stage]:
        """The stages of a pipeline that are not archived, in order."""
        return [s for s in self.stages.values() if s.pipeline_id == pipeline_id and s.archived_at is None]


async def load_funnel(session: AsyncSession) -> Funnel:
    """All pipelines and stages, from a cache that is reloaded after a change."""
    return await cached_until_changed(session, _read_funnel)


async def _read_funnel(session: AsyncSession) -> Funnel:
    default = await default_pipeline(session)
    stages = (await session.exec(select(Stage).order_by(col(Stage.position), col(Stage.id)))).all()
    pipelines = (await session.exec(select(Pipeline).order_by(col(Pipeline.position), col(Pipeline.id)))).all()
    return Funnel(
        default.id if default else None,
        {stage.id: stage for stage in stages},
        {pipeline.id: pipeline for pipeline in pipelines},
    )


async def default_pipeline(session: AsyncSession) -> Pipeline | None:
    """The pipeline for new deals; None while there is none."""
    found = await session.exec(
        select(Pipeline)
        .where(col(Pipeline.archived_at).is_(None))
        .order_by(col(Pipeline.is_default).desc(), col(Pipeline.position), col(Pipeline.id))
    )
    return found.first()


async def list_pipelines(session: AsyncSession) -> list[tuple[Pipeline, list[Stage]]]:
    """Pipelines with their stages, in order, without archived ones."""
    order = (col(Pipeline.position), col(Pipeline.id))
    pipelines = (await session.exec(select(Pipeline).where(col(Pipeline.archived_at).is_(None)).order_by(*order))).all()
    kept = select(Stage).where(col(Stage.archived_at).is_(None)).order_by(col(Stage.position), col(Stage.id))
    stages = (await session.exec(kept)).all()
    return [(pipeline, [stage for stage in stages if stage.pipeline_id == pipeline.id]) for pipeline in pipelines]


async def stages_of(session: AsyncSession, pipeline_id: int) -> list[Stage]:
    """The stages of a pipeline that are not archived, in order."""
    found = await session.exec(
        select(Stage)
        .where(Stage.pipeline_id == pipeline_id, col(Stage.archived_at).is_(None))
        .order_by(col(Stage.position), col(Stage.id))
    )
    return list(found.all())


async def archived_stages_of(session: AsyncSession, pipeline_id: int) -> list[Stage]:
    """The archived stages of a pipeline, the last archived first."""
    found = await session.exec(
        select(Stage)
        .where(Stage.pipeline_id == pipeline_id, col(Stage.archived_at).is_not(None))
        .order_by(col(Stage.archived_at).desc(), col(Stage.id))
    )
    return list(found.all())


async def stage_of_kind(session: AsyncSession, pipeline_id: int, kind: StageKind) -> Stage | None:
    """The first stage of this kind in the pipeline that is not archived."""
    found = await session.exec(
        select(Stage)
        .where(Stage.pipeline_id == pipeline_id, Stage.kind == kind.value, col(Stage.archived_at).is_(None))
        .order_by(col(Stage.position), col(Stage.id))
    )
    return found.first()


async def open_deal_of_client(session: AsyncSession, number: str | None, contact_ids: Sequence[int]) -> Deal | None:
    """The client's open deal; of several, the one that entered its stage last. ``contact_ids``: the contacts with this number, the
    oldest first; its deals are preferred. None without an open deal.
    """
    if not number and not contact_ids:
        return None
    asked = {
        "number": number or "",
        **({"contacts": list(contact_ids), "first": contact_ids[0]} if contact_ids else {}),
    }
    found: Deal | None = (
        await session.exec(_OPEN_OF_KNOWN if contact_ids else _open_of_number(), params=asked)
    ).first()
    return found


async def open_deals_of_numbers(session: AsyncSession, numbers: Collection[str]) -> dict[str, Deal | None]:
    """The same as ``open_deal_of_client`` for many numbers without a contact, in one query."""
    found: dict[str, Deal | None] = dict.fromkeys(numbers)
    if numbers:
        for deal in (await session.exec(_open_of_numbers(), params={"numbers": list(numbers)})).all():
            if found.get(deal.client_number) is None:
                found[deal.client_number] = deal
    return found


def _open_deal(of_client: ColumnElement[bool], *before_others: ColumnElement[Any]) -> Any:  # Select[Deal], built once
    order = (*before_others, col(Deal.stage_since).desc(), col(Deal.id).desc())
    return select(Deal).where(of_client, col(Deal.closed_at).is_(None)).order_by(*order).limit(1)


# By a number that was only typed into a deal the calls of somebody else's client must not become one's own: where a client
# has the number, only that client's deals and those that calls made count. Of several clients it is the first that had it. A
# deal made with somebody else's client does not count either, nor one made by hand with a number that somebody else had
# before. Of several people's deals those of the first to have the number come first.
_OF_NUMBER = col(Deal.client_number) == bindparam("number")
_BY_CALL = made_by_call()
_FIRST_OWNER = func.min(number_since()).over(partition_by=(col(Deal.client_number), col(Deal.responsible_id)))
_OPEN_OF_KNOWN = _open_deal(
    (col(Deal.contact_id).in_(list_param("contacts")) & ~made_with_anothers_client())
    | (_OF_NUMBER & col(Deal.contact_id).is_(None) & _BY_CALL),
    case((or_(col(Deal.contact_id) == bindparam("first"), col(Deal.contact_id).is_(None)), 0), else_=1),
)


def has_number_first() -> ColumnElement[bool]:
    """SQL condition: nobody else worked on the deal's number before the deal had it."""
    row = OwnedRow(
        col(Deal.client_number), number_since(), col(Deal.responsible_id), col(Deal.contact_id), col(Deal.id)
    )
    return ~is_beside(row)


def number_counts() -> ColumnElement[bool]:
    """SQL condition: calls of the deal's number belong to it where no client has the number.

    Those of a deal that a call made always do: else the next call would make one more.
    """
    return and_(~made_with_anothers_client(), or_(_BY_CALL, has_number_first()))


@cache
def _open_of_number() -> Any:  # Select[Deal], built once
    return _open_deal(_OF_NUMBER & number_counts(), _FIRST_OWNER)


@cache
def _open_of_numbers() -> Any:  # Select[Deal], built once
    of_numbers = col(Deal.client_number).in_(list_param("numbers"))
    order = (_FIRST_OWNER, col(Deal.stage_since).desc(), col(Deal.id).desc())
    return select(Deal).where(of_numbers, col(Deal.closed_at).is_(None), number_counts()).order_by(*order)


async def access_deal(session: AsyncSession, viewer: Viewer, deal_id: int, *, field: str = "") -> Deal:
    """The deal, if the viewer may see it; for a merged deal, the survivor. Raises NotFound, or Invalid at ``field`` if that is given."""
    found = await _get_deal(session, viewer, deal_id)
    if found is None and (survivor := await survivor_of_deal(session, deal_id)) is not None:
        found = await _get_deal(session, viewer, survivor)
    if found is None:
        raise no_deal(field)
    return found


async def _get_deal(session: AsyncSession, viewer: Viewer, deal_id: int) -> Deal | None:
    return (await session.exec(select(Deal).where(Deal.id == deal_id, visible_deals(viewer)))).first()


async def survivor_of_deal(session: AsyncSession, deal_id: int) -> int | None:
    """The id of the final survivor of a merged deal; None if the deal was not merged or does not exist."""
    survivor: int | None = None
    while True:
        asked = select(Deal.merged_into_id).where(Deal.id == (survivor or deal_id))
        into = (await session.exec(asked)).first()
        if into is None:
            return survivor
        survivor = into


async def why_not_there(session: AsyncSession, viewer: Viewer, deal_id: int) -> NotFound | Invalid | Conflict:
    """The error for a change of a deal that is not visible: it was merged into one that is, or the viewer may not see it."""
    survivor = await survivor_of_deal(session, deal_id)
    seen = survivor is not None and await _get_deal(session, viewer, survivor) is not None
    return merged_meanwhile() if seen else no_deal()


def no_deal(field: str = "") -> NotFound | Invalid:
    """The error for a deal that does not exist or that the viewer may not see."""
    return not_there("deals.not_found", "There is no such deal, or it is a colleague's.", field)


async def titles_of_deals(session: AsyncSession, viewer: Viewer, ids: Collection[int]) -> dict[int, str]:
    """The titles of those deals that the viewer sees, by id, in one query."""
    found = await session.exec(select(Deal.id, Deal.title).where(col(Deal.id).in_(ids), visible_deals(viewer)))
    return {deal_id or 0: title for deal_id, title in found.all()}


async def access_deal_row(session: AsyncSession, viewer: Viewer, deal_id: int) -> DealRow:
    """The deal with its related rows, if the viewer may see it. Raises NotFound."""
    return (await as_rows(session, [await access_deal(session, viewer, deal_id)]))[0]


async def visible_among(session: AsyncSession, viewer: Viewer, deal_ids: Collection[int]) -> list[Deal]:
    """Those of these deals that the viewer may see."""
    found = await session.exec(select(Deal).where(visible_deals(viewer), col(Deal.id).in_(deal_ids)))
    return list(found.all())


async def list_deals(
    session: AsyncSession, viewer: Viewer, *filters: ColumnElement[bool], before: int | None = None, limit: int = 50
) -> list[DealRow]:
    """Deals that the viewer may see, newest first. ``before``: only those with a smaller id."""
    query = select(Deal).where(visible_deals(viewer), *filters).order_by(col(Deal.id).desc()).limit(limit)
    if before is not None:
        query = query.where(col(Deal.id) < before)
    return await as_rows(session, list((await session.exec(query)).all()))


async def sums_of_open(session: AsyncSession, viewer: Viewer, *filters: ColumnElement[bool]) -> dict[str, Decimal]:
    """Currency → the sum of the open deals that the viewer may see, for filters that an index narrows to a few thousand at most."""
    amount = func.sum(col(Deal.amount))
    query = select(Deal.currency, amount).where(visible_deals(viewer), *filters)
    query = query.where(col(Deal.closed_at).is_(None), col(Deal.amount).is_not(None)).group_by(col(Deal.currency))
    found = await session.exec(query.order_by(col(Deal.currency)))
    return {currency: total for currency, total in found.all() if total is not None}


_OPEN_TASKS = (
    select(Task)
    .where(col(Task.deal_id).in_(list_param("deals")), Task.status == TaskStatus.OPEN.value, is_next_step())
    .order_by(col(Task.due_at), col(Task.id))
)


@cache
def _beside() -> Any:  # Select[(id, Contact, Company, rank of the lamp, tags)], built once
    return (
        select(Deal.id, Contact, Company)
        .add_columns(lamp_rank(), names_of_tags())
        .outerjoin(Contact, col(Contact.id) == col(Deal.contact_id))
        .outerjoin(Company, col(Company.id) == col(Deal.company_id))
        .where(col(Deal.id).in_(list_param("deals")))
    )


async def as_rows(session: AsyncSession, deals: list[Deal]) -> list[DealRow]:
    """The deals with their related rows, in a fixed number of queries."""
    if not deals:
        return []
    funnel, people = await load_funnel(session), await load_directory(session)
    ids = [deal.id for deal in deals if deal.id is not None]
    beside = {row[0]: row[1:] for row in (await session.exec(_beside(), params={"deals": ids})).all()}
    tasks = await session.exec(_OPEN_TASKS, params={"deals": ids})
    open_tasks: dict[int, list[Task]] = {}
    for task in tasks.all():
        open_tasks.setdefault(task.deal_id or 0, []).append(task)
    return [
        DealRow(
            deal,
            funnel.stages[deal.stage_id],
            funnel.pipelines[deal.pipeline_id],
            people.users.get(deal.responsible_id or 0),
            beside[deal.id][0],
            beside[deal.id][1],
            next(iter(open_tasks.get(deal.id or 0, [])), None),
            LEVELS[beside[deal.id][2]],
            as_names(beside[deal.id][3]),
        )
        for deal in deals
    ]


async def deals_in_stages(session: AsyncSession, pipeline_id: int, only: int = 0) -> dict[int, int]:
    """The number of deals in each stage of a pipeline (``only``: in the one with this id), without access checks, for the settings of stages.

    ``MOST_COUNTED`` + 1 stands for all larger numbers.
    """
    ids = [stage.id for stage in (await load_funnel(session)).stages.values() if stage.pipeline_id == pipeline_id]
    ids = [stage_id for stage_id in ids if only in {0, stage_id}]
    if not ids:
        return {}
    counts = []
    for stage_id in ids:
        some = select(col(Deal.id)).where(Deal.stage_id == stage_id).limit(MOST_COUNTED + 1).subquery()
        counts.append(select(literal(stage_id), func.count()).select_from(some))
    return {stage_id: count for stage_id, count in await fetch(session, union_all(*counts)) if count}


async def has_open_task(session: AsyncSession, deal: Deal) -> bool:
    """Whether the deal has an open task."""
    found = await session.exec(
        select(Task.id).where(Task.deal_id == deal.id, Task.status == TaskStatus.OPEN.value, is_next_step()).limit(1)
    )
    return found.first() is not None


async def moves_of(session: AsyncSession, deal_id: int) -> list[StageMove]:
    """The moves of a deal between stages, oldest first."""
    found = await session.exec(
        select(StageMove).where(StageMove.deal_id == deal_id).order_by(col(StageMove.at), col(StageMove.id))
    )
    return list(found.all())


async def latest_move(session: AsyncSession, deal_id: int) -> StageMove | None:
    """The move that brought the deal to its current stage; None for a deal without moves."""
    found = await session.exec(
        select(StageMove).where(StageMove.deal_id == deal_id).order_by(col(StageMove.id).desc()).limit(1)
    )
    return found.first()


async def texts_of_open_deals(session: AsyncSession, viewer: Viewer, key: str, *, limit: int = 50) -> list[str]:
    """What the open deals that the viewer sees have in the text field ``key``, as suggestions of a filter."""
    text: Mapped[str] = col(getattr(Deal, key))
    found = await session.exec(
        select(text)
        .where(visible_deals(viewer), col(Deal.stage_id).in_(_open_stages()), text != "")
        .distinct()
        .order_by(text)
        .limit(limit)
    )
    return list(found.all())


def _open_stages() -> Any:  # a select for ids
    return select(Stage.id).where(col(Stage.kind).not_in([kind.value for kind in CLOSED_KINDS]))
