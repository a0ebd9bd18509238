"""The reports on the funnel, counted over the sample company: their sums hold, and each figure is its rows."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func
from sqlmodel import col, select

from pbxcrm.access import Viewer
from pbxcrm.deals.lost import LOST_WITH_THE_WIN, stands_by_itself, went_with_the_win
from pbxcrm.deals.models import Deal, Pipeline, Stage, StageKind, StageMove
from pbxcrm.people.queries import get_user_by_login, viewer_of
from pbxcrm.reports.cold_sellers import COLD_SELLERS
from pbxcrm.reports.efficiency import EFFICIENCY
from pbxcrm.reports.filled_fields import FILLED_FIELDS
from pbxcrm.reports.funnel import FUNNEL
from pbxcrm.reports.funnel_snapshot import FUNNEL_SNAPSHOT
from pbxcrm.reports.lamps import LAMPS
from pbxcrm.reports.losses import LOSSES
from pbxcrm.reports.missed import MISSED
from pbxcrm.reports.own_kpi import OWN_KPI
from pbxcrm.reports.queries import ALL, Filter, load_before, load_report, period_before
from pbxcrm.reports.report import Report, ReportLine, Table
from pbxcrm.reports.requests import REQUESTS
from pbxcrm.reports.seller_stages import FEWEST, SELLER_STAGES
from pbxcrm.reports.stage_time import STAGE_TIME
from pbxcrm.shared.db import Database
from tests.filled import Filled
from tests.integration.reports.rows_of_figures import check
from tests.sample_company import SUNDAY_NIGHT

KYIV, SELLER = ZoneInfo("Europe/Kyiv"), "olena"
REPORTS = (
    MISSED,
    LAMPS,
    STAGE_TIME,
    EFFICIENCY,
    OWN_KPI,
    FUNNEL,
    FUNNEL_SNAPSHOT,
    LOSSES,
    REQUESTS,
    SELLER_STAGES,
    COLD_SELLERS,
    FILLED_FIELDS,
)
PARTS = ("advanced", "lost", "back", "handed_over", "stays")


@pytest.fixture
def company(database: Database, begins_with_company: Filled[None]) -> Database:
    assert begins_with_company.found(database) is None
    return database


async def viewer(database: Database, login: str) -> Viewer:
    async with database.read() as session:
        user = await get_user_by_login(session, login)
        assert user is not None
        return await viewer_of(session, user)


async def table(
    database: Database, report: Report, by: str = "", *, login: str = "admin", days: int = 120, **filters: int
) -> Table:
    wanted = Filter(SUNDAY_NIGHT - timedelta(days=days), SUNDAY_NIGHT, KYIV, by, **filters)
    who = await viewer(database, login)
    async with database.read() as session:
        return (await load_report(session, who, report, wanted, now=SUNDAY_NIGHT))[1]


async def test_each_figure_is_its_rows(company: Database) -> None:
    for report in REPORTS:
        for by in report.dimensions:
            found = await table(company, report, by, login=SELLER if report is OWN_KPI else "admin")
            assert found.lines, (report.name, by)
            assert check(report, found) >= len(found.lines), (report.name, by)


async def test_what_went_with_a_win_counts_neither_as_lost_nor_in_the_funnel(company: Database) -> None:
    async def counted() -> list[int]:
        found = [(await table(company, each)).totals for each in (FUNNEL, LOSSES)]
        return [found[0]["entered"], *(values["lost"] for values in found)]

    before, since = await counted(), SUNDAY_NIGHT - timedelta(days=100)
    async with company.write() as session:
        lost = select(Stage.id).where(Stage.kind == StageKind.LOST.value)
        made = select(Deal).where(
            col(Deal.stage_id).in_(lost), Deal.created_at > since, col(Deal.merged_into_id).is_(None)
        )
        deal = (await session.exec(made.order_by(col(Deal.id)))).first()
        assert deal is not None
        deal.lost_reason = LOST_WITH_THE_WIN
        assert not went_with_the_win(deal)  # somebody wrote the same words
        await session.flush()
        assert (await session.exec(select(Deal.id).where(~stands_by_itself()))).all() == []
        deal.follows_id = deal.id
        assert went_with_the_win(deal)
        await session.flush()
        assert (await session.exec(select(Deal.id).where(~stands_by_itself()))).all() == [deal.id]
    assert await counted() == [figure - 1 for figure in before]


async def test_what_entered_a_stage_is_all_that_became_of_it(company: Database) -> None:
    """entered = went on + lost + moved back + handed over + still there, in each line and in all."""
    for by in FUNNEL.dimensions:
        found = await table(company, FUNNEL, by)
        for values in [*(line.values for line in found.lines), found.totals]:
            assert values["entered"] == sum(values[part] or 0 for part in PARTS), (by, values)
    async with company.read() as session:
        made = (
            await session.exec(
                select(func.count())
                .select_from(Deal)
                .where(col(Deal.created_at) >= SUNDAY_NIGHT - timedelta(days=120), col(Deal.created_at) < SUNDAY_NIGHT)
            )
        ).one()
    assert found.totals["entered"] == made


async def test_a_skipped_stage_is_neither_entered_nor_passed(company: Database) -> None:
    found = await table(company, FUNNEL, "stage")
    line = max(found.lines, key=lambda each: each.values["skipped"])
    assert line.values["skipped"] > 0
    entered = {row.id for row in line.behind["entered"]}
    assert entered.isdisjoint(row.id for row in line.behind["skipped"])


async def test_a_move_taken_back_at_once_does_not_count(company: Database) -> None:
    before = await table(company, FUNNEL, "stage")
    line = next(each for each in before.lines if each.values["stays"])
    stays = line.behind["stays"][0]
    async with company.write() as session:
        deal = await session.get(Deal, stays.id)
        assert deal is not None
        stage = (
            await session.exec(
                select(Stage).where(Stage.pipeline_id == deal.pipeline_id, Stage.kind == StageKind.WON.value)
            )
        ).one()
        at = SUNDAY_NIGHT - timedelta(minutes=15)
        for minutes, (left, to) in enumerate(((deal.stage_id, stage.id), (stage.id, deal.stage_id))):
            since = deal.stage_since if minutes == 0 else at
            moved = at + timedelta(minutes=minutes)
            session.add(
                StageMove(
                    deal_id=stays.id,
                    from_stage_id=left,
                    from_since=since,
                    to_stage_id=to or 0,
                    by_id=deal.responsible_id,
                    at=moved,
                )
            )
    after = await table(company, FUNNEL, "stage")
    assert [each.values for each in after.lines] == [each.values for each in before.lines]


async def test_a_snapshot_of_the_past_is_what_stood_there_then(company: Database) -> None:
    """Compared with the moves, one by one."""
    at = SUNDAY_NIGHT - timedelta(days=40)
    wanted = Filter(at - timedelta(days=30), at, KYIV, "stage")
    who = await viewer(company, "admin")
    async with company.read() as session:
        found = (await load_report(session, who, FUNNEL_SNAPSHOT, wanted, now=SUNDAY_NIGHT))[1]
        moves = (await session.exec(select(StageMove).where(col(StageMove.at) <= at).order_by(col(StageMove.id)))).all()
        open_stages = {
            stage.id for stage in (await session.exec(select(Stage))).all() if stage.kind not in {"won", "lost"}
        }
    stood = {move.deal_id: move.to_stage_id for move in moves}
    counted = Counter(str(stage_id) for stage_id in stood.values() if stage_id in open_stages)
    assert {line.key: line.values["deals"] for line in found.lines} == counted


async def test_a_snapshot_of_now_is_the_board(company: Database) -> None:
    found = await table(company, FUNNEL_SNAPSHOT, "pipeline")
    async with company.read() as session:
        rows = await session.exec(
            select(Pipeline.name, func.count(), func.sum(Deal.amount))
            .join(Deal, col(Deal.pipeline_id) == col(Pipeline.id))
            .where(col(Deal.closed_at).is_(None))
            .group_by(Pipeline.name)
        )
        board = {name: (count, amount or 0) for name, count, amount in rows.all()}
    assert {line.name: (line.values["deals"], line.values["amount"]) for line in found.lines} == board


async def test_losses_by_reason_and_by_stage_are_the_same_deals(company: Database) -> None:
    tables = [await table(company, LOSSES, by) for by in LOSSES.dimensions]
    assert len({tuple(sorted(each.totals.items())) for each in tables}) == 1
    for each in tables:
        assert sum(line.values["lost"] for line in each.lines) == each.totals["lost"] > 0
        assert len({(line.name, line.under) for line in each.lines}) == len(
            each.lines
        )  # two stages of one name are told apart
    assert [line.values["lost"] for line in tables[0].lines] == sorted(
        (line.values["lost"] for line in tables[0].lines), reverse=True
    )


async def test_nobody_is_judged_by_a_few_deals(company: Database) -> None:
    found = await table(company, SELLER_STAGES, days=365)
    judged = [line for line in found.lines if line.values["points"] is not None]
    assert judged
    assert all(line.values["left"] >= FEWEST for line in judged)
    assert all(line.values["points"] is None for line in found.lines if line.values["left"] < FEWEST)
    assert [line.values["points"] for line in judged] == sorted(line.values["points"] for line in judged)
    line = judged[0]
    assert line.values["points"] == line.values["percent_on"] - line.values["percent_team"] < 0


async def test_the_team_is_whole_also_when_one_person_is_asked_for(company: Database) -> None:
    whole = {line.key: line for line in (await table(company, SELLER_STAGES, days=365)).lines}
    taras = await viewer(company, "taras")
    own = (await table(company, SELLER_STAGES, days=365, user_id=taras.user_id)).lines
    assert own
    assert {line.name for line in own} == {taras.name}
    assert all(line.values["percent_team"] == whole[line.key].values["percent_team"] for line in own)


async def test_a_manager_counts_their_team_alone(company: Database) -> None:
    """What the manager sees is what the administrator sees of the team."""
    maksym = await viewer(company, "maksym")
    for report in (FUNNEL, FUNNEL_SNAPSHOT, LOSSES):
        theirs = await table(company, report, "owner", login="maksym")
        names = {line.name for line in theirs.lines}
        everybodys = await table(company, report, "owner", team_id=maksym.team_id or 0)
        assert names
        assert names <= {line.name for line in everybodys.lines}, report.name
        assert {line.name for line in (await table(company, report, "team", login="maksym")).lines} == {"Sales"}


async def test_the_period_before_stands_beside_it(company: Database) -> None:
    who, since = await viewer(company, "admin"), datetime(2026, 2, 1, tzinfo=KYIV)
    async with company.read() as session:
        asked, _ = await load_report(
            session, who, FUNNEL, Filter(since, datetime(2026, 3, 1, tzinfo=KYIV), KYIV), now=SUNDAY_NIGHT
        )
        before = await load_before(session, who, FUNNEL, asked)
        earlier = Filter(datetime(2026, 1, 1, tzinfo=KYIV), since, KYIV)
        january = (await load_report(session, who, FUNNEL, earlier, now=SUNDAY_NIGHT))[1]
    assert before is not None
    assert before.values[ALL] == {column: january.totals[column] for column in FUNNEL.compared}
    for line in january.lines:
        assert before.values[line.key] == {column: line.values[column] for column in FUNNEL.compared}
    assert before.since == earlier.since


@pytest.mark.parametrize(
    ("since", "until", "before"),
    [
        ((2026, 3, 1), (2026, 4, 1), (2026, 2, 1)),  # a month, also in the night when clocks change
        ((2026, 1, 1), (2026, 4, 1), (2025, 10, 1)),  # a quarter
        ((2026, 3, 10), (2026, 3, 17), (2026, 3, 3)),  # a week
        ((2026, 3, 28), (2026, 4, 4), (2026, 3, 21)),
    ],
)
def test_the_period_before_is_as_long(
    since: tuple[int, int, int], until: tuple[int, int, int], before: tuple[int, int, int]
) -> None:
    found = period_before(datetime(*since, tzinfo=KYIV), datetime(*until, tzinfo=KYIV).astimezone(UTC), KYIV)
    assert found == datetime(*before, tzinfo=KYIV)


async def test_cards_are_as_full_as_their_fields(company: Database) -> None:
    found = await table(company, COLD_SELLERS)
    line: ReportLine = max(found.lines, key=lambda each: each.values["deals"])
    async with company.read() as session:
        deals = [await session.get(Deal, row.id) for row in line.behind["deals"]]
    shares = [
        100 * sum(value not in (None, "") for value in (deal.contact_id, deal.amount, deal.source)) // 3
        for deal in deals
        if deal
    ]
    assert line.values["percent_filled"] == round(sum(shares) / len(shares))


async def test_clients_who_had_bought_before_are_counted_by_the_step_that_failed(company: Database) -> None:
    by_step = await table(company, REQUESTS, "step")
    assert {line.key: line.values["requests"] for line in by_step.lines}.pop("none") == 1
    assert by_step.whole is not None
    assert (by_step.whole.values["requests"], by_step.whole.values["bought"]) == (2, 1)
    by_form = await table(company, REQUESTS, "form")
    assert [(line.name, line.values["percent_bought"]) for line in by_form.lines] == [("Site", 50)]
