"""The pages of automation (G1, G2): the list, one form per rule, versions, the log, and what each refuses."""

import re
from decimal import Decimal
from html import unescape

import pytest
from sqlmodel import col, select

from pbxcrm.automation.models import AutomationRule, RuleRun
from pbxcrm.automation.runner import run_due
from pbxcrm.contacts.actions import create_contact
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.deals.seed import seed
from pbxcrm.messages.template_actions import MessageDraft, save_message_template
from pbxcrm.money.product_actions import ProductDraft, add_product
from pbxcrm.money.queries import lines_of
from pbxcrm.people.models import User
from pbxcrm.people.queries import viewer_of
from pbxcrm.shared.background_jobs import work_on
from pbxcrm.shared.db import Database
from tests.calls import NOON
from tests.integration.web.conftest import Browsers, SetClock

PATH = "/automation"
FORM = {"hx-request": "true"}


async def stages(database: Database) -> dict[str, int]:
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")
    async with database.read() as session:
        return {stage.name: stage.id or 0 for stage in (await session.exec(select(Stage))).all()}


async def rules(database: Database) -> list[AutomationRule]:
    async with database.read() as session:
        return list((await session.exec(select(AutomationRule).order_by(col(AutomationRule.id)))).all())


def typed(stage_id: int, **more: object) -> dict[str, object]:
    """The fields of a rule as its form sends them."""
    return {
        "name": "Call after the offer",
        "owner_id": "5",
        "state": "on",
        "mode": "once",
        "most_per_hour": "20",
        "when.kind": "stage_entered",
        "when.stage_id": str(stage_id),
        "if.how": "all",
        "if.0.field": "amount",
        "if.0.op": ">=",
        "if.0.value": "1000",
        "then.0.kind": "task",
        "then.0.title": "Call them",
        "then.0.assignee": "responsible",
        "then.0.due": "2h",
        **more,
    }


def text(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


async def test_a_rule_is_written_said_switched_paused_and_archived(browser: Browsers, database: Database) -> None:
    known, admin = await stages(database), await browser("admin")
    assert "No rules yet" in (await admin.get(PATH)).text
    answer = await admin.post(f"{PATH}/new", data=typed(known["Unsorted"]))
    assert answer.status_code == 303, text(answer.text)
    (rule,) = await rules(database)
    assert rule.when == {"kind": "stage_entered", "stage_id": known["Unsorted"]}
    assert rule.conditions == {"all": [{"field": "amount", "op": ">=", "value": "1000"}]}
    assert (rule.state, rule.steps[0]["title"]) == ("on", "Call them")
    page = text((await admin.get(PATH)).text)
    assert "A deal enters “Unsorted”, if Amount ≥ 1,000 ₴ → " in page
    assert "Call them" in page
    one = (await admin.get(f"{PATH}/{rule.id}")).text
    for said in ('name="if.0.value" id="f-if.0.value" value="1000"', 'value="Call them"', 'value="&gt;=" selected'):
        assert said in one
    watched = await admin.post(f"{PATH}/{rule.id}/switch", data={"to": "watch"}, headers=FORM)
    assert "only watches now" in text(watched.text)
    assert 'data-do="watch"' in watched.text
    assert (await admin.post(f"{PATH}/{rule.id}/pause", data={"due_at": "tomorrow 15:00"})).status_code == 303
    assert "paused until" in (await admin.get(PATH)).text
    assert (await admin.post(f"{PATH}/{rule.id}/pause", data={"due_at": "when I like"})).status_code == 422
    assert (await admin.post(f"{PATH}/{rule.id}/pause", data={})).status_code == 303
    (rule,) = await rules(database)
    assert (rule.state, rule.paused_until, rule.version) == ("watch", None, 1)
    gone = await admin.post(f"{PATH}/{rule.id}/archive", headers=FORM)
    assert f"{PATH}/{rule.id}/restore" in gone.text
    assert "Call after the offer" in (await admin.get(f"{PATH}?state=archived")).text
    assert (await admin.post(f"{PATH}/{rule.id}/restore")).status_code == 303
    assert (await rules(database))[0].state == "off"


async def test_a_rule_that_sells_is_typed_by_sku_and_said_by_name(browser: Browsers, database: Database) -> None:
    known, admin = await stages(database), await browser("admin")
    async with database.write() as session:
        who = await viewer_of(session, await session.get_one(User, 5))
        draft = ProductDraft("Plaster <b>", Decimal(245), "KN-30", "", "goods", "bag", None)
        product = await add_product(session, who, draft, NOON, currency="UAH")
    step = {
        "then.0.kind": "lines",
        "then.0.product_id": "KN-30",
        "then.0.quantity": "2 * amount_of",
        "then.0.same": "sum",
    }
    answer = await admin.post(f"{PATH}/new", data=typed(known["Unsorted"], **step))
    assert answer.status_code == 422
    assert 'id="e-then.0.quantity"' in answer.text
    assert '<option value="KN-30">Plaster &lt;b&gt;</option>' in answer.text
    more = {"then.0.quantity": "2 * 3", "then.1.kind": "discount", "then.1.discount": "5 %"}
    answer = await admin.post(f"{PATH}/new", data=typed(known["Unsorted"], **step | more))
    assert answer.status_code == 303, text(answer.text)
    (rule,) = await rules(database)
    assert rule.steps == [
        {"kind": "lines", "product_id": product.id, "quantity": "2 * 3", "inputs": {}, "same": "sum"},
        {"kind": "discount", "discount": "5 %"},
    ]
    sells = "Add products: Plaster <b> × “2 * 3”, what the deal has already gets the quantity added; "
    assert f"{sells}Give a discount on the whole deal: 5 %" in text((await admin.get(PATH)).text)
    assert 'value="KN-30"' in (await admin.get(f"{PATH}/{rule.id}")).text


async def test_a_condition_names_whom_it_points_to(browser: Browsers, database: Database) -> None:
    known, admin = await stages(database), await browser("admin")
    async with database.write() as session:
        who = await viewer_of(session, await session.get_one(User, 5))
        client = await create_contact(session, who, name="Petro <b>", now=NOON, region="UA")
    found = await admin.get(f"{PATH}/find?what=contact&q=Pet")
    assert f'data-id="{client.id}"' in found.text
    assert "Petro &lt;b&gt;" in found.text
    assert "Nothing found" in (await admin.get(f"{PATH}/find?what=user&q=Pet")).text
    asked = {"if.0.field": "contact", "if.0.op": "=", "if.0.value": str(client.id)}
    answer = await admin.post(f"{PATH}/new", data=typed(known["Unsorted"], **asked))
    assert answer.status_code == 303, text(answer.text)
    assert "if Client = Petro <b> →" in text((await admin.get(PATH)).text)
    (rule,) = await rules(database)
    assert 'value="Petro &lt;b&gt;"' in (await admin.get(f"{PATH}/{rule.id}")).text


async def test_what_is_wrong_is_said_at_its_place_and_nothing_typed_is_lost(
    browser: Browsers, database: Database
) -> None:
    known, admin = await stages(database), await browser("admin")
    form = typed(
        known["Unsorted"],
        **{
            "when.stage_id": "999",
            "if.how": "any",
            "if.0.value": "a lot",
            "if.1.how": "none",
            "if.1.0.field": "title",
            "if.1.0.op": "begins",
            "if.1.0.value": "Roof of",
            "then.0.due": "some day soon",
            "then.1.kind": "note",
            "then.1.text": "<b>Wrote</b> them",
        },
    )
    answer = await admin.post(f"{PATH}/new", data=form)
    assert answer.status_code == 422
    for place in ("when.stage_id", "if.0.value", "then.0.due"):
        assert f'id="e-{place}"' in answer.text, place
    for kept in ('value="a lot"', 'value="Roof of"', 'value="some day soon"', "&lt;b&gt;Wrote&lt;/b&gt; them"):
        assert kept in answer.text, kept
    assert await rules(database) == []


async def test_the_form_grows_moves_and_shrinks_as_it_is_typed(browser: Browsers, database: Database) -> None:
    known, admin = await stages(database), await browser("admin")
    form = typed(known["Unsorted"])

    async def shaped(act: str, **more: object) -> str:
        answer = await admin.post(f"{PATH}/shape", data={**form, **more, "act": act}, headers=FORM)
        assert answer.status_code == 200, text(answer.text)
        return answer.text

    assert 'name="if.1.field"' in await shaped("add:if")
    grouped = await shaped("group:if")
    assert 'name="if.1.how"' in grouped
    assert 'name="if.1.0.field"' in grouped
    assert 'name="if.0.field"' not in await shaped("drop:if.0")
    assert 'name="then.1.kind"' in await shaped("add:then")
    second = {"then.1.kind": "note", "then.1.text": "Second"}
    moved = await shaped("up:then.1", **second)
    assert moved.index("Second") < moved.index('value="Call them"')
    assert 'name="then.1.text"' in await shaped(
        "place:then.0:1", **{"then.0.kind": "note", "then.0.text": "x", **second}
    )
    for nonsense in ("drop:then.99", "up:if", "add:if.0.0", "place:then.0:x", "drop:then." + "9" * 30, "x:y:z", ":::"):
        await shaped(nonsense)
    other = {"when.kind": "silence", "when.days": "working", "when.stage_id": str(known["Unsorted"])}
    chosen = await shaped("focus:when.kind", was="daily", **other)
    assert 'value="working"' not in chosen, "the days of a week are no number of days"
    assert f'value="{known["Unsorted"]}" selected' in chosen
    assert 'href="/automation/webhooks"' in await shaped("focus:then.0.kind", **{"then.0.kind": "webhook"})
    await admin.post("/automation/webhooks", data={"name": "Stock", "address": "https://stock.example/in"})
    assert ">Stock</option>" in await shaped("focus:then.0.kind", **{"then.0.kind": "webhook"})
    said = await admin.post(f"{PATH}/shape", data={**form, "act": "said"}, headers=FORM)
    assert "Amount ≥ 1,000 ₴" in text(said.text)
    assert 'role="alert"' not in said.text
    wrong = {**form, "act": "said", "then.0.title": "Call {= client_name} about {= amount /"}
    told = text((await admin.post(f"{PATH}/shape", data=wrong, headers=FORM)).text)
    assert "1. Task : A formula begins here that no closing brace ends." in told


async def test_dates_that_move_with_today_are_chosen_and_come_back(browser: Browsers, database: Database) -> None:
    known, admin = await stages(database), await browser("admin")
    asked = {"if.0.field": "event_at", "if.0.op": "<", "if.0.base": "in_d", "if.0.amount": "7", "if.0.value": ""}
    assert (await admin.post(f"{PATH}/new", data=typed(known["Unsorted"], **asked))).status_code == 303
    (rule,) = await rules(database)
    assert rule.conditions == {"all": [{"field": "event_at", "op": "<", "value": "today+7d"}]}
    page = (await admin.get(f"{PATH}/{rule.id}")).text
    assert re.search(r'value="in_d" selected', page)
    assert 'id="f-if.0.amount" value="7"' in page
    assert "Event earlier than today + 7 days" in text(page)
    when = {"when.kind": "date", "when.field": "event_at", "when.days": "-14", "when.time": "09:00"}
    others = {"if.0.field": "status", "if.0.op": "in", "if.0.value": "won", "then.0.due": "1d"}
    form = {**typed(known["Unsorted"], **when, **others), "act": "said"}
    said = await admin.post(f"{PATH}/shape", data=form, headers=FORM)
    assert "14 days before “Event”, at 09:00, if the deal is won → Make a task: “Call them” (" in text(said.text)
    assert ", 1 day)" in text(said.text)


async def test_two_people_at_one_rule_and_a_way_back(browser: Browsers, database: Database) -> None:
    known, admin = await stages(database), await browser("admin")
    await admin.post(f"{PATH}/new", data=typed(known["Unsorted"]))
    (rule,) = await rules(database)
    theirs = typed(known["Unsorted"], version="1", **{"if.0.value": "5000"})
    assert (await admin.post(f"{PATH}/{rule.id}", data=theirs)).status_code == 303
    mine = typed(known["Unsorted"], version="1", name="Mine", **{"if.0.value": "7000"})
    refused = await admin.post(f"{PATH}/{rule.id}", data=mine)
    assert refused.status_code == 409
    assert 'value="7000"' in refused.text
    assert 'name="version" value="2"' in refused.text
    assert "saved version 2" in text(refused.text)
    versions = text((await admin.get(f"{PATH}/{rule.id}/versions")).text)
    assert "If: Amount ≥ 1,000 ₴ → Amount ≥ 5,000 ₴" in versions
    back = (await admin.get(f"{PATH}/{rule.id}?version=1")).text
    assert 'value="1000"' in back
    assert 'name="version" value="2"' in back
    again = typed(known["Unsorted"], version="2")
    assert (await admin.post(f"{PATH}/{rule.id}", data=again)).status_code == 303
    (rule,) = await rules(database)
    assert (rule.version, rule.conditions["all"][0]["value"]) == (3, "1000")
    assert (await admin.get(f"{PATH}/{rule.id}?version=77")).status_code == 404


@pytest.mark.parametrize(
    ("unit", "kept", "said"),
    [
        ("h", {"minutes": 120}, "Wait 2 h, then"),
        ("working_days", {"working_days": 2}, "Wait 2 working days, then"),
        ("days", {"days": 2}, "Wait 2 days, then"),
        ("months", {"months": 2}, "Wait 2 months, then"),
    ],
)
async def test_a_wait_is_counted_in_hours_days_or_months(
    browser: Browsers, database: Database, unit: str, kept: dict[str, int], said: str
) -> None:
    known, admin = await stages(database), await browser("admin")
    wait = {"then.0.kind": "wait", "then.0.minutes": "2", "then.0.minutes_unit": unit}
    wait |= {"then.1.kind": "note", "then.1.text": "x"}
    refused = await admin.post(f"{PATH}/new", data=typed(known["Unsorted"], **wait | {"then.0.minutes": "0"}))
    assert (refused.status_code, 'id="e-then.0.minutes"' in refused.text) == (422, True)
    assert (await admin.post(f"{PATH}/new", data=typed(known["Unsorted"], **wait))).status_code == 303
    (rule,) = await rules(database)
    assert rule.steps[0] == {"kind": "wait", **kept}
    assert said in text((await admin.get(PATH)).text).replace("\u00a0", " ")
    again = (await admin.get(f"{PATH}/{rule.id}")).text
    assert 'value="2" inputmode="numeric"' in again
    assert f'<option value="{unit}" selected>' in again


@pytest.mark.parametrize(("chosen", "status"), [("keep", "waiting"), ("cancel", "skipped")])
async def test_the_log_says_why_and_an_edited_rule_asks_about_waiting_runs(
    browser: Browsers, database: Database, clock: SetClock, chosen: str, status: str
) -> None:
    known, admin = await stages(database), await browser("admin")
    wait = {
        "then.1.kind": "wait",
        "then.1.minutes": "2",
        "then.1.minutes_unit": "h",
        "then.2.kind": "note",
        "then.2.text": "x",
    }
    assert (await admin.post(f"{PATH}/new", data=typed(known["Unsorted"], **wait))).status_code == 303
    (rule,) = await rules(database)
    assert rule.steps[1]["minutes"] == 120
    ids = []
    async with database.write() as session:
        viewer = await viewer_of(session, await session.get_one(User, 5))
        for title, amount in (("Small roof", "900"), ("Big roof", "5000")):
            deal = await create_deal(
                session, viewer, title=title, currency="UAH", region="UA", now=clock.now, stage_id=known["Unsorted"],
                values={"amount": amount}, second=True,
            )  # fmt: skip
            ids.append(deal.id or 0)
    assert await run_due(database, clock.now, "UA") == 2
    listed = (await admin.get(PATH)).text
    assert re.search(r"state=waiting[^>]*>.{0,120}1</a>", listed, re.DOTALL)
    log = (await admin.get(f"{PATH}/{rule.id}/log")).text
    assert "Amount is 900.00, asked: >= 1000.00" in text(log)
    assert "Task: Call them" in text(log)
    assert "Small roof" in text((await admin.get(f"{PATH}/{rule.id}/log?state=skipped&period=day")).text)
    assert "Small roof" not in text((await admin.get(f"{PATH}/{rule.id}/log?state=waiting")).text)
    async with database.read() as session:
        run = (await session.exec(select(RuleRun).where(RuleRun.status == "waiting"))).one()
    assert "Task: Call them" in text((await admin.get(f"/runs/{run.id}")).text)
    assert f'href="/runs/{run.id}"' in (await admin.get(f"/deals/{ids[1]}")).text
    form = (await admin.get(f"{PATH}/{rule.id}")).text
    assert "1 run of this rule waits" in text(form)
    changed = typed(known["Unsorted"], version="1", waiting=chosen, **{**wait, "then.0.title": "Write to them"})
    assert (await admin.post(f"{PATH}/{rule.id}", data=changed)).status_code == 303
    async with database.read() as session:
        run = await session.get_one(RuleRun, run.id)
    assert run.status == status
    undone = await admin.post(f"/runs/{run.id}/undo", headers=FORM)
    assert "taken back" in text(undone.text)
    assert "Undone" in text((await admin.get(f"{PATH}/{rule.id}/log")).text)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_firing_whose_message_was_held_back_says_so(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    """In the log, on its own page and in the list. There is nothing to take back, so nothing offers it."""
    known, admin = await stages(database), await browser("admin")
    async with database.write() as session:
        viewer = await viewer_of(session, await session.get_one(User, 5))
        template = await save_message_template(
            session, viewer, None, MessageDraft("Hello", "email", {"uk": "Hello!"}, {"uk": "Hello"}), clock.now
        )
    step = {"then.0.kind": "message", "then.0.template_id": str(template.id)}
    saved = await admin.post(f"{PATH}/new", data=typed(known["Unsorted"], **step))
    assert saved.status_code == 303
    (rule,) = await rules(database)
    async with database.write() as session:
        client = await create_contact(
            session, viewer, name="Petro", phones=["+380671112233"], now=clock.now, region="UA"
        )
        deal = await create_deal(
            session, viewer, title="Roof", currency="UAH", region="UA", now=clock.now, stage_id=known["Unsorted"],
            contact_id=client.id, values={"amount": "5000"},
        )  # fmt: skip
    assert await run_due(database, clock.now, "UA") == 1
    assert re.search(r"state=held[^>]*>.{0,200}1</span>", (await admin.get(PATH)).text, re.DOTALL)
    async with database.read() as session:
        run = (await session.exec(select(RuleRun))).one()
    log = (await admin.get(f"{PATH}/{rule.id}/log?state=held")).text
    for page in (log, (await admin.get(f"/runs/{run.id}")).text):
        assert "A message to the client was held back. The client has no e-mail address." in text(page)
        assert "All steps were taken" not in text(page)
        assert f"/runs/{run.id}/undo" not in page
    card = (await admin.get(f"/deals/{deal.id}")).text
    assert "held back" in text(card)
    assert f"/runs/{run.id}/undo" not in card


async def test_a_typed_rule_is_tried_on_the_last_days_and_changes_nothing(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    known, admin = await stages(database), await browser("admin")
    async with database.write() as session:
        viewer = await viewer_of(session, await session.get_one(User, 5))
        for title, amount in (("Small roof", "900"), ("Big roof", "5000")):
            await create_deal(
                session, viewer, title=title, currency="UAH", region="UA", now=clock.now, values={"amount": amount}, second=True
            )  # fmt: skip
    clock.forward(hours=1)
    form = typed(known["Unsorted"], days="7", **{"when.kind": "deal_created"})
    del form["when.stage_id"]
    begun = await admin.post(f"{PATH}/try", data=form, headers=FORM)
    address = re.search(r'hx-get="(/automation/trials/\d+)"', begun.text)
    assert address is not None, text(begun.text)
    await work_on(database, clock.now)
    told = text((await admin.get(address[1])).text)
    assert "It would have fired 1 time on 1 deal; skipped 1 time." in told
    assert "Big roof" in told
    assert "Task: Call them" in told
    assert "Small roof" not in told
    assert await rules(database) == []
    wrong = await admin.post(f"{PATH}/try", data={**form, "if.0.value": "a lot"}, headers=FORM)
    assert wrong.status_code == 422
    assert 'role="alert"' in wrong.text
    iryna = await browser("iryna")
    assert (await iryna.get(address[1])).status_code == 403


async def test_a_template_is_used_or_changed_first(browser: Browsers, database: Database) -> None:
    await stages(database)
    admin = await browser("admin")
    assert "Call again in two hours" in (await admin.get(f"{PATH}/templates")).text
    used = await admin.post(f"{PATH}/templates", data={"template": "not_reached", "to": "on"})
    assert used.status_code == 303
    (rule,) = await rules(database)
    assert (rule.name, rule.state, rule.owner_id) == ("Call again in two hours", "on", 5)
    twice = await admin.post(f"{PATH}/templates", data={"template": "not_reached", "to": "on"})
    assert (twice.status_code, len(await rules(database))) == (303, 1), "a second press makes no second rule"
    offered = (await admin.get(f"{PATH}/templates")).text
    assert "in use" in text(offered)
    assert "“Call again in two hours” is in use already. Make a second rule" in unescape(offered)
    assert offered.count('name="again"') == 1
    again = {"template": "not_reached", "to": "watch", "again": "1"}
    assert (await admin.post(f"{PATH}/templates", data=again)).status_code == 303
    assert [each.state for each in await rules(database)] == ["on", "watch"]
    first = await admin.get(f"{PATH}/new?template=win_back")
    assert 'value="Win a refusal back"' in first.text
    assert 'value="3"' in first.text
    assert (await admin.post(f"{PATH}/templates", data={"template": "none"})).status_code == 404
    assert (await admin.get(f"{PATH}/new?template=none")).status_code == 404


async def test_only_administrators_and_nothing_that_is_gone_is_switched_on(
    browser: Browsers, database: Database
) -> None:
    known, admin, iryna = await stages(database), await browser("admin"), await browser("iryna")
    await admin.post(f"{PATH}/new", data=typed(known["Unsorted"], state="off"))
    (rule,) = await rules(database)
    for path in (PATH, f"{PATH}/new", f"{PATH}/{rule.id}", f"{PATH}/{rule.id}/log", f"{PATH}/{rule.id}/versions"):
        assert (await iryna.get(path)).status_code == 403
        assert (await admin.get(path)).status_code == 200
    async with database.write() as session:
        row = await session.get_one(AutomationRule, rule.id)
        row.when = {"kind": "stage_entered", "stage_id": 999}
    refused = await admin.post(f"{PATH}/{rule.id}/switch", data={"to": "on"}, headers=FORM)
    assert refused.status_code == 422
    assert "There is no such stage any more" in refused.text
    assert (await admin.post(f"{PATH}/{rule.id}/switch", data={"to": "off"})).status_code == 303
    assert (await admin.get(f"{PATH}/{rule.id}")).status_code == 200


@pytest.mark.parametrize(("ticked", "amount"), [({"by_lines": "1"}, Decimal("37933.50")), ({}, None)])
async def test_products_bring_their_room_and_their_total_into_an_empty_installation(
    browser: Browsers, database: Database, clock: SetClock, ticked: dict[str, str], amount: Decimal | None
) -> None:
    """The room of the article, 5 × 6 m and 3 m high: one click makes the lines, and the total where its box stays ticked."""
    known, admin = await stages(database), await browser("admin")
    page = (await admin.get(f"{PATH}/templates")).text
    assert "It brings its template of lines “Room under the key”" in page
    assert re.search(r'name="by_lines" value="1" form="use-products" checked', page)
    used = await admin.post(f"{PATH}/templates", data={"template": "products", "to": "on", **ticked})
    assert used.status_code == 303, text(used.text)
    (rule,) = await rules(database)
    async with database.write() as session:
        viewer = await viewer_of(session, await session.get_one(User, 5))
        stage = await session.get_one(Stage, rule.when["stage_id"])
        assert stage.id in known.values()
        deal = await create_deal(
            session, viewer, title="Room", currency="UAH", region="UA", now=clock.now, stage_id=stage.id
        )
    assert await run_due(database, clock.now, "UA") == 1
    async with database.read() as session:
        found = await lines_of(session, deal.id or 0)
        row = await session.get_one(Deal, deal.id)
    assert [(line.name, line.quantity) for line in found.lines] == [
        ("Plaster, bag of 30 kg", Decimal(17)),
        ("Wallpaper", Decimal(14)),
        ("Work on walls", Decimal(66)),
    ]
    assert (found.price.total, row.amount) == (Decimal("37933.50"), amount)
    assert "It brings its template" not in (await admin.get(f"{PATH}/templates")).text
