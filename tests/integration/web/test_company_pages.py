"""The page of a company: its people, deals and calls with counts that open the rows behind them; it is given to somebody else."""

import re
from decimal import Decimal
from typing import Any

from sqlmodel import select

from pbxcrm.contacts.models import Company, Contact
from pbxcrm.deals.models import Deal, Stage
from tests.integration.web.desks import BrowserDesk, Browsers, browsers, count_queries, desk
from web.pages.common import LISTED

__all__ = ["browsers", "desk"]
IRYNA = "Ірина Мельник"


async def test_a_company_shows_its_people_deals_and_calls(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan, maria = await browsers("ivan"), await browsers("maria")
    async with desk.database.read() as session:
        company = (await session.exec(select(Company).where(Company.name == "Dental Plus"))).one()
    page = (await maria.get(f"/companies/{company.id}")).text
    assert IRYNA in page.partition('id="people"')[2]
    for path in (f"/calls?company={company.id}", f"/deals?company={company.id}"):
        assert f'href="{path}"' in page
        answer = await maria.get(path)
        assert answer.status_code == 200
        rows = answer.text.partition('class="body"')[2]
        assert IRYNA in rows or "Dental" in rows
    calls = page.partition('id="calls"')[2]
    assert re.search(r'href="/calls/\d+"', calls)
    listed = (await maria.get(f"/calls?company={company.id}")).text
    assert "Stepan" not in listed.partition('id="calls"')[2]
    few = await count_queries(desk.database, maria, f"/companies/{company.id}")
    async with desk.database.write() as session:
        session.add_all(Contact(name=f"Nurse {n}", company_id=company.id, created_at=desk.now) for n in range(5))
    assert await count_queries(desk.database, maria, f"/companies/{company.id}") <= few
    assert (await ivan.get("/companies/999999")).status_code == 404
    assert (await ivan.get("/calls?company=999999")).status_code == 404


async def test_the_sum_is_of_all_open_deals_also_of_those_that_are_not_listed(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    maria = await browsers("maria")
    made = await maria.post("/companies/new", data={"name": "Brick Ltd"})
    path = made.headers["location"].partition("?")[0]
    stage_id = desk.busy.stages["Invoice issued"].id
    async with desk.database.write() as session:
        pipeline_id = (await session.get_one(Stage, stage_id)).pipeline_id
        place: dict[str, Any] = {
            "pipeline_id": pipeline_id,
            "stage_id": stage_id,
            "company_id": int(path.rpartition("/")[2]),
        }
        for n in range(LISTED + 3):
            closed_at = desk.now if n == 0 else None
            session.add(
                Deal(title=f"Bricks {n}", amount=Decimal(100), currency="UAH", created_at=desk.now, stage_since=desk.now,
                     closed_at=closed_at, responsible_id=desk.office.id("ivan"), **place)
            )  # fmt: skip
    page = (await maria.get(path)).text
    assert f"{LISTED}+" in page
    assert f"{(LISTED + 2) * 100:,}".replace(",", "\u00a0") in page.replace(",", "\u00a0")


async def test_a_manager_gives_a_company_to_somebody(browsers: Browsers, desk: BrowserDesk) -> None:
    maria = await browsers("maria")
    made = await maria.post("/companies/new", data={"name": "Brick Ltd"})
    path = made.headers["location"].partition("?")[0]
    version = re.search(r'name="version" value="(\d+)"', (await maria.get(path)).text)
    assert version
    data = {"name": "Brick Ltd", "note": "", "version": version[1], "responsible_id": str(desk.office.id("ivan"))}
    await maria.post(path, data=data)
    async with desk.database.read() as session:
        company = (await session.exec(select(Company).where(Company.name == "Brick Ltd"))).one()
    assert company.responsible_id == desk.office.id("ivan")
    form = (await maria.get(f"/contacts/new?company_name={company.name}")).text
    assert 'value="Brick Ltd"' in form
