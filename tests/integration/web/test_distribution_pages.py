"""The pages of the rules of distribution (D11): a rule as a sentence, its errors at their place, the order, undo, the dry run."""

import re
from html import unescape

from sqlmodel import col, select

from pbxcrm.calls.models import Line
from pbxcrm.deals.creation_actions import DealDraft, do_create_by_itself
from pbxcrm.deals.models import Deal, Stage, StageKind
from pbxcrm.deals.seed import seed
from pbxcrm.distribution.models import DistributionChoice, DistributionRule
from pbxcrm.people.directory import load_directory
from pbxcrm.people.models import User
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.background_jobs import work_on
from pbxcrm.shared.db import Database
from pbxcrm.shared.reasons import reason
from pbxcrm.shared.settings import Settings
from tests.calls import NOON, FactStory, batch
from tests.integration.web.conftest import Browsers, SetClock

PATH = "/settings/distribution"


async def ids(database: Database) -> dict[str, int]:
    async with database.read() as session:
        return {user.login: user.id or 0 for user in (await session.exec(select(User))).all()}


async def rules(database: Database) -> list[DistributionRule]:
    async with database.read() as session:
        kept = select(DistributionRule).where(col(DistributionRule.deleted_at).is_(None))
        return list((await session.exec(kept.order_by(col(DistributionRule.position)))).all())


def typed(*members: str, **more: str) -> dict[str, object]:
    return {
        "name": "Sales by turns",
        "method": "turns",
        "members": list(members),
        "otherwise": "nobody",
        "is_on": "1",
        **more,
    }


async def test_a_rule_is_made_said_changed_moved_and_deleted_with_undo(browser: Browsers, database: Database) -> None:
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")
        session.add(Line(name="Kyiv", did="200"))
    known, admin = await ids(database), await browser("admin")
    assert "No rules yet" in (await admin.get(PATH)).text
    olena = f"user:{known['olena']}"
    form = typed(olena, line="1", on_shift="1", most_per_day="3", **{"amount.min": "1000"})
    assert (await admin.post(f"{PATH}/new", data=form)).status_code == 303
    page = (await admin.get(PATH)).text
    for said in ("Line: Kyiv", "1000", "by turns — Олена Шевченко", "Only to who is at work", "At most 3 deals per"):
        assert said in page
    (first,) = await rules(database)
    again = (await admin.get(f"{PATH}/{first.id}")).text
    assert re.search(rf'name="members" value="{olena}" checked', again)
    assert re.search(r'name="line" value="1" checked', again)
    assert (await admin.post(f"{PATH}/new", data=typed(olena, name="Second"))).status_code == 303
    second = (await rules(database))[1]
    assert (await admin.post(f"{PATH}/{second.id}/move", data={"to": "up"})).status_code == 303
    assert [rule.name for rule in await rules(database)] == ["Second", "Sales by turns"]
    assert (await admin.post(f"{PATH}/{second.id}/switch", data={"to": "off"})).status_code == 303
    assert not (await rules(database))[0].is_on
    deleted = await admin.post(f"{PATH}/{second.id}/delete", headers={"hx-request": "true"})
    assert f"{PATH}/{second.id}/restore" in deleted.text
    assert [rule.name for rule in await rules(database)] == ["Sales by turns"]
    await admin.post(f"{PATH}/{second.id}/restore")
    assert [rule.name for rule in await rules(database)] == ["Second", "Sales by turns"]


async def test_what_is_wrong_is_said_at_its_place_and_nothing_typed_is_lost(
    browser: Browsers, database: Database
) -> None:
    known, admin = await ids(database), await browser("admin")
    olena, petro = f"user:{known['olena']}", f"user:{known['petro']}"
    for form, said in (
        (typed(), "Choose at least one person or team"),
        (typed(petro), "Their role may not work on it"),  # quality control
        (typed(olena, most_open="x"), "Write a whole number"),
        (typed(olena, most_open="0"), "Write a number from 1 to 10000"),
        (typed(olena, line="999"), "Choose from the list"),
        (typed(olena, method="magic"), "Choose how they are given"),
        (typed(olena, name=""), "Write a name"),
        (typed(olena, **{"amount.min": "many"}), "number"),
        (typed(olena, method="value", since_of=olena, since="many"), "Write the amount as a number"),
        (typed(olena, more="where=%7B"), "Write the condition as JSON"),
    ):
        answer = await admin.post(f"{PATH}/new", data={**form, "source": "=cmd()<b>"})
        assert answer.status_code == 422, form
        assert said in answer.text, said
        assert "=cmd()&lt;b&gt;" in answer.text
    assert await rules(database) == []
    made = await admin.post(f"{PATH}/new", data=typed(olena))
    assert made.status_code == 303
    (rule,) = await rules(database)
    stale = await admin.post(f"{PATH}/{rule.id}", data=typed(olena, version="7", name="Mine"))
    assert stale.status_code == 409
    assert "Somebody else has changed this meanwhile" in stale.text
    assert 'value="Mine"' in stale.text


async def test_only_administrators(browser: Browsers) -> None:
    for login in ("olena", "iryna", "petro"):
        person = await browser(login)
        assert (await person.get(PATH)).status_code == 403
        assert (await person.post(f"{PATH}/new", data=typed())).status_code == 403
        assert (await person.get(f"{PATH}/trial")).status_code == 403


async def test_last_week_by_the_rules_beside_who_got_it(
    browser: Browsers, database: Database, clock: SetClock, settings: Settings
) -> None:
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")
    known, admin = await ids(database), await browser("admin")
    for number in range(3):
        story = FactStory(f"17{number}.1", client=f"+38067000000{number}", at=clock()).ring("101").wait(9).end()
        await Intake(database, settings).apply(batch(story))
    trial = (await admin.get(f"{PATH}/trial")).text
    assert "No rule is switched on" in trial
    assert trial.count("no rule speaks") == 3
    form = typed(f"user:{known['olena']}", f"user:{known['iryna']}")
    tried = (await admin.post(f"{PATH}/try", data=form, headers={"hx-request": "true"})).text
    assert "3 new deals of calls that nobody answered" in tried
    assert tried.count("whose turn it was") == 3
    async with database.read() as session:
        assert (await session.exec(select(DistributionChoice))).all() == []
    wrong = await admin.post(f"{PATH}/try", data=typed(), headers={"hx-request": "true"})
    assert wrong.status_code == 422
    assert wrong.headers["hx-retarget"] == "#rule-form"


async def test_a_deal_made_by_hand_is_given_by_the_rules(browser: Browsers, database: Database) -> None:
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")
    known, admin, olena = await ids(database), await browser("admin"), await browser("olena")
    assert "by the rules of distribution" not in (await olena.get("/deals/new")).text
    refused = await olena.post("/deals/new", data={"title": "Doors", "responsible_id": "rules"})
    assert refused.status_code == 422
    assert "No rule of distribution speaks for this deal" in refused.text
    await admin.post(f"{PATH}/new", data=typed(f"user:{known['iryna']}"))
    assert "by the rules of distribution" in (await olena.get("/deals/new")).text
    made = await olena.post("/deals/new", data={"title": "Doors", "responsible_id": "rules"})
    assert (made.status_code, made.headers["location"]) == (303, "/board")  # it is Iryna's: a seller does not see it
    async with database.read() as session:
        (deal,) = (await session.exec(select(Deal))).all()
    assert deal.responsible_id == known["iryna"]
    card = (await admin.get(f"/deals/{deal.id}")).text
    assert card.count("whose turn it was") >= 2  # beside the responsible, and beside when it was made


async def test_many_deals_are_given_by_the_rules_and_taken_back(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")
    known, admin = await ids(database), await browser("admin")
    for title in ("Doors", "Windows"):
        await admin.post("/deals/new", data={"title": title, "responsible_id": str(known["admin"])})
    await admin.post(f"{PATH}/new", data=typed(f"user:{known['olena']}", f"user:{known['iryna']}"))
    async with database.read() as session:
        chosen = ",".join(f"{deal.id}:{deal.version}" for deal in (await session.exec(select(Deal))).all())
    assert "By the rules of distribution" in (await admin.get("/board")).text
    done = await admin.post("/board/bulk", data={"bulk_act": "distribute", "chosen": chosen})
    assert "2 deals done" in done.text

    async def whose() -> set[int | None]:
        async with database.read() as session:
            return {deal.responsible_id for deal in (await session.exec(select(Deal))).all()}

    assert await whose() == {known["olena"], known["iryna"]}
    job = re.search(r'data-job="(\d+)"', done.text)
    assert job
    assert (await admin.post(f"/board/bulk/{job[1]}/undo")).status_code == 200
    await work_on(database, clock())
    assert await whose() == {known["admin"]}
    async with database.read() as session:
        assert (await session.exec(select(DistributionChoice))).all() == []  # they count for nobody's day


async def test_deals_that_nobody_has_are_given_by_a_button(browser: Browsers, database: Database) -> None:
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")
        stage = (await session.exec(select(Stage).where(Stage.kind == StageKind.OPEN))).first()
        people = await load_directory(session)
        assert stage is not None
        for title in ("Kitchen", "Bath"):
            draft = DealDraft(title, stage, None, reason("owner.nobody"), "UAH")
            await do_create_by_itself(session, draft, NOON, people)
    known, admin = await ids(database), await browser("admin")
    deal = (await admin.get("/deals/1")).text
    assert "Give by the rules now" not in deal, "there is no rule"
    assert (await admin.post(f"{PATH}/new", data=typed(f"user:{known['olena']}"))).status_code == 303
    page = (await admin.get(PATH)).text
    assert "2 open deals" in page
    (query,) = re.findall(r'name="query" value="([^"]+)"', page)
    assert 'name="chosen" value="1:1"' in (await admin.get("/deals/1")).text
    sent = {"bulk_act": "distribute", "all": "1", "query": unescape(query)}
    assert "2 deals done" in (await admin.post("/board/bulk", data=sent)).text
    async with database.read() as session:
        assert {deal.responsible_id for deal in (await session.exec(select(Deal))).all()} == {known["olena"]}
    assert "Nobody has them yet" not in (await admin.get(PATH)).text
