"""A fact of a deal edited where it stands, with undo and its history; and a timeline of 2,000 entries."""

import re
from datetime import timedelta

from sqlmodel import col, select

from pbxcrm.audit.models import AuditEntry
from pbxcrm.calls.models import Call
from pbxcrm.deals.models import Deal, Note, Stage
from pbxcrm.shared.db import Database
from pbxcrm.tasks.models import Task
from tests.integration.web.conftest import Browsers, SetClock
from tests.integration.web.desks import count_queries
from tests.integration.web.test_settings_pages import make_deal

PART = {"hx-request": "true", "hx-request-type": "partial"}
HOSTILE = "=cmd|'<b>\u202e😀"


async def test_a_fact_is_changed_in_its_place_with_undo_and_history(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    _client, deal_id = await make_deal(database, clock)
    olena, iryna, petro = await browser("olena"), await browser("iryna"), await browser("petro")
    at = f"/deals/{deal_id}/facts"
    form = (await olena.get(f"{at}/amount", headers=PART)).text
    assert 'name="seen" value=""' in form
    bad = await olena.post(f"{at}/amount", data={"amount": "a lot", "seen": ""}, headers=PART)
    assert bad.status_code == 422
    assert 'value="a lot"' in bad.text  # nothing typed is lost
    saved = await olena.post(f"{at}/amount", data={"amount": "12 400", "seen": ""}, headers=PART)
    assert "12,400" in saved.text.replace("\xa0", " ")
    assert f"{at}/amount/undo" in saved.text
    assert saved.headers["x-version"] == f"/deals/{deal_id} 1 2"
    stale = await iryna.post(f"{at}/amount", data={"amount": "1", "seen": ""}, headers=PART)
    assert stale.status_code == 422
    assert "There now:" in stale.text
    undone = await olena.post(f"{at}/amount/undo", headers=PART)
    assert undone.headers["hx-retarget"] == "#fact-amount"
    assert (await olena.post(f"{at}/amount/undo", headers=PART)).status_code == 200  # the undo is a change of hers, too
    await iryna.post(f"{at}/amount", data={"amount": "7", "seen": "12400.00"}, headers=PART)
    assert (await olena.post(f"{at}/amount/undo", headers=PART)).status_code == 409
    history = (await olena.get(f"{at}/amount", headers=PART)).text
    assert len(re.findall(r'<li class="muted">', history)) == 4
    assert "Ірина Мельник" in history
    for key, value in (("title", HOSTILE), ("source", HOSTILE)):
        answer = await olena.post(f"{at}/{key}", data={key: value}, headers=PART)
        assert answer.status_code == 200
        assert "&lt;b&gt;" in answer.text
    moment = await olena.post(f"{at}/event_at", data={"event_at": "2026-12-01T10:00"}, headers=PART)
    assert "<time" in moment.text
    assert (await olena.post(f"{at}/title", data={"title": ""}, headers=PART)).status_code == 422
    assert (await olena.get(f"{at}/password", headers=PART)).status_code == 404
    assert (await petro.post(f"{at}/amount", data={"amount": "1"})).status_code == 403
    assert "form" not in (await petro.get(f"{at}/amount", headers=PART)).text
    assert (await (await browser("dmytro")).get(f"{at}/amount")).status_code == 404


async def test_who_is_responsible_is_changed_in_its_place_too(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    _client, deal_id = await make_deal(database, clock)
    admin = await browser("admin")
    at = f"/deals/{deal_id}/facts/responsible_id"
    assert (await admin.post(at, data={"responsible_id": "", "seen": "1"}, headers=PART)).status_code == 422
    given = await admin.post(at, data={"responsible_id": "2", "seen": "1"}, headers=PART)
    assert "Dmytro Koval" in given.text
    assert "Олена Шевченко" in (await admin.get(at, headers=PART)).text  # in its history
    assert "Олена Шевченко" in (await admin.post(f"{at}/undo", headers=PART)).text
    # Who gives their only deal away does not see it any more, and is led to the board.
    olena = await browser("olena")
    away = await olena.post(at, data={"responsible_id": "3", "seen": "1"}, headers=PART)
    assert away.headers["hx-redirect"] == "/board"


async def test_what_the_stage_asks_for_stands_first_and_is_marked(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    _client, deal_id = await make_deal(database, clock)
    olena = await browser("olena")
    assert 'id="fact-event_at"' not in (await olena.get(f"/deals/{deal_id}")).text
    async with database.write() as session:
        deal = await session.get_one(Deal, deal_id)
        (await session.get_one(Stage, deal.stage_id)).requires = {"fields": ["event_at"], "files": 2}
    facts = (await olena.get(f"/deals/{deal_id}")).text.partition('id="facts"')[2].partition("</section>")[0]
    assert facts.index('id="fact-event_at"') < facts.index('id="fact-amount"')
    assert "to fill in" in facts
    assert "0 of 2" in facts
    assert facts.count('class="req"') == 2


async def test_a_timeline_of_2000_entries_is_paged_with_the_same_queries(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    _client, deal_id = await make_deal(database, clock)
    olena = await browser("olena")
    path = f"/deals/{deal_id}"
    few = await count_queries(database, olena, path)
    async with database.write() as session:
        for n in range(500):
            at = clock() - timedelta(minutes=n)
            session.add_all(
                [
                    Note(deal_id=deal_id, author_id=1, text=f"note {n} @olena", at=at),
                    Task(kind="todo", title=f"task {n}", due_at=at, created_at=at, deal_id=deal_id, assignee_id=1, status="done", done_at=at),
                    Call(pbx="default", linkedid=f"8.{n}", direction="inbound", outcome="answered", started_at=at, deal_id=deal_id, responsible_id=1),
                    AuditEntry(at=at, action="deal.edited", entity="deal", entity_id=str(deal_id), actor_id=1, data={"changed": {"source": {"before": "", "after": f"s{n}"}}}),
                ]
            )  # fmt: skip
    many = await count_queries(database, olena, path)
    assert many <= few + 2  # people of the entries, and what they may hear
    page = (await olena.get(path)).text
    seen = re.findall(r'id="(e-\w+-\d+)"', page)
    assert len(seen) == 40
    while found := re.search(r'hx-get="([^"]+/timeline[^"]*)"', page.partition('class="more"')[2]):
        page = (await olena.get(found[1].replace("&amp;", "&"), headers=PART)).text
        seen += re.findall(r'id="(e-\w+-\d+)"', page)
    assert len(seen) == len(set(seen)) >= 2000
    kinds = (await olena.get(f"{path}?kind=tasks")).text
    assert set(re.findall(r'id="e-(\w+)-\d+"', kinds)) == {"task"}
    assert "kind=tasks" in kinds.partition('class="more"')[2]  # the filter stays in the address
    async with database.read() as session:
        assert len((await session.exec(select(Note).where(col(Note.deal_id) == deal_id))).all()) == 500
