"""Lost deals are found by when they were closed, also where an office has lost half a million."""

from pbxcrm.shared.db import Database
from tests.integration.web.conftest import Browsers, SetClock
from tests.integration.web.test_plans import _fill as fill
from tests.integration.web.test_plans import _plan as plan_of
from tests.statements import queries


async def test_lost_deals_are_found_by_when_they_were_closed(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    await fill(database, clock)
    client = await browser("admin")
    with queries(database) as asked:
        answer = await client.get("/reports/losses")
    assert answer.status_code == 200
    of_deals = {statement: values for statement, values in asked if "deals.lost_reason" in statement}
    assert of_deals
    for statement, parameters in of_deals.items():
        plan = "\n".join(await plan_of(database, statement, parameters))
        assert "ix_deals_closed_at" in plan, f"{statement}\n{plan}"
        assert "ix_stage_moves_deal_id" in plan, f"{statement}\n{plan}"  # the move of each, not all moves
