"""Events of several deals in one transaction: each keeps its own cause, watchers and tags."""

from sqlmodel import select

from pbxcrm.deals.models import Note
from pbxcrm.deals.people_queries import watchers_of
from pbxcrm.deals.watcher_actions import watch
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.events import Outbox
from pbxcrm.shared.news import NewsKind
from tests.integration.automation.conftest import RuleDesk

TITLE = {"kind": "field_changed", "fields": ["title"]}


async def test_each_act_of_a_batch_has_its_own_cause(desk: RuleDesk) -> None:
    first = await desk.rule(
        TITLE, {"kind": "tag", "add": ["seen"], "remove": ["new"]}, {"kind": "note", "text": "Seen"}, name="First"
    )
    second = await desk.rule(
        {"kind": "field_changed", "fields": ["tag"]}, {"kind": "note", "text": "Again"}, name="Second"
    )
    deals = [await desk.deal(second=True) for _ in range(3)]
    for deal_id in deals:
        await desk.edit(deal_id, title="New")
    assert await desk.work() == 6
    causes = {run.deal_id: (run.event_id, run.chain) for run in await desk.runs(first)}
    assert len({event_id for event_id, _ in causes.values()}) == 3
    assert {run.deal_id: (run.root_id, run.chain) for run in await desk.runs(second)} == {
        deal_id: (event_id, [[first, f"deal:{deal_id}"]]) for deal_id, (event_id, _) in causes.items()
    }


async def test_notes_of_a_batch_are_told_to_the_watchers_of_their_deals(desk: RuleDesk) -> None:
    await desk.rule(TITLE, {"kind": "note", "text": "Seen"})
    watched, other = await desk.deal(), await desk.deal(second=True)
    async with desk.database.write() as session:
        await watch(session, await desk.office.viewer(session, "ivan"), watched, desk.office.id("ivan"), desk.now)
    for deal_id in (watched, other):
        await desk.edit(deal_id, title="New")
    await desk.work()
    async with desk.database.read() as session:
        people = await load_directory(session)
        assert [user.login for user in await watchers_of(session, watched, people)] == ["ivan"]
        note = (await session.exec(select(Note.id).where(Note.deal_id == watched))).one()
        news = (await session.exec(select(Outbox).where(Outbox.topic == "news"))).all()
    assert [(each.ref, each.users) for each in news] == [(f"{NewsKind.NOTE.value}-{note}", [desk.office.id("ivan")])]
