"""Cards of the board are kept by what they show: whatever changes there gives another card."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from markupsafe import Markup

from pbxcrm.deals.card_queries import BoardCard
from pbxcrm.deals.models import Pipeline, Stage, StageKind
from pbxcrm.deals.queries import Funnel
from pbxcrm.people.directory import Directory
from pbxcrm.people.models import User
from web.deal_cards import drawn
from web.i18n import Here, Language, speaking
from web.static_files import StaticTree
from web.templating import Templates

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
DUE = NOW + timedelta(hours=2)
STAGES = [Stage(id=n, pipeline_id=1, name=kind, kind=kind, position=n) for n, kind in enumerate(StageKind, 1)]
OPEN, LOST = (next(each.id or 0 for each in STAGES if each.kind == kind) for kind in (StageKind.OPEN, StageKind.LOST))
FUNNEL = Funnel(1, {each.id: each for each in STAGES}, {1: Pipeline(id=1, name="Sales", position=0)})
CARD = BoardCard(
    id=7, stage_id=OPEN, version=3, since=NOW - timedelta(days=2), title="Kitchen", client_number="+380671112233", source="",
    amount=Decimal(100), lost_reason="", responsible_id=1, contact="<i>Anna", company=None, task_title="Call", task_title_code=None,
    task_due_at=DUE, lamp="none", tags=("urgent",), rank=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def templates() -> Templates:
    return Templates(StaticTree())


def _draw(
    templates: Templates, now: datetime = NOW, language: Language = Language.EN, name: str = "Ivan", **changed: Any
) -> Markup:
    ivan = User(id=1, login="ivan", name=name, role="seller", password_hash="", created_at=NOW)
    people = Directory({1: ivan}, {}, {})
    with speaking(Here(language, ZoneInfo("Europe/Kyiv"), now)):
        (card,) = drawn(templates, [CARD._replace(**changed)], FUNNEL, people, may_move=True)
    return card


def test_a_card_that_shows_the_same_is_drawn_once(templates: Templates) -> None:
    first = _draw(templates)
    assert _draw(templates) is first
    assert _draw(templates, rank=2) is first  # only the order of the column
    assert "&lt;i&gt;Anna" in first, "what people typed is escaped"


@pytest.mark.parametrize(
    "changed",
    [
        {"now": NOW + timedelta(days=1)},  # another age
        {"now": DUE + timedelta(minutes=1)},  # the task is late
        {"language": Language.UK},
        {"name": "Olena"},
        {"version": 4},
        {"title": "Wardrobe"},
        {"amount": None},
        {"contact": "Borys"},
        {"company": "Firm"},
        {"task_title": "Write"},
        {"task_title_code": {"code": "task.distribution", "params": {"title": "Kitchen"}}},
        {"task_due_at": None},
        {"lamp": "first"},
        {"tags": ()},
        {"stage_id": LOST, "lost_reason": "Too expensive"},
    ],
)
def test_a_card_that_shows_something_else_is_drawn_anew(templates: Templates, changed: dict[str, Any]) -> None:
    assert _draw(templates, **changed) != _draw(templates)
