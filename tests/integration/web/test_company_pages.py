"""The page of a company: its people, deals and calls with counts that open the rows behind them; it is given to somebody else."""

import re
from decimal import Decimal
from typing import Any

from sqlmodel import select

from pbxcrm.audit.models import AuditEntry
from pbxcrm.contacts.models import Company, Contact
from pbxcrm.deals.models import Deal, Stage
from tests.integration.web.desks import HTMX, BrowserDesk, Browsers, browsers, count_queries, desk
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
    data = {
        "name": "Brick Ltd",
        "note": "pays late",
        "version": version[1],
        "responsible_id": str(desk.office.id("ivan")),
    }
    await maria.post(path, data=data)
    async with desk.database.read() as session:
        company = (await session.exec(select(Company).where(Company.name == "Brick Ltd"))).one()
        edits = (await session.exec(select(AuditEntry.data).where(AuditEntry.action == "company.edited"))).all()
    assert company.responsible_id == desk.office.id("ivan")
    changed = {"responsible_id": {"before": desk.office.id("maria"), "after": desk.office.id("ivan")}}
    assert edits[-1]["changed"] == changed | {"note": {"before": "", "after": "pays late"}}
    form = (await maria.get(f"/contacts/new?company_name={company.name}")).text
    assert 'value="Brick Ltd"' in form


async def test_two_companies_become_one_and_are_two_again(browsers: Browsers, desk: BrowserDesk) -> None:
    maria, ivan = await browsers("maria"), await browsers("ivan")
    paths = []
    for name in ("ТОВ Цегла", "Tsehla"):
        made = await maria.post("/companies/new", data={"name": name, "note": name, "same_name": "1"})
        paths.append(made.headers["location"].partition("?")[0])
    this, into = (int(path.rpartition("/")[2]) for path in paths)
    typed = (await maria.get("/companies/alike", params={"name": "цегла"})).text
    assert all(f'href="{path}"' in typed for path in paths)
    assert "merge" not in typed
    typed = (await maria.get("/companies/alike", params={"company_name": "цегла"})).text  # on the form of a client
    assert 'data-value="Tsehla"' in typed
    assert "data-value" not in (await maria.get("/companies/alike", params={"company_name": "tsehla"})).text
    assert "/companies/alike" in (await maria.get("/contacts/new")).text
    typed = (await maria.get("/companies/alike", params={"name": "цегла", "without": str(this)})).text
    assert f'href="/companies/{this}/merge?company_id={into}"' in typed
    assert f'href="{paths[0]}"' not in typed
    listed = (await maria.get("/companies/duplicates")).text
    assert f'id="pair-{this}-{into}"' in listed
    assert f"/companies/{this}/merge?company_id={into}" in (await maria.get(paths[0])).text
    assert "Tsehla" in (await maria.get(f"/companies/{this}/merge")).text
    assert "Tsehla" in (await maria.get(f"/companies/{this}/merge", params={"q": "tseh"})).text
    page = (await maria.get(f"/companies/{this}/merge?company_id={into}")).text
    assert 'name="take_name" value="this"' in page
    wrong = {"into_company": str(into), "version": "9", "into_version": "1"}
    refused = await maria.post(f"/companies/{this}/merge", data=wrong, headers=HTMX)
    assert refused.status_code == 409
    assert "Somebody changed one of the two meanwhile" in refused.text
    done = await maria.post(f"/companies/{this}/merge", data={"into_company": str(into), "take_note": "both"})
    assert done.headers["location"] == paths[1]
    assert (await maria.get(paths[0])).headers["location"] == paths[1]
    card = (await maria.get(paths[1])).text
    assert "“ТОВ Цегла” was merged into this company" in card
    [merge_path] = re.findall(r"/company-merges/\d+", card)
    assert "Nothing was changed since." in (await maria.get(merge_path)).text
    assert (await ivan.get(merge_path)).status_code == 404
    assert f'id="pair-{this}-{into}"' not in (await maria.get("/companies/duplicates")).text
    back = await maria.post(f"{merge_path}/undo")
    assert back.headers["location"] == paths[0]
    assert "Undone" in (await maria.get(merge_path)).text
    apart = await maria.post(f"/companies/{this}/not-same", data={"other_company": str(into)}, headers=HTMX)
    assert f"#pair-{this}-{into}" in apart.text
    assert f'id="pair-{this}-{into}"' not in (await maria.get("/companies/duplicates")).text
    await maria.post(f"/companies/{this}/not-same/{into}/undo")
    assert f'id="pair-{this}-{into}"' in (await maria.get("/companies/duplicates")).text
