"""The board's filters: each narrows, what is no filter is an error, and nobody sees more by one."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlmodel import col, select

from pbxcrm.checkpoints.models import Checkpoint, Lamp, LampState, Subject
from pbxcrm.deals.filters import tag_key
from pbxcrm.deals.models import Deal, DealTag, Tag
from pbxcrm.fields.actions import FieldDraft, create_field
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.value_actions import do_set_values
from tests.calls import NOON
from tests.integration.web.desks import HTMX, BrowserDesk, Browsers, browsers, count_queries, desk
from tests.statements import statements

__all__ = ["browsers", "desk"]
DESK, KITCHEN, CHAIRS, SHELVES = "Reception desk", "Kitchen for Marta", "School chairs, 120 pcs", "Warehouse shelves"
Titles = Callable[[str, str], Awaitable[list[str]]]


@pytest.fixture
def titles(browsers: Browsers) -> Titles:
    async def of(login: str, query: str) -> list[str]:
        answer = await (await browsers(login)).get(f"/board?{query}")
        assert answer.status_code == 200, answer.text
        return re.findall(r"data-card>([^<]+)</a>", answer.text)

    return of


async def burn(desk: BrowserDesk, title: str, *, escalated: bool = False) -> None:
    async with desk.database.write() as session:
        checkpoint_id = (await session.exec(select(Checkpoint.id))).first()
        deal = await session.get(Deal, desk.busy.deals[title])
        assert deal is not None
        session.add(
            Lamp(
                checkpoint_id=checkpoint_id or 0,
                step=9,
                subject=Subject.DEAL.value,
                deal_id=deal.id,
                entry=f"test:{deal.id}",
                owner_id=deal.responsible_id,
                state=LampState.BURNING.value,
                entered_at=NOON,
                minutes=1,
                due_at=NOON,
                lit_at=NOON,
                is_escalation=escalated,
            )
        )


async def put_tag(desk: BrowserDesk, title: str, name: str) -> None:
    async with desk.database.write() as session:
        tag = Tag(name=name, key=tag_key(name))
        session.add(tag)
        await session.flush()
        session.add(DealTag(deal_id=desk.busy.deals[title], tag_id=tag.id or 0))


@pytest.mark.parametrize(
    ("query", "there", "away"),
    [
        ("who={olena}", KITCHEN, DESK),
        ("team={team}", DESK, "Foreign deal"),
        ("source=Sales", DESK, ""),
        ("source=Site", "", DESK),
        ("amount.min=60000", KITCHEN, DESK),
        ("amount.max=22400", DESK, KITCHEN),
        ("amount.min=22 400&amount.max=22400,00", DESK, CHAIRS),
        ("age.min=7", DESK, KITCHEN),
        ("age.max=1", KITCHEN, DESK),
        ("no_task=1", KITCHEN, DESK),
        ("status=won", "Won table", DESK),
        ("status=open", DESK, "Won table"),
        ("mine=1&q=&source=", "", DESK),
    ],
)
async def test_each_filter_narrows(titles: Titles, desk: BrowserDesk, query: str, there: str, away: str) -> None:
    asked = query.format(olena=desk.office.id("olena"), team=desk.office["ivan"].team_id)
    found = await titles("admin", asked.replace(" ", "%20"))
    assert not there or there in found
    assert not away or away not in found


async def test_filters_by_lamp_and_tag(titles: Titles, desk: BrowserDesk) -> None:
    await burn(desk, DESK)
    await burn(desk, CHAIRS, escalated=True)
    await put_tag(desk, KITCHEN, "Терміново")
    assert {DESK, CHAIRS} <= set(await titles("maria", "lamp=any"))
    assert CHAIRS not in await titles("maria", "lamp=first")
    assert CHAIRS in await titles("maria", "lamp=second")
    assert not {DESK, CHAIRS} & set(await titles("maria", "lamp=none"))
    assert await titles("maria", "tag=%D1%82%D0%B5%D1%80%D0%BC%D1%96%D0%BD%D0%BE%D0%B2%D0%BE") == [KITCHEN]


async def test_by_lamp_the_burning_ones_stand_first(titles: Titles, browsers: Browsers, desk: BrowserDesk) -> None:
    await burn(desk, DESK)
    assert (await titles("maria", "")).index(KITCHEN) < (await titles("maria", "")).index(DESK)
    found = await titles("maria", "sort=lamp")
    assert found.index(DESK) < found.index(KITCHEN)


@pytest.mark.parametrize(
    "query",
    ["nonsense=1", "who=x", "amount.min=lots", "age.min=-1", "age.max=99999999999", "lamp=green", "status=half",
     "field.none=1", "sort=price", "amount.between=1"],
)  # fmt: skip
async def test_what_is_no_filter_is_an_error_and_not_all_deals(browsers: Browsers, query: str) -> None:
    maria = await browsers("maria")
    for path in ("/board", "/board/heads", "/board/columns/1"):
        answer = await maria.get(f"{path}?{query}")
        assert answer.status_code == 422, path
        assert DESK not in answer.text


async def test_nobody_sees_more_by_a_filter(titles: Titles, desk: BrowserDesk) -> None:
    for query in (
        f"who={desk.office.id('petro')}",
        f"team={desk.office['petro'].team_id}",
        "q=Foreign",
        "source=Sales",
    ):
        assert "Foreign deal" not in await titles("maria", query), query
        assert "Foreign deal" not in await titles("ivan", query), query
    assert "Foreign deal" in await titles("petro", "source=Sales")


async def test_an_active_filter_is_a_chip_that_can_be_taken_away(browsers: Browsers) -> None:
    page = (await (await browsers("maria")).get("/board?amount.min=1000&lamp=any&q=desk")).text
    assert re.search(r'amount from 1000<a href="/board\?lamp=any&amp;q=desk"', page)
    assert re.search(r'a lamp burns<a href="/board\?amount.min=1000&amp;q=desk"', page)
    form = (await (await browsers("maria")).get("/board/filters?amount.min=1000&q=desk", headers=HTMX)).text
    assert 'name="amount.min" value="1000"' in form
    assert 'name="q" value="desk"' in form
    assert '<option value="Sales">' in form


async def many_cards(desk: BrowserDesk, number: int) -> int:
    """So many more deals of Ivan in the stage of the desk, one a minute."""
    async with desk.database.write() as session:
        found = await session.get(Deal, desk.busy.deals[DESK])
        assert found is not None
        session.add_all(
            Deal(
                title=f"Many {n}",
                pipeline_id=found.pipeline_id,
                stage_id=found.stage_id,
                responsible_id=found.responsible_id,
                currency="UAH",
                created_at=NOON,
                stage_since=NOON + timedelta(minutes=n // 2),  # two at each moment
            )
            for n in range(number)
        )
        return found.stage_id


@pytest.mark.parametrize("sort", ["", "lamp"])
async def test_a_column_is_scrolled_to_its_end_without_gap_or_double(
    browsers: Browsers, desk: BrowserDesk, sort: str
) -> None:
    await many_cards(desk, 90)
    await burn(desk, DESK)
    maria = await browsers("maria")
    page = (await maria.get(f"/board?sort={sort}&q=")).text
    stage = page[page.index('data-name="Proposal sent"') :].partition("</section>")[0]
    seen = re.findall(r'id="deal-(\d+)"', stage)
    while (more := re.search(r'hx-get="([^"]+)" hx-trigger="intersect once"', stage)) is not None:
        stage = (await maria.get(more[1].replace("&amp;", "&"), headers=HTMX)).text
        seen += re.findall(r'id="deal-(\d+)"', stage)
    async with desk.database.read() as session:
        desk_deal = await session.get(Deal, desk.busy.deals[DESK])
        assert desk_deal is not None
        ids = (await session.exec(select(Deal.id).where(col(Deal.stage_id) == desk_deal.stage_id))).all()
    assert len(seen) == len(set(seen))
    assert {int(each) for each in seen} == set(ids)
    assert (int(seen[0]) == desk.busy.deals[DESK]) == (sort == "lamp")


async def test_the_number_of_queries_does_not_grow(browsers: Browsers, desk: BrowserDesk) -> None:
    maria = await browsers("maria")
    few = [await count_queries(desk.database, maria, path) for path in ("/board", "/board?q=desk&lamp=none&tag=x")]
    await many_cards(desk, 200)
    many = [await count_queries(desk.database, maria, path) for path in ("/board", "/board?q=desk&lamp=none&tag=x")]
    assert many == few
    assert max(many) <= 30


async def test_a_move_costs_at_most_fifteen_queries_at_any_size(browsers: Browsers, desk: BrowserDesk) -> None:
    await many_cards(desk, 200)
    maria = await browsers("maria")
    async with desk.database.read() as session:
        titles = (KITCHEN, SHELVES, DESK)  # with client, company and tasks
        deals = [await session.get_one(Deal, desk.busy.deals[title]) for title in titles]
    counts, asked = [], list[str]()
    for deal in deals:
        data = {"board": "1", "stage_id": str(desk.busy.stages["Invoice issued"].id), "version": str(deal.version)}
        with statements(desk.database) as sent:
            answer = await maria.post(f"/deals/{deal.id}/move", data=data, headers=HTMX)
        assert answer.status_code == 200, answer.text
        asked = [
            each for each in sent if each != "BEGIN"
        ]  # SQLite's is a statement, PostgreSQL's goes with the first query
        counts.append(len(asked))
    assert counts[-1] <= 15, "\n".join(asked)


async def test_a_custom_field_narrows_and_is_a_chip(titles: Titles, browsers: Browsers, desk: BrowserDesk) -> None:
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        for key, kind, name in (("area", "number", "Area"), ("colour", "text", "Colour")):
            draft = FieldDraft(name=name, filterable=True)
            await create_field(
                session, admin, entity=FieldEntity.DEAL, kind=kind, key=key, draft=draft, currency="UAH", now=NOON
            )
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        deal = await session.get_one(Deal, desk.busy.deals[DESK])
        await do_set_values(session, admin, FieldEntity.DEAL, deal, {"area": "120", "colour": "Dark oak"}, region="UA")
    assert await titles("maria", "field.area.min=100") == [DESK]
    assert await titles("maria", "field.area.max=100") == []
    assert await titles("maria", "field.colour.contains=oak") == [DESK]
    maria = await browsers("maria")
    assert "Area ≥ 100<a" in (await maria.get("/board?field.area.min=100")).text
    assert 'name="field.colour.contains"' in (await maria.get("/board/filters", headers=HTMX)).text
    assert (await maria.get("/board?field.size=1")).status_code == 422


@pytest.mark.parametrize(
    ("query", "there", "away"),
    [
        ("next_task.empty=1", KITCHEN, DESK),
        ("next_task.max=today%2B30d", DESK, KITCHEN),
        ("stage_since.max=today-7d", DESK, KITCHEN),
        ("title.contains=kitchen", KITCHEN, DESK),
        ('where={"any":[{"field":"title","op":"contains","value":"kitchen"},{"field":"status","op":"has","value":"won"}]}', KITCHEN, DESK),
        ('where={"none":[{"field":"words","op":"contains","value":"kitchen"}]}', DESK, KITCHEN),
        ("stage=Received", "Won table", DESK),
    ],
)  # fmt: skip
async def test_every_term_is_a_filter(titles: Titles, query: str, there: str, away: str) -> None:
    found = await titles("admin", query)
    assert there in found
    assert away not in found


@pytest.mark.parametrize(
    "query", ["where=x", "where=[]", 'where={"field":"none"}', "stage=Nowhere", "amount.contains=1", "words=desk",
              "&".join(f"tag={n}" for n in range(60))],
)  # fmt: skip
async def test_a_wrong_condition_is_an_error(browsers: Browsers, query: str) -> None:
    answer = await (await browsers("maria")).get(f"/board?{query}")
    assert answer.status_code == 422
    assert DESK not in answer.text


@pytest.mark.parametrize("path", ["/board", "/contacts"])
async def test_what_is_wrong_in_the_form_is_said_at_its_place(browsers: Browsers, desk: BrowserDesk, path: str) -> None:
    maria = await browsers("maria")
    name, wrong, right = {"/board": ("amount.min", "=cmd", "500"), "/contacts": ("created_at.min", "x", "2026-01-01")}[
        path
    ]
    page = await maria.get(f"{path}/filters?apply=1&{name}={wrong}&who=nobody", headers=HTMX)
    assert page.status_code == 422
    field = page.text.partition(f'name="{name}"')[2].partition("</fieldset>")[0]
    assert [part in field for part in (f'value="{wrong}"', 'aria-invalid="true"', 'id="filter-wrong"')] == [
        True,
        True,
        True,
    ]
    assert '<option value="nobody" selected>' in page.text  # what else was typed stays
    done = await maria.get(f"{path}/filters?apply=1&{name}={right}&who=nobody&team=", headers=HTMX)
    assert done.headers["hx-redirect"] == f"{path}?{name}={right}&who=nobody"
    unknown = await maria.get(f"{path}/filters?apply=1&foo=1", headers=HTMX)
    assert (unknown.status_code, 'role="alert"' in unknown.text) == (422, True)
