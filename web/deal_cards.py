"""Cards of the board: each is drawn once for what it shows, and kept. Most cards are as they were when the board was last opened."""

from collections.abc import Iterable

from markupsafe import Markup
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request

from pbxcrm.deals.card_queries import BoardCard, cards_of_deals
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.deals.queries import Funnel, load_funnel
from pbxcrm.deals.rules import is_closing, owes_next_task
from pbxcrm.people.directory import Directory, load_directory
from web import formats, words
from web.i18n import here
from web.parts import parts
from web.templating import Templates


def drawn(
    templates: Templates, cards: Iterable[BoardCard], funnel: Funnel, people: Directory, *, may_move: bool
) -> list[Markup]:
    """The cards in the reader's language at this moment."""
    return [_drawn(templates, card, funnel.stages[card.stage_id], people, may_move) for card in cards]


async def drawn_anew(session: AsyncSession, request: Request, deal: Deal) -> list[Markup]:
    """The deal as the board shows it after a change in this session, for somebody who may move it."""
    await session.flush()
    cards, funnel = await cards_of_deals(session, [deal.id or 0]), await load_funnel(session)
    return drawn(parts(request).templates, cards, funnel, await load_directory(session), may_move=True)


def _drawn(templates: Templates, card: BoardCard, stage: Stage, people: Directory, may_move: bool) -> Markup:
    due_at, now = card.task_due_at, here().now
    responsible = people.users.get(card.responsible_id or 0)
    return templates.repeated(
        "deals/_card.html",
        card=card._replace(task_title=None, task_title_code=None, rank=0),
        title=words.title_of_deal(card.title),
        age=formats.age(card.since),
        task=words.title_of_task(card.task_title or "", card.task_title_code) if due_at is not None else "",
        due=formats.day_time(due_at) if due_at is not None else "",
        is_late=due_at is not None and due_at <= now,
        is_open=not is_closing(stage),
        kind=stage.kind,
        owes_task=owes_next_task(stage),
        lost=words.why_lost(card.lost_reason),
        responsible=responsible.name if responsible is not None else "",
        may_move=may_move,
    )
