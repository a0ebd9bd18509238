"""The rules of distribution on both databases (D11): calls, turns, limits, replays, two at once, and nobody who could get it."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

import pytest
from sqlmodel import SQLModel, col, select

from pbxcrm.calendars.models import Leave
from pbxcrm.callbacks.models import Episode
from pbxcrm.calls.models import Call, Line
from pbxcrm.contacts.models import Contact, Phone
from pbxcrm.deals.models import Deal, Pipeline, Stage, StageKind
from pbxcrm.distribution.actions import NO_RULE, choose_owner, hand_out
from pbxcrm.distribution.cases import DealCase
from pbxcrm.distribution.hooks import names_of_forms
from pbxcrm.distribution.models import DistributionChoice, DistributionRule, DistributionTurn
from pbxcrm.distribution.rules import Kind, Member, Method, Otherwise
from pbxcrm.fields.actions import FieldDraft, create_field
from pbxcrm.fields.models import FieldEntity
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared import reasons
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict
from pbxcrm.tasks.models import Task, TaskStatus
from tests.calls import NOON, FactStory, batch
from tests.forms import make_form, send
from tests.office import Office

Row = TypeVar("Row", bound=SQLModel)
NIGHT = NOON + timedelta(hours=10)


async def rows(database: Database, table: type[Row]) -> Sequence[Row]:
    async with database.read() as session:
        return (await session.exec(select(table).order_by(col(table.id)))).all()  # type: ignore[attr-defined]


async def add_rule(database: Database, *user_ids: int, method: Method = Method.TURNS, **more: Any) -> int:
    stored = [Member(Kind.USER, user_id).stored() for user_id in user_ids]
    async with database.write() as session:
        rule = DistributionRule(
            **{"name": "New clients", "method": method.value, "members": stored, "otherwise": "nobody", **more}
        )
        session.add(rule)
        await session.flush()
        return rule.id or 0


def missed(number: int, at: datetime = NOON, **more: Any) -> FactStory:
    story = FactStory(f"17{number:07}.1", client=f"+38067{number:07}", at=at + timedelta(seconds=number), **more)
    return story.ring("101").wait(9).end()


async def test_missed_calls_of_new_clients_go_round(database: Database, office: Office, intake: Intake) -> None:
    await add_rule(database, office.id("olena"), office.id("petro"))
    for number in range(3):
        await intake.apply(batch(missed(number)))
    await intake.apply(batch(*(missed(number) for number in range(3, 6))))
    deals, episodes = await rows(database, Deal), await rows(database, Episode)
    expected = [office.id("olena"), office.id("petro")] * 3
    assert [deal.responsible_id for deal in deals] == expected
    assert [episode.owner_id for episode in episodes] == expected
    assert "gave it to Olena Hryhorenko, whose turn it was" in reasons.text(deals[0].reason)
    choices = await rows(database, DistributionChoice)
    assert [(choice.deal_id, choice.user_id) for choice in choices] == [
        (deal.id, deal.responsible_id) for deal in deals
    ]


async def test_a_fact_again_is_no_second_choice_and_no_second_turn(
    database: Database, office: Office, intake: Intake
) -> None:
    await add_rule(database, office.id("olena"), office.id("petro"))
    story = missed(1)
    for _ in range(3):
        await intake.apply(batch(story))
    async with database.read() as session:
        turns = (await session.exec(select(DistributionTurn))).all()
    assert [(turn.user_id, turn.turn) for turn in turns] == [(office.id("olena"), 1)]
    assert len(await rows(database, DistributionChoice)) == 1
    case = DealCase(1, subject=(await rows(database, DistributionChoice))[0].subject)
    async with database.write() as session:
        again = await choose_owner(session, case, NOON)
    assert again.user_id == office.id("olena")
    assert len(await rows(database, DistributionChoice)) == 1


async def test_a_rule_speaks_for_the_requests_of_one_web_form(database: Database, office: Office) -> None:
    async with database.read() as session:
        admin = await office.viewer(session, "admin")
        assert not await names_of_forms(session)
    shop, fair = [await make_form(database, admin, NOON, name=name) for name in ("Shop", "Fair")]
    async with database.read() as session:
        assert await names_of_forms(session) == {shop.id: "Shop", fair.id: "Fair"}
    await add_rule(database, office.id("petro"), query=f"form={shop.id}")
    await send(database, shop, NOON)
    (deal,) = await rows(database, Deal)
    assert (deal.responsible_id, (await rows(database, DistributionChoice))[0].deal_id) == (office.id("petro"), deal.id)
    await send(database, fair, NOON, number="+380671112299")
    assert [deal.responsible_id for deal in await rows(database, Deal)] == [office.id("petro"), None]


@pytest.mark.parametrize(("product", "whose"), [("Tiles", "petro"), ("tiles ", "petro"), ("Doors", None)])
async def test_a_rule_asks_what_the_request_says_of_a_custom_field(
    database: Database, office: Office, product: str, whose: str | None
) -> None:
    """Language or product: the deal is not made yet when the rules are asked."""
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        await create_field(
            session, admin, entity=FieldEntity.DEAL, kind="text", key="product", draft=FieldDraft(name="Product"),
            currency="UAH", now=NOON,
        )  # fmt: skip
    await add_rule(database, office.id("petro"), query="field.product.contains=tiles")
    await send(database, await make_form(database, admin, NOON), NOON, product=product)
    (deal,) = await rows(database, Deal)
    assert deal.responsible_id == (office.id(whose) if whose is not None else None)


async def test_where_no_rule_speaks_the_order_of_today_holds(
    database: Database, office: Office, intake: Intake
) -> None:
    await add_rule(database, office.id("petro"), query="source=Site")
    await add_rule(database, office.id("petro"), is_on=False)
    await add_rule(database, office.id("petro"), query="field.gone=1")  # what it asks is gone: it speaks for none
    await intake.apply(batch(missed(1)))
    deal = (await rows(database, Deal))[0]
    assert deal.responsible_id == office.id("ivan")
    assert "phone rang last" in reasons.text(deal.reason)
    assert not await rows(database, DistributionChoice)


async def test_who_answered_and_who_knows_the_client_go_first(
    database: Database, office: Office, intake: Intake
) -> None:
    await add_rule(database, office.id("petro"))
    await intake.apply(batch(FactStory("17.1", client="+380501110001").ring("102").wait(3).answer("102").wait(9).end()))
    async with database.write() as session:
        contact = Contact(name="Zoria Ltd", responsible_id=office.id("ivan"), created_at=NOON)
        session.add(contact)
        await session.flush()
        session.add(Phone(contact_id=contact.id or 0, number="+380501110002"))
    await intake.apply(batch(FactStory("17.2", client="+380501110002").ring("102").wait(9).end()))
    assert [deal.responsible_id for deal in await rows(database, Deal)] == [office.id("olena"), office.id("ivan")]
    assert not await rows(database, DistributionChoice)


async def test_an_answer_outside_that_is_nobodys_is_distributed(
    database: Database, office: Office, intake: Intake
) -> None:
    await add_rule(database, office.id("petro"))
    await intake.apply(batch(FactStory("17.1").ring("177").wait(3).answer("177").wait(9).end()))
    deal = (await rows(database, Deal))[0]
    assert deal.responsible_id == office.id("petro")
    assert "extension 177 answered" in reasons.text(deal.reason)
    assert "whose turn it was" in reasons.text(deal.reason)


async def test_nobody_who_could_get_it(database: Database, office: Office, intake: Intake) -> None:
    """It stays unassigned, also its callback; the manager of the rule's team has a task that ends when somebody gets it."""
    await add_rule(database, office.id("petro"))
    await intake.apply(batch(missed(1, at=NIGHT)))
    deal, episode = (await rows(database, Deal))[0], (await rows(database, Episode))[0]
    assert (deal.responsible_id, episode.owner_id) == (None, None)
    assert "Off shift: Petro Other" in reasons.text(deal.reason)
    task = next(each for each in await rows(database, Task) if each.about == f"distribution:{deal.id}")
    assert (task.assignee_id, task.deal_id) == (office.id("oksana"), deal.id)
    assert "Nobody could get the new deal" in task.title
    assert "Off shift: Petro Other" in reasons.text(task.reason)
    async with database.write() as session:
        _before, choice = await hand_out(session, await office.viewer(session, "oksana"), deal.id or 0, None, NOON)
    assert choice.user_id == office.id("petro")
    after = next(each for each in await rows(database, Task) if each.id == task.id)
    assert after.status == TaskStatus.DONE
    assert after.result == "Petro Other has it now."


async def test_the_next_call_of_a_client_whose_deal_is_nobodys_asks_again(
    database: Database, office: Office, intake: Intake
) -> None:
    await add_rule(database, office.id("petro"))
    await intake.apply(batch(missed(1, at=NOON - timedelta(hours=16))))
    await intake.apply(batch(FactStory("18.1", client="+380670000001").ring("101").wait(9).end()))
    deals = await rows(database, Deal)
    assert [deal.responsible_id for deal in deals] == [office.id("petro")]
    assert [choice.user_id for choice in await rows(database, DistributionChoice)] == [None, office.id("petro")]


async def test_the_clients_own_person_keeps_the_client_if_the_rules_have_nobody(
    database: Database, office: Office, intake: Intake
) -> None:
    await add_rule(database, office.id("petro"))
    async with database.write() as session:
        contact = Contact(name="Zoria Ltd", responsible_id=office.id("ivan"), created_at=NOON)
        session.add(contact)
        await session.flush()
        session.add(Phone(contact_id=contact.id or 0, number="+380501110002"))
    await intake.apply(batch(FactStory("17.2", client="+380501110002", at=NIGHT).ring("102").wait(9).end()))
    deal = (await rows(database, Deal))[0]
    assert deal.responsible_id == office.id("ivan")
    assert not [each for each in await rows(database, Task) if each.about.startswith("distribution:")]


async def test_rules_in_their_order_and_the_next_one(database: Database, office: Office, intake: Intake) -> None:
    """A rule for a line; one that passes on; the last one, which has somebody."""
    async with database.write() as session:
        line = Line(name="Kyiv", did="200")
        session.add(line)
        await session.flush()
    await add_rule(database, office.id("petro"), query=f"line={line.id}", position=0)
    async with database.write() as session:
        since, until = NOON - timedelta(days=1), NOON + timedelta(days=1)
        session.add(Leave(user_id=office.id("olena"), starts_at=since, ends_at=until))
    await add_rule(database, office.id("olena"), position=1, name="Olena's", otherwise=Otherwise.NEXT.value)
    await add_rule(database, office.id("ivan"), position=2)
    await intake.apply(batch(missed(1), missed(2, did="200")))
    deals = {deal.client_number: deal for deal in await rows(database, Deal)}
    assert deals["+380670000002"].responsible_id == office.id("petro")
    other = deals["+380670000001"]
    assert other.responsible_id == office.id("ivan")
    told = reasons.text(other.reason)
    assert "Nobody of the rule “Olena's” could get it, so the next rule was asked." in told
    assert "Away: Olena Hryhorenko" in told


async def test_limits_a_day_and_of_open_deals(database: Database, office: Office, intake: Intake) -> None:
    await add_rule(database, office.id("olena"), office.id("petro"), most_per_day=1)
    await intake.apply(batch(*(missed(number) for number in range(3))))
    got = Counter(deal.responsible_id for deal in await rows(database, Deal))
    assert got == {office.id("olena"): 1, office.id("petro"): 1, None: 1}
    await intake.apply(batch(missed(7, at=NOON + timedelta(days=1))))
    assert (await rows(database, Deal))[-1].responsible_id == office.id("olena")


@pytest.mark.parametrize("limit", ["most_per_day", "most_open"])
async def test_two_at_once_never_exceed_a_limit_nor_share_a_turn(
    database: Database, office: Office, limit: str
) -> None:
    """Sixteen at once for two people with a limit of five: each gets exactly five."""
    await add_rule(database, office.id("olena"), office.id("petro"), **cast("dict[str, Any]", {limit: 5}))
    async with database.read() as session:
        pipeline = (await session.exec(select(Pipeline))).first()
        stage = (await session.exec(select(Stage).where(Stage.kind == StageKind.UNSORTED.value))).first()
    assert pipeline is not None
    assert stage is not None
    pipeline_id, stage_id = pipeline.id or 0, stage.id or 0

    async def one(number: int) -> int | None:
        async with database.write() as session:
            choice = await choose_owner(session, DealCase(pipeline_id, stage_id, subject=f"x:{number}"), NOON)
            await asyncio.sleep(0)
            session.add(
                Deal(
                    title="x",
                    pipeline_id=pipeline_id,
                    stage_id=stage_id,
                    responsible_id=choice.user_id,
                    currency="UAH",
                    created_at=NOON,
                    stage_since=NOON,
                )
            )
            return choice.user_id

    got = Counter(await asyncio.gather(*map(one, range(16))))
    assert got == {office.id("olena"): 5, office.id("petro"): 5, None: 6}
    async with database.read() as session:
        turns = (await session.exec(select(DistributionTurn.turn))).all()
    assert sorted(turns) == [9, 10]


async def test_the_same_subject_at_once_is_one_choice(database: Database, office: Office) -> None:
    await add_rule(database, office.id("olena"), office.id("petro"))

    async def one() -> int | None:
        async with database.write() as session:
            return (await choose_owner(session, DealCase(1, subject="request:5"), NOON)).user_id

    assert set(await asyncio.gather(*(one() for _ in range(6)))) == {office.id("olena")}
    assert len(await rows(database, DistributionChoice)) == 1


async def test_least_busy_counts_open_deals_and_not_closed_ones(
    database: Database, office: Office, intake: Intake
) -> None:
    await add_rule(database, office.id("olena"), office.id("petro"), method=Method.LEAST_DEALS)
    async with database.write() as session:
        stages = {stage.kind: stage for stage in (await session.exec(select(Stage))).all()}
        for kind, who in (("lost", "petro"), ("lost", "petro"), ("unsorted", "olena")):
            stage = stages[kind]
            closed = NOON if kind == "lost" else None
            session.add(
                Deal(
                    title="x",
                    pipeline_id=stage.pipeline_id,
                    stage_id=stage.id or 0,
                    responsible_id=office.id(who),
                    closed_at=closed,
                    currency="UAH",
                    created_at=NOON,
                    stage_since=NOON,
                )
            )
    await intake.apply(batch(missed(1)))
    deal = (await rows(database, Deal))[-1]
    assert deal.responsible_id == office.id("petro")
    assert "fewest open deals: 0" in reasons.text(deal.reason)


async def test_handing_out_is_refused_with_the_reason(database: Database, office: Office, intake: Intake) -> None:
    await intake.apply(batch(missed(1)))
    deal_id = (await rows(database, Deal))[0].id or 0
    with pytest.raises(Conflict, match="No rule of distribution speaks"):
        async with database.write() as session:
            await hand_out(session, await office.viewer(session, "admin"), deal_id, None, NOON)
    await add_rule(database, office.id("petro"))
    with pytest.raises(Conflict, match="can get this deal now"):
        async with database.write() as session:
            await hand_out(session, await office.viewer(session, "admin"), deal_id, None, NIGHT)
    assert not await rows(database, DistributionChoice)
    assert (await rows(database, Call))[0].responsible_id == office.id("ivan")


async def test_without_rules_nothing_is_stored(database: Database, office: Office) -> None:
    async with database.write() as session:
        assert await choose_owner(session, DealCase(1), datetime(2026, 1, 1, tzinfo=UTC)) is NO_RULE
