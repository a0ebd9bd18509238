"""A filtered board in one pass over all open columns shows what it shows column by column."""

from zoneinfo import ZoneInfo

import pytest

from pbxcrm.access import Viewer
from pbxcrm.deals import board_queries
from pbxcrm.deals.board_queries import ColumnFigures, Sort, cards_and_figures, selected
from pbxcrm.deals.card_queries import BoardCard
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.filter_queries import filter_reader
from pbxcrm.deals.queries import stages_of
from pbxcrm.fields.relative_times import AskedAt
from pbxcrm.shared.db import Database
from tests.busy import Busy
from tests.calls import NOON
from tests.filled import Filled
from tests.office import Office
from tests.statements import statements

FILTERS = (
    ("no_task", "1"),
    ("amount.min", "100"),
    ("lamp", "none"),
    ("status", "open"),
    ("age.max", "900"),
    ("lamp", "any"),
)


@pytest.fixture
def office(database: Database, begins_with_busy_office: Filled[tuple[Office, Busy]]) -> Office:
    return begins_with_busy_office.found(database)[0]


async def _board(
    database: Database, viewer: Viewer, pair: tuple[str, str], sort: Sort
) -> tuple[dict[int, list[BoardCard]], dict[int, ColumnFigures]]:
    async with database.read() as session:
        stages = await stages_of(session, 1)
        asked = (await filter_reader(session, viewer, AskedAt(NOON, ZoneInfo("UTC")), "UA")).read([pair])
        selection = await selected(session, viewer, 1, stages, asked)
        limits = {stage.id or 0: NOON for stage in stages if stage.norm_minutes is not None}
        return await cards_and_figures(session, viewer, stages, selection, sort, limits, cards=2)


@pytest.mark.parametrize("sort", list(Sort))
async def test_all_open_columns_at_once_are_the_columns_one_by_one(
    database: Database, office: Office, monkeypatch: pytest.MonkeyPatch, sort: Sort
) -> None:
    seen = 0
    for login in ("admin", "maria", "ivan", "kira"):
        async with database.read() as session:
            viewer = await office.viewer(session, login)
        for pair in FILTERS:
            monkeypatch.setattr(board_queries, "MOST_AT_ONCE", 50_000)
            at_once = await _board(database, viewer, pair, sort)
            monkeypatch.setattr(board_queries, "MOST_AT_ONCE", 0)
            assert at_once == await _board(database, viewer, pair, sort), f"{pair} as {login}"
            seen += sum(head.count for head in at_once[1].values())
    assert seen > 50


async def test_a_text_that_many_deals_have_is_not_counted_again_and_finds_new_deals(
    database: Database, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_queries, "MOST_FOUND", 0)
    found, asked = [], []
    for _ in range(2):
        async with database.read() as session:
            viewer = await office.viewer(session, "admin")
            with statements(database) as sent:
                await _board(database, viewer, ("q", "desk"), Sort.DATE)
            asked.append(any("way0" in statement for statement in sent))  # whether titles were counted
            _cards, heads = await _board(database, viewer, ("q", "desk"), Sort.DATE)
            found.append(sum(head.count for head in heads.values()))
        async with database.write() as session:
            await create_deal(session, viewer, title="Standing desk", now=NOON, currency="UAH", region="UA", stage_id=2)
    assert asked == [True, False]
    assert found[1] == found[0] + 1
