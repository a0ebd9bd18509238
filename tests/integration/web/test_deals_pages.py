"""The board and the card of a deal."""

import re
from datetime import timedelta

import pytest
from httpx2 import AsyncClient, Response
from sqlmodel import col, select

from pbxcrm.calls.models import Call
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.models import Deal
from pbxcrm.reactions.intake import Intake
from pbxcrm.tasks.models import Task, TaskStatus
from pbxcrm.timeline.entries import EntryKind
from pbxcrm.timeline.queries import timeline
from tests.calls import FactStory, batch, outbound
from tests.integration.web.desks import HTMX, BrowserDesk, Browsers, browsers, count_queries, desk
from web.cursors import next_of_entry, read_entry
from web.pages.board import FIRST

__all__ = ["browsers", "desk"]
DESK = "Reception desk"


def column(page: str, stage: str) -> str:
    """The part of a board that is this stage's."""
    return re.split(r'<section class="col', page.partition(f'data-name="{stage}"')[2])[0]


def version(page: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', page)
    assert found
    return found[1]


async def stored(desk: BrowserDesk, title: str = DESK) -> Deal:
    async with desk.database.read() as session:
        found = await session.get(Deal, desk.busy.deals[title])
    assert found is not None
    return found


async def move(client: AsyncClient, desk: BrowserDesk, stage: str, *, seen: int, **more: str) -> Response:
    data = {"board": "1", "stage_id": str(desk.busy.stages[stage].id), "version": str(seen), **more}
    return await client.post(f"/deals/{desk.busy.deals[DESK]}/move", data=data, headers=HTMX)


async def test_board_has_a_column_a_stage_with_count_sum_and_newest_on_top(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    page = (await (await browsers("maria")).get("/board")).text
    proposal = column(page, "Proposal sent")
    assert proposal.index("Kitchen for Marta") < proposal.index(DESK)
    assert "86,400 ₴" in proposal.replace("\xa0", " ")
    assert "<span data-count>2</span>" in proposal
    assert "1 over the norm" in proposal  # three days, and it is there for longer
    assert "Foreign deal" not in page
    assert "No next task" in column(page, "Call held")
    assert "style=" not in page


async def test_board_of_a_seller_has_only_own_cards(browsers: Browsers, desk: BrowserDesk) -> None:
    page = (await (await browsers("ivan")).get("/board")).text
    assert DESK in page
    assert "Kitchen for Marta" not in page


@pytest.mark.parametrize(
    ("query", "there", "away"),
    [
        ("mine=1", "Foreign", DESK),
        ("q=кОнФеренц", "Меблі для конференц-зали", DESK),
        ("q=dental", DESK, "Kitchen"),
        ("q=2223344", DESK, "Kitchen"),
        ("who=nobody", "Nothing that fits", DESK),
        ("pipeline=999&cursor=_", DESK, "no such text"),
    ],
)
async def test_board_is_filtered_by_its_address(
    browsers: Browsers, desk: BrowserDesk, query: str, there: str, away: str
) -> None:
    who = "petro" if query == "mine=1" else "maria"
    page = (await (await browsers(who)).get(f"/board?{query}")).text.partition('id="board"')[2]
    assert there in page
    assert away not in page


async def test_board_and_card_ask_a_fixed_number_of_queries(browsers: Browsers, desk: BrowserDesk) -> None:
    maria = await browsers("maria")
    board = await count_queries(desk.database, maria, "/board")
    # A text is looked for once; nothing is asked for what no row has.
    assert await count_queries(desk.database, maria, "/board?q=Kitchen") <= board + 1 <= 30
    rich = await count_queries(desk.database, maria, f"/deals/{desk.busy.deals[DESK]}")
    poor = await count_queries(desk.database, maria, f"/deals/{desk.busy.deals['Kitchen for Marta']}")
    assert poor <= rich <= 49
    async with desk.database.write() as session:
        first = (await session.exec(select(Deal).where(Deal.title == DESK))).one()
        for n in range(20):
            session.add(Deal(**{**first.model_dump(exclude={"id"}), "title": f"Deal {n:02}"}))
    assert await count_queries(desk.database, maria, "/board") == board


async def test_columns_go_on_where_they_ended(browsers: Browsers, desk: BrowserDesk) -> None:
    async with desk.database.write() as session:
        first = (await session.exec(select(Deal).where(Deal.title == DESK))).one()
        for n in range(75):
            deal = Deal(**{**first.model_dump(exclude={"id"}), "title": f"Deal {n:02}"})
            deal.stage_since = first.stage_since - timedelta(minutes=n // 3)  # several of one moment
            session.add(deal)
    maria = await browsers("maria")
    text = column((await maria.get("/board")).text, "Proposal sent")
    seen: list[str] = re.findall(r'data-deal="(\d+)"', text)
    assert len(seen) == FIRST
    while "data-more" in text:
        found = re.search(r'hx-get="([^"]+)"', text.partition("data-more")[2])
        assert found
        text = (await maria.get(found[1].replace("&amp;", "&"), headers=HTMX)).text
        seen += re.findall(r'data-deal="(\d+)"', text)
    assert len(seen) == len(set(seen)) == 77


async def test_a_move_gives_back_the_card_as_it_is_now(browsers: Browsers, desk: BrowserDesk) -> None:
    answer = await move(await browsers("ivan"), desk, "Invoice issued", seen=(await stored(desk)).version)
    assert answer.status_code == 200
    now = await stored(desk)
    assert now.stage_id == desk.busy.stages["Invoice issued"].id
    assert f'data-version="{now.version}"' in answer.text


async def test_a_move_taken_back_leaves_the_deal_as_old_in_its_stage_as_it_was(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    ivan, maria = await browsers("ivan"), await browsers("maria")
    before = await stored(desk)
    await move(ivan, desk, "Invoice issued", seen=before.version)
    assert (await stored(desk)).stage_since > before.stage_since
    back = await move(ivan, desk, "Proposal sent", seen=before.version + 1, undo="1")
    now = await stored(desk)
    assert (back.status_code, now.stage_id, now.stage_since) == (200, before.stage_id, before.stage_since)
    # What a colleague moved is only moved again.
    await move(ivan, desk, "Invoice issued", seen=now.version)
    await move(maria, desk, "Proposal sent", seen=now.version + 1, undo="1")
    assert (await stored(desk)).stage_since > before.stage_since


async def test_a_stale_board_never_overwrites_a_newer_move(browsers: Browsers, desk: BrowserDesk) -> None:
    seen = (await stored(desk)).version
    ivan, maria = await browsers("ivan"), await browsers("maria")
    await move(maria, desk, "Invoice agreed", seen=seen)
    answer = await move(ivan, desk, "Call held", seen=seen)
    assert answer.status_code == 409
    assert "Somebody changed this deal meanwhile" in answer.text
    assert (await stored(desk)).stage_id == desk.busy.stages["Invoice agreed"].id
    card = await ivan.get(f"/board/cards/{desk.busy.deals[DESK]}", headers=HTMX)
    assert f'data-stage="{desk.busy.stages["Invoice agreed"].id}"' in card.text


async def test_lost_asks_why_and_then_completes_the_move(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan, seen = await browsers("ivan"), (await stored(desk)).version
    refused = await move(ivan, desk, "Lost", seen=seen)
    assert refused.status_code == 422
    assert refused.headers["x-gate"] == "refused"
    assert (await stored(desk)).version == seen
    plain = {"stage_id": str(desk.busy.stages["Lost"].id), "version": str(seen)}
    form = await ivan.post(f"/deals/{desk.busy.deals[DESK]}/move", data=plain)  # without script
    assert form.status_code == 422
    assert 'name="lost_reason"' in form.text
    done = await ivan.post(f"/deals/{desk.busy.deals[DESK]}/move", data={**plain, "lost_reason": "Too slow"})
    assert done.status_code == 303
    assert (await stored(desk)).lost_reason == "Too slow"


async def test_a_card_that_is_not_on_this_board_is_no_content(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan = await browsers("ivan")
    foreign = desk.busy.deals["Foreign deal"]
    assert (await ivan.get(f"/board/cards/{foreign}", headers=HTMX)).status_code == 204
    assert (await ivan.get(f"/board/cards/{desk.busy.deals[DESK]}?q=chairs", headers=HTMX)).status_code == 204
    for path in (f"/deals/{foreign}", f"/deals/{foreign}/timeline", f"/tasks/new?deal={foreign}"):
        assert (await ivan.get(path)).status_code == 404
    for path in ("move", "edit", "note"):
        data = {"version": "1", "stage_id": "1", "text": "x", "title": "x"}
        assert (await ivan.post(f"/deals/{foreign}/{path}", data=data)).status_code == 404


async def test_heads_say_count_and_sum_as_they_are(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan = await browsers("ivan")
    await move(ivan, desk, "Shipped", seen=(await stored(desk)).version)
    heads = (await ivan.get("/board/heads", headers=HTMX)).text
    shipped = heads.partition(f'id="head-{desk.busy.stages["Shipped"].id}"')[2]
    assert "<span data-count>1</span>" in shipped
    assert "board-sum" in heads


async def test_now_is_said_only_of_the_stage_where_the_deal_is(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan = await browsers("ivan")
    for name in ("Shipped", "Invoice issued"):
        await move(ivan, desk, name, seen=(await stored(desk)).version)
    path = (await ivan.get(f"/deals/{desk.busy.deals[DESK]}")).text.partition('id="path"')[2].partition("</nav>")[0]
    took = dict(re.findall(r"<b>([^<]+)</b><span>([^<]+)</span>", path))
    assert (took["Shipped"], took["Invoice issued"].split(" ")[0]) == ("1\u00a0min", "now")


async def test_a_removed_stage_stays_on_the_path_of_a_deal_that_was_in_it(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    ivan, gone, to = await browsers("ivan"), desk.busy.stages["Proposal sent"], desk.busy.stages["Shipped"]
    admin = await browsers("admin")
    assert (await admin.post(f"/settings/stages/{gone.id}/remove", data={"move_to": str(to.id)})).status_code == 303
    page = (await ivan.get(f"/deals/{desk.busy.deals[DESK]}")).text
    path = page.partition('id="path"')[2].partition("</nav>")[0]
    took = dict(re.findall(r"<b>([^<]+)</b><span>([^<]+)</span>", path))
    assert re.fullmatch(r"\d+\u00a0d · stage removed", took["Proposal sent"])
    assert f'name="stage_id" value="{gone.id}"' not in path
    assert list(took).index("Proposal sent") < list(took).index("Shipped")
    story = page.partition('<ol class="timeline">')[2]
    assert "removed the stage “Proposal sent”." in story.partition("moved it to “Shipped”")[2].partition("</li>")[0]
    other = (await admin.get(f"/deals/{desk.busy.deals['Foreign deal']}")).text
    assert "Proposal sent" not in other.partition('id="path"')[2].partition("</nav>")[0]


async def test_card_tells_what_happened_newest_on_top(browsers: Browsers, desk: BrowserDesk) -> None:
    page = (await (await browsers("ivan")).get(f"/deals/{desk.busy.deals[DESK]}")).text
    story = page.partition('<ol class="timeline">')[2]
    note, talk = story.index("Wants it in oak"), story.index("Ivan Kravets talked, 6:12")
    missed, made = story.index("missed, hung up in the queue"), story.index("made the deal")
    assert note < talk < missed < made
    assert f'src="/calls/{desk.busy.calls["1700000000.2"]}/recording"' in story
    assert "why?" in story
    assert 'aria-current="step"' in page
    assert "style=" not in page


async def test_timeline_is_filtered_by_kind(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan = await browsers("ivan")
    story = (await ivan.get(f"/deals/{desk.busy.deals[DESK]}?kind=calls")).text.partition('<ol class="timeline">')[2]
    assert "Ivan Kravets talked" in story
    assert "Wants it in oak" not in story


async def test_timeline_in_parts_tells_everything_once(desk: BrowserDesk) -> None:
    async with desk.database.read() as session:
        ivan = await desk.office.viewer(session, "ivan")
        whole = await timeline(session, ivan, deal_id=desk.busy.deals[DESK])
        told, after = [], None
        while True:
            part = await timeline(session, ivan, deal_id=desk.busy.deals[DESK], after=after, limit=2)
            told += [(entry.kind, entry.id) for entry in part.entries]
            if part.next is None:
                break
            after = read_entry(next_of_entry(part.next))
            assert after == part.next
    assert told == [(entry.kind, entry.id) for entry in whole.entries]
    assert {kind for kind, _ in told} >= {EntryKind.CALL, EntryKind.NOTE, EntryKind.TASK, EntryKind.MOVE}


async def test_facts_are_edited_in_place_and_say_at_the_field_what_is_wrong(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    ivan = await browsers("ivan")
    address = f"/deals/{desk.busy.deals[DESK]}"
    form = (await ivan.get(f"{address}?edit=1", headers=HTMX)).text
    assert "<html" not in form
    data = {"version": version(form), "title": "Two desks", "amount": "a lot", "responsible_id": "", "source": "Site"}
    wrong = await ivan.post(f"{address}/edit", data=data, headers=HTMX)
    assert wrong.status_code == 422
    assert 'aria-invalid="true"' in wrong.text
    assert 'value="a lot"' in wrong.text
    right = await ivan.post(f"{address}/edit", data={**data, "amount": "48 000,50"}, headers=HTMX)
    assert right.headers["hx-redirect"] == address
    found = await stored(desk)
    assert (found.title, str(found.amount), found.contact_id) == (
        "Two desks",
        "48000.50",
        desk.busy.contacts["Ірина Мельник"],
    )
    stale = await ivan.post(f"{address}/edit", data={**data, "amount": "1"}, headers=HTMX)
    assert stale.status_code == 409


async def test_a_note_appears_on_top(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan = await browsers("ivan")
    address = f"/deals/{desk.busy.deals[DESK]}/note"
    region = (await ivan.post(address, data={"text": "<b>called back</b>"}, headers=HTMX)).text
    assert region.index("&lt;b&gt;called back") < region.index("Wants it in oak")
    assert (await ivan.post(address, data={"text": ""}, headers=HTMX)).status_code == 422
    kira = await browsers("kira")
    assert "QC writes" in (await kira.post(address, data={"text": "QC writes"}, headers=HTMX)).text, (
        "they write notes, too"
    )


async def test_a_new_deal_is_filled_in_from_a_call_and_makes_its_client(browsers: Browsers, desk: BrowserDesk) -> None:
    olena = await browsers("olena")
    form = (await olena.get(f"/deals/new?call={desk.busy.calls['1700000000.4']}", headers=HTMX)).text
    assert 'value="+380630000001"' in form
    assert "&lt;script&gt;" in form
    wrong = await olena.post("/deals/new", data={"contact": "", "title": "", "amount": "x"}, headers=HTMX)
    assert wrong.status_code == 422
    data = {"contact": "Новий Клієнт", "number": "063 000 00 01", "title": "", "amount": "1200"}
    asked = await olena.post("/deals/new", data=data, headers=HTMX)  # the missed call has made a deal already
    assert (asked.status_code, 'name="second"' in asked.text) == (422, True)
    done = await olena.post("/deals/new", data={**data, "second": "1"})
    assert done.status_code == 303
    async with desk.database.read() as session:
        deal = (await session.exec(select(Deal).order_by(col(Deal.id).desc()))).first()
        assert deal is not None
        contact = await session.get(Contact, deal.contact_id)
    assert contact is not None
    assert (deal.title, contact.name, deal.responsible_id) == ("Новий Клієнт", "Новий Клієнт", desk.office.id("olena"))


async def test_the_next_call_of_a_number_that_was_typed_finds_its_deal(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan = await browsers("ivan")
    data = {"title": "Typed", "number": " 093 111 22 33 "}
    made = await ivan.post("/deals/new", data=data)
    story = FactStory("1700000009.1", client="+380931112233", at=desk.now).ring("101").wait(3).answer("101")
    await Intake(desk.database, desk.settings).apply(batch(story))
    async with desk.database.read() as session:
        deals = (await session.exec(select(Deal).where(Deal.client_number == "+380931112233"))).all()
        call = (await session.exec(select(Call).where(Call.linkedid == "1700000009.1"))).one()
    assert [(deal.title, f"/deals/{deal.id}") for deal in deals] == [
        ("Typed", made.headers["location"].partition("?")[0])
    ]
    assert call.deal_id == deals[0].id


async def test_nonsense_in_the_place_of_a_number_is_told_at_the_field(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan = await browsers("ivan")
    answer = await ivan.post("/deals/new", data={"title": "Typed", "number": "ask her"}, headers=HTMX)
    assert answer.status_code == 422
    field = answer.text.partition('name="number"')[2].partition("</div>")[0]
    assert "“ask her” is not a telephone number." in field


async def test_a_task_from_the_card_by_a_quick_choice(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan = await browsers("ivan")
    data = {"deal_id": str(desk.busy.deals[DESK]), "title": "Ring again", "quick": "morning"}
    answer = await ivan.post("/tasks/new", data=data)
    assert answer.headers["location"] == f"/deals/{desk.busy.deals[DESK]}"
    async with desk.database.read() as session:
        task = (await session.exec(select(Task).where(Task.title == "Ring again"))).one()
    assert task.due_at.isoformat() == "2026-11-19T07:00:00+00:00"  # nine in Kyiv
    missing = await ivan.post("/tasks/new", data={"title": "No day", "due_at": ""}, headers=HTMX)
    assert missing.status_code == 422
    assert "Say until when" in missing.text


async def fail_to_reach(desk: BrowserDesk) -> None:
    """The client was called just now and did not answer; nothing else is planned for the deal."""
    story = outbound("1700000000.99", "101", "+380672223344", at=desk.now - timedelta(minutes=1)).ring("101")
    await Intake(desk.database, desk.settings).apply(batch(story.wait(20).end()))
    async with desk.database.write() as session:
        tasks = await session.exec(select(Task).where(Task.deal_id == desk.busy.deals[DESK]))
        for task in tasks:
            task.status = TaskStatus.DONE.value


async def tasks_of(desk: BrowserDesk) -> list[Task]:
    async with desk.database.read() as session:
        found = await session.exec(
            select(Task).where(Task.deal_id == desk.busy.deals[DESK], Task.status == TaskStatus.OPEN.value)
        )
        return list(found)


async def test_after_a_failed_attempt_a_deal_is_closed_together_with_its_next_task(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    await fail_to_reach(desk)
    ivan, seen = await browsers("ivan"), (await stored(desk)).version
    refused = await move(ivan, desk, "Lost", seen=seen, lost_reason="Never reached")
    assert (refused.status_code, refused.headers["x-gate"]) == (422, "refused")
    assert 'name="lost_reason" value="Never reached"' in refused.text
    assert 'name="next_title"' in refused.text
    # Half of it changes nothing, and says at the field what is missing.
    for more in ({"next_title": "Call again"}, {"next_title": " ", "quick": "2h"}):
        refused = await move(ivan, desk, "Lost", seen=seen, lost_reason="Never reached", **more)
        assert (refused.status_code, refused.headers["x-gate"]) == (422, "refused")
        assert 'aria-invalid="true"' in refused.text
    refused = await move(ivan, desk, "Lost", seen=seen, next_title="Call again", quick="2h")
    assert (refused.status_code, "Say why the deal is lost" in refused.text) == (422, True)
    assert (await move(ivan, desk, "Lost", seen=seen - 1, next_title="Call", quick="2h")).status_code == 409
    assert not await tasks_of(desk)
    assert (await stored(desk)).version == seen
    # Without script the same form is a page of its own, and completes the move.
    plain = {"stage_id": str(desk.busy.stages["Received"].id), "version": str(seen)}
    page = await ivan.post(f"/deals/{desk.busy.deals[DESK]}/move", data=plain)
    assert (page.status_code, 'id="rail"' in page.text, 'name="next_title"' in page.text) == (422, True, True)
    done = await ivan.post(
        f"/deals/{desk.busy.deals[DESK]}/move", data={**plain, "next_title": "Ask how it fits", "quick": "2h"}
    )
    assert done.status_code == 303
    assert (await stored(desk)).stage_id == desk.busy.stages["Received"].id
    (task,) = await tasks_of(desk)
    assert (task.title, task.assignee_id) == ("Ask how it fits", desk.office.id("ivan"))
    assert task.due_at == desk.now + timedelta(hours=2)
