"""Of every kind of row and for every role: who sees it hears that it changed, nobody else does, and who changes it sees it.

A row is said to have changed by the function that every change goes through; who sees it is asked of the database. Topics that are
not walked here are in ``OTHERS``, each with its reason; a test compares both with the topics that the code emits.
"""

import ast
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, false, or_, true
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Role, Viewer, can
from pbxcrm.callbacks.access import editable_episodes, visible_episodes
from pbxcrm.callbacks.actions import say_episode_changed
from pbxcrm.callbacks.models import Episode
from pbxcrm.calls.access import own_calls, visible_calls
from pbxcrm.calls.models import Call
from pbxcrm.checkpoints.access import editable_escalations, visible_lamps
from pbxcrm.checkpoints.lighting import say_lamp_changed
from pbxcrm.checkpoints.models import Lamp, LampState, Subject
from pbxcrm.checkpoints.parked_actions import retry_lamp
from pbxcrm.contacts.access import editable_companies, editable_contacts, visible_companies, visible_contacts
from pbxcrm.contacts.company_merge_actions import merge_companies, undo_company_merge
from pbxcrm.contacts.hints import say_company_changed, say_contact_changed
from pbxcrm.contacts.merge_actions import merge_contacts
from pbxcrm.contacts.models import Company, Contact, Phone
from pbxcrm.deals.access import editable_deals, visible_deals
from pbxcrm.deals.actions import say_deal_changed
from pbxcrm.deals.merge_actions import merge_deals
from pbxcrm.deals.models import Deal, DealPerson, Note
from pbxcrm.deals.tag_actions import add_tag
from pbxcrm.fields.actions import say_fields_changed
from pbxcrm.fields.models import FieldDefinition
from pbxcrm.files.access import visible_files
from pbxcrm.files.actions import remove_file
from pbxcrm.files.models import AttachedFile
from pbxcrm.flags.access import visible_flags
from pbxcrm.flags.actions import say_flag_changed
from pbxcrm.flags.models import Flag
from pbxcrm.forms.access import manages_requests, visible_requests
from pbxcrm.forms.audience import say_request_changed
from pbxcrm.forms.models import FormRequest, RequestState, WebForm
from pbxcrm.notes.access import editable_notes, visible_notes
from pbxcrm.notes.actions import say_note_changed
from pbxcrm.people.access import visible_users
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.people.models import Team, User
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import Outbox
from pbxcrm.tasks.access import editable_tasks, visible_tasks
from pbxcrm.tasks.actions import say_task_changed
from pbxcrm.tasks.models import Task
from pbxcrm.views.access import editable_views, visible_views
from pbxcrm.views.actions import say_view_changed
from pbxcrm.views.models import SavedView
from tests.calls import NOON, FactStory, batch, outbound
from tests.integration.people.absent import some_are_away, two_more_managers
from tests.lamps import callbacks_checkpoint, lamp_of_callback
from tests.office import Office
from tests.source import calls_of, modules

Condition = Callable[[Viewer], ColumnElement[bool]]


@dataclass(frozen=True)
class RowKind:
    topic: str
    model: type[SQLModel]
    visible: Condition
    editable: Condition
    say: Callable[[AsyncSession, Any, Directory], Awaitable[None]]
    heard_as: Callable[[Any], tuple[str, object]] | None = None  # topic and reference; else ``topic`` and its id


async def say_deal(session: AsyncSession, row: Deal, people: Directory) -> None:
    say_deal_changed(session, row, NOON, people)


async def say_task(session: AsyncSession, row: Task, people: Directory) -> None:
    await say_task_changed(session, row, NOON, people)


async def say_contact(session: AsyncSession, row: Contact, people: Directory) -> None:
    del people
    await say_contact_changed(session, row, NOON)


async def say_company(session: AsyncSession, row: Company, people: Directory) -> None:
    del people
    await say_company_changed(session, row, NOON)


async def say_episode(session: AsyncSession, row: Episode, people: Directory) -> None:
    await say_episode_changed(session, row, NOON, people)


async def say_lamp(session: AsyncSession, row: Lamp, people: Directory) -> None:
    say_lamp_changed(session, row, NOON, people)


async def say_note(session: AsyncSession, row: Note, people: Directory) -> None:
    del people
    await say_note_changed(session, row, NOON)


async def say_flag(session: AsyncSession, row: Flag, people: Directory) -> None:
    del people
    await say_flag_changed(session, row, NOON)


async def say_view(session: AsyncSession, row: SavedView, people: Directory) -> None:
    del people
    await say_view_changed(session, row, NOON)


async def say_field(session: AsyncSession, row: FieldDefinition, people: Directory) -> None:
    del row, people
    say_fields_changed(session, NOON)


async def say_request(session: AsyncSession, row: FormRequest, people: Directory) -> None:
    await say_request_changed(session, row, NOON, people)


async def remove_by_admin(session: AsyncSession, row: AttachedFile, people: Directory) -> None:
    await remove_file(session, _admin(people), row.id or 0, NOON)


async def tag_by_admin(session: AsyncSession, row: Deal, people: Directory) -> None:
    await add_tag(session, _admin(people), row.id or 0, f"tag {row.id}", NOON)


async def retry_by_admin(session: AsyncSession, row: Lamp, people: Directory) -> None:
    row.parked_at = NOON
    await retry_lamp(session, _admin(people), row.id or 0, now=NOON)


def _admin(people: Directory) -> Viewer:
    admin = next(user for user in people.users.values() if user.login == "admin")
    return Viewer(admin.id or 0, admin.login, admin.name, Role.ADMIN, None)


def _editable_files(viewer: Viewer) -> ColumnElement[bool]:
    """Those of the deals and tasks that one changes (``files.actions``)."""
    return or_(
        col(AttachedFile.deal_id).in_(select(Deal.id).where(editable_deals(viewer))),
        col(AttachedFile.task_id).in_(select(Task.id).where(editable_tasks(viewer))),
    )


def _as_its_subject(file: AttachedFile) -> tuple[str, object]:
    return ("deal", file.deal_id) if file.deal_id is not None else ("task", file.task_id)


KINDS = (
    RowKind("deal", Deal, visible_deals, editable_deals, say_deal),
    RowKind("deal", Deal, visible_deals, editable_deals, tag_by_admin),
    RowKind("task", Task, visible_tasks, editable_tasks, say_task),
    RowKind("contact", Contact, visible_contacts, editable_contacts, say_contact),
    RowKind("company", Company, visible_companies, editable_companies, say_company),
    RowKind("callback", Episode, visible_episodes, editable_episodes, say_episode),
    RowKind("lamp", Lamp, visible_lamps, editable_escalations, say_lamp),
    RowKind("lamp", Lamp, visible_lamps, editable_escalations, retry_by_admin),
    RowKind("note", Note, visible_notes, editable_notes, say_note),
    RowKind("flag", Flag, visible_flags, lambda viewer: visible_flags(viewer) & _can(viewer, Permission.FLAGS_RESOLVE), say_flag),
    RowKind("view", SavedView, visible_views, editable_views, say_view),
    RowKind("field", FieldDefinition, lambda _: true(), lambda viewer: _can(viewer, Permission.SETTINGS_EDIT), say_field, lambda _: ("field", None)),
    RowKind("request", FormRequest, visible_requests, lambda viewer: visible_requests(viewer) & (true() if manages_requests(viewer) else false()), say_request),
    RowKind("file", AttachedFile, visible_files, _editable_files, remove_by_admin, _as_its_subject),
)  # fmt: skip
#: Topics of hints without a walk, and why.
OTHERS = {
    "call": "the listener says it of a batch of facts at once: test_a_call_is_heard_by_who_sees_it",
    "people": "everybody sees everybody's name",
    "pipeline": "everybody sees the pipelines",
    "product": "everybody sees the catalogue",
    "pbx": "everybody is told whether the telephone system is heard",
    "dock": "a person's own call cards",
    "owed": "a person's own results of calls",
    "phone": "a person's own orders to the telephone",
    "session": "a person's own logins",
    "news": "for the people who watch a deal or whom a note names, of those who see it: tests/integration/web/test_deal_people.py",
    "bell": "rings for the one person who gets a request",
}
#: Rows that are heard and not seen, and why.
HEARD_ONLY = {
    "merged deal": "whoever has it open is led to the survivor: test_a_merged_deal_is_heard_by_who_saw_it",
    "merged contact": "the same: test_a_merged_contact_is_heard_by_who_saw_it",
    "merged company": "the same, and its clients: test_a_merged_company_and_its_clients_are_heard_by_who_saw_them",
}
#: What quality control changes: it reads everything and changes nothing else.
OF_QUALITY_CONTROL = {"flag": "it answers flags", "note": "its own", "view": "its own"}


def _can(viewer: Viewer, permission: Permission) -> ColumnElement[bool]:
    return true() if can(viewer, permission) else false()


async def rows_of_everybody(database: Database, office: Office, intake: Intake) -> None:
    """One of each kind for each person and for nobody, and those that are seen by others than whose they are."""
    async with database.write() as session:
        await two_more_managers(session, office)
        await some_are_away(session, office)
    await intake.apply(
        batch(
            FactStory("1.1", client="+380671110001").ring("101", "102").answer("101").wait(20).end(),
            FactStory("1.2", client="+380671110002").ring("201").wait(20).end(),
            FactStory("1.3", client="+380671110003").ring("102").wait(20).end(),
            outbound("1.4", "202", client="+380671110004").answer("202").wait(9).end(),
        )
    )
    async with database.write() as session:
        deal = (await session.exec(select(Deal))).first()
        assert deal is not None
        for n, owner in enumerate([None, *(office.id(login) for login in office.users)]):
            company = Company(name=f"Company {n}", responsible_id=owner, created_at=NOON)
            session.add(company)
            await session.flush()
            contacts = [
                Contact(name=f"{what} {n}", created_at=NOON)
                for what in ("own", "deal", "task", "call", "given", "person")
            ]
            contacts[0].responsible_id = owner
            contacts[0].company_id = contacts[3].company_id = company.id
            for contact in contacts[1:]:
                contact.responsible_id = office.id("petro")
            session.add_all(contacts)
            await session.flush()
            made = Deal(
                title=f"Deal {n}", pipeline_id=deal.pipeline_id, stage_id=deal.stage_id, currency="UAH", created_at=NOON,
                stage_since=NOON, responsible_id=owner, contact_id=contacts[1].id,
            )  # fmt: skip
            session.add(made)
            await session.flush()
            session.add(DealPerson(deal_id=made.id or 0, contact_id=contacts[5].id or 0, role="pays"))
            session.add_all(
                [
                    Task(kind="todo", title="own", due_at=NOON, created_at=NOON, assignee_id=owner, created_by_id=owner, contact_id=contacts[2].id),
                    Task(kind="todo", title="given", due_at=NOON, created_at=NOON, assignee_id=owner, contact_id=contacts[4].id),
                    Task(kind="todo", title="deal", due_at=NOON, created_at=NOON, assignee_id=office.id("olena"), created_by_id=office.id("maria"), deal_id=made.id),
                    Phone(contact_id=contacts[0].id or 0, number=f"+3805011100{n:02}"),
                    Episode(client_key=f"number:{n}", owner_id=owner, first_missed_at=NOON, last_missed_at=NOON),
                    Call(pbx="default", linkedid=f"7.{n}", direction="inbound", outcome="answered", started_at=NOON, responsible_id=owner, contact_id=contacts[3].id),
                ]
            )  # fmt: skip
        await session.flush()
        episodes = (await session.exec(select(Episode).order_by(col(Episode.id)))).all()
        episodes[0].claimed_by_id, episodes[0].claimed_at = office.id("petro"), NOON
        for n, episode in enumerate(episodes):
            manager = (None, office.id("maria"), office.id("oksana"), office.id("olena"))[n % 4]
            state, at = LampState.BURNING if n % 2 else LampState.OUT, NOON + timedelta(minutes=1)
            await lamp_of_callback(session, episode, at, state=state, addressee_id=manager)
            await lamp_of_callback(session, episode, at, step=0, addressee_id=episode.owner_id)
        calls = (await session.exec(select(Call).where(Call.contact_id.is_(None)))).all()  # type: ignore[union-attr]
        for call in calls:  # also by a phone that rang
            contact = Contact(name="heard", responsible_id=office.id("petro"), created_at=NOON)
            session.add(contact)
            await session.flush()
            call.contact_id = contact.id
        await session.flush()
        await beside_them(session, office)


async def beside_them(session: AsyncSession, office: Office) -> None:
    """Notes, files, flags, saved views, a custom field, and lamps of deals."""
    deals = (await session.exec(select(Deal))).all()
    tasks = (await session.exec(select(Task))).all()
    contacts = (await session.exec(select(Contact))).all()
    calls = (await session.exec(select(Call))).all()
    by = office.id("petro")
    checkpoint = await callbacks_checkpoint(session)
    more: list[SQLModel] = []
    for n, deal in enumerate(deals):
        more += [
            Note(deal_id=deal.id, contact_id=deal.contact_id, author_id=by, text="deal", at=NOON),
            AttachedFile(deal_id=deal.id, name="a.pdf", size=1, content_type="application/pdf", sha256="0" * 64, by_id=by, at=NOON),
            Flag(deal_id=deal.id, reason="look", raised_by_id=office.id("kira"), raised_at=NOON),
            Lamp(
                checkpoint_id=checkpoint.id or 0, step=0, subject=Subject.DEAL.value, deal_id=deal.id, entry=f"deal {deal.id}",
                owner_id=deal.responsible_id, addressee_id=(None, office.id("maria"), office.id("olena"))[n % 3],
                entered_at=NOON, minutes=20, due_at=NOON,
                state=(LampState.ARMED, LampState.BURNING, LampState.OUT)[n % 3].value,
            ),
        ]  # fmt: skip
    more += [
        AttachedFile(task_id=task.id, name="a.pdf", size=1, content_type="application/pdf", sha256="0" * 64, by_id=by, at=NOON)
        for task in tasks
    ]  # fmt: skip
    more += [Note(contact_id=contact.id, author_id=by, text="client", at=NOON) for contact in contacts]
    for call in calls:
        more += [
            Note(call_id=call.id, author_id=by, text="call", at=NOON),
            Flag(call_id=call.id, reason="look", raised_by_id=office.id("kira"), raised_at=NOON),
        ]
    teams = [None, *(await session.exec(select(Team.id))).all()]
    more += [
        SavedView(name=f"{user.login} {team_id}", owner_id=user.id or 0, team_id=team_id, query="lamp=any")
        for user in office.users.values()
        for team_id in teams
    ]
    more.append(FieldDefinition(entity="deal", kind="text", key="colour", name="Colour", position=1))
    form = WebForm(kind="web", key="walk", secret="walk", name="Site", pipeline_id=deals[0].pipeline_id, language="en")
    session.add(form)
    await session.flush()
    more += [
        FormRequest(
            form_id=form.id or 0,
            dedup_key=f"walk {n}",
            content_hash=f"walk {n}",
            at=NOON,
            deal_id=deal_id,
            state=(RequestState.ASIDE if deal_id is None else RequestState.DEAL).value,
        )
        for n, deal_id in enumerate([None, *(deal.id for deal in deals)])
    ]
    session.add_all(more)


async def seers(session: AsyncSession, model: Any, office: Office, condition: Condition) -> dict[int, set[str]]:
    """Who sees (or changes) each row, by its id."""
    found: dict[int, set[str]] = {row_id: set() for row_id in (await session.exec(select(model.id))).all()}
    for login in office.users:
        viewer = await office.viewer(session, login)
        for row_id in (await session.exec(select(model.id).where(condition(viewer)))).all():
            found[row_id].add(login)
    return found


def hearers(hint: Outbox, office: Office) -> set[str]:
    return {login for login, user in office.users.items() if user.id in hint.users or user.role in hint.roles}


async def test_who_sees_a_row_hears_it_and_who_changes_it_sees_it(
    database: Database, office: Office, intake: Intake
) -> None:
    await rows_of_everybody(database, office, intake)
    wrong: list[str] = []
    asked = 0
    for kind in KINDS:
        async with database.read() as session:
            seen = await seers(session, kind.model, office, kind.visible)
            changed = await seers(session, kind.model, office, kind.editable)
        for row_id, logins in seen.items():
            async with database.write() as session:
                row = await session.get_one(kind.model, row_id)
                topic, about = kind.heard_as(row) if kind.heard_as is not None else (kind.topic, row_id)
                ref = str(about)
                await kind.say(session, row, await load_directory(session))
            async with database.write() as session:
                told = (await session.exec(select(Outbox))).all()
                heard = set().union(*(hearers(hint, office) for hint in told if (hint.topic, hint.ref) == (topic, ref)))
                for hint in told:
                    await session.delete(hint)
            asked += 1
            if heard != logins:
                wrong.append(
                    f"{kind.topic} {row}: sees and hears not {logins - heard}, hears and sees not {heard - logins}"
                )
            if not changed[row_id] <= logins:
                wrong.append(f"{kind.topic} {row}: changes and sees not {changed[row_id] - logins}")
            if "kira" in changed[row_id] and kind.topic not in OF_QUALITY_CONTROL:
                wrong.append(f"{kind.topic} {row}: quality control changes it")
    assert asked > 300
    assert not wrong, "\n".join(wrong)


def test_every_topic_is_walked_or_says_why_not() -> None:
    emitted = {
        node.args[1].value
        for _module, tree in modules()
        for node in calls_of(tree, "emit")
        if len(node.args) > 1 and isinstance(node.args[1], ast.Constant)
    }
    assert emitted == {kind.topic for kind in KINDS} - {"file"} | set(OTHERS)
    named = [word.rstrip(":") for reason in (*OTHERS.values(), *HEARD_ONLY.values()) for word in reason.split()]
    assert all(word in globals() for word in named if word.startswith("test_"))


async def test_a_merged_deal_is_heard_by_who_saw_it(database: Database, office: Office, intake: Intake) -> None:
    await rows_of_everybody(database, office, intake)
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        contact = (await session.exec(select(Contact).where(Contact.name == "own 1"))).one()
        open_deals = (await session.exec(select(Deal).where(col(Deal.closed_at).is_(None)))).all()
        this, into = [deal for deal in open_deals if deal.title in {"Deal 2", "Deal 3"}]
        this.contact_id = into.contact_id = contact.id
        await session.flush()
        seen = (await seers(session, Deal, office, visible_deals))[this.id or 0]
        await merge_deals(session, admin, this.id or 0, into.id or 0, now=NOON)
    async with database.read() as session:
        told = (await session.exec(select(Outbox).where(Outbox.topic == "deal", Outbox.ref == str(this.id)))).all()
        assert set().union(*(hearers(hint, office) for hint in told)) == seen
        assert (await seers(session, Deal, office, visible_deals))[this.id or 0] == set()


async def test_a_merged_contact_is_heard_by_who_saw_it(database: Database, office: Office, intake: Intake) -> None:
    await rows_of_everybody(database, office, intake)
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        this, into = [
            (await session.exec(select(Contact).where(Contact.name == name))).one() for name in ("own 2", "own 3")
        ]
        seen = (await seers(session, Contact, office, visible_contacts))[this.id or 0]
        await merge_contacts(session, admin, this.id or 0, into.id or 0, now=NOON)
    async with database.read() as session:
        told = (await session.exec(select(Outbox).where(Outbox.topic == "contact", Outbox.ref == str(this.id)))).all()
        assert seen <= set().union(*(hearers(hint, office) for hint in told))
        assert (await seers(session, Contact, office, visible_contacts))[this.id or 0] == set()


async def test_a_merged_company_and_its_clients_are_heard_by_who_saw_them(
    database: Database, office: Office, intake: Intake
) -> None:
    await rows_of_everybody(database, office, intake)
    async with database.read() as session:
        this, into = [
            (await session.exec(select(Company).where(Company.name == name))).one()
            for name in ("Company 2", "Company 3")
        ]
        saw = (await seers(session, Company, office, visible_companies))[this.id or 0]
        clients = (await session.exec(select(Contact.id).where(Contact.company_id == this.id))).all()
        seen = await seers(session, Contact, office, visible_contacts)
    assert clients

    async def heard_of(topic: str, row_id: int | None) -> set[str]:
        told = await session.exec(select(Outbox).where(Outbox.topic == topic, Outbox.ref == str(row_id)))
        return set().union(*(hearers(hint, office) for hint in told.all()))

    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        merge = await merge_companies(session, admin, this.id or 0, into.id or 0, now=NOON)
    async with database.write() as session:
        assert saw <= await heard_of("company", this.id)
        assert [await heard_of("contact", one) for one in clients] == [seen[one or 0] for one in clients]
        for hint in (await session.exec(select(Outbox))).all():
            await session.delete(hint)
    async with database.write() as session:
        await undo_company_merge(session, admin, merge.id or 0, now=NOON)
    async with database.read() as session:
        assert saw <= await heard_of("company", this.id)
        assert [await heard_of("contact", one) for one in clients] == [seen[one or 0] for one in clients]


async def test_a_call_is_heard_by_who_sees_it(database: Database, office: Office, intake: Intake) -> None:
    """What the listener says of calls: of somebody's, of nobody's, and of one that belongs to another's deal."""
    await rows_of_everybody(database, office, intake)
    client = "+380671110077"
    await intake.apply(batch(FactStory("9.1", client=client).ring("101").answer("101").wait(9).end()))
    async with database.write() as session:
        deal = (await session.exec(select(Deal).where(Deal.client_number == client))).one()
        deal.responsible_id = office.id("petro")
    async with database.write() as session:
        for hint in (await session.exec(select(Outbox))).all():
            await session.delete(hint)
    await intake.apply(
        batch(FactStory("9.2", client=client, at=NOON + timedelta(hours=1)).ring("101").answer("101").wait(9).end())
    )
    async with database.read() as session:
        call = (await session.exec(select(Call).where(Call.linkedid == "9.2"))).one()
        assert call.id is not None
        assert call.deal_id == deal.id
        seen = (await seers(session, Call, office, visible_calls))[call.id]
        heard = [h for h in (await session.exec(select(Outbox))).all() if (h.topic, h.ref) == ("call", str(call.id))]
        last = hearers(max(heard, key=lambda hint: hint.id or 0), office)
        own = (await seers(session, Call, office, own_calls))[call.id]
    assert last == seen
    assert "petro" in seen
    assert own == {"ivan"} <= seen


async def test_what_one_sees_by_a_call_alone_one_does_not_change(
    database: Database, office: Office, intake: Intake
) -> None:
    await rows_of_everybody(database, office, intake)
    async with database.read() as session:
        by_call = {c.id for c in (await session.exec(select(Contact).where(Contact.name == "heard"))).all()}
        seen = await seers(session, Contact, office, visible_contacts)
        changed = await seers(session, Contact, office, editable_contacts)
        assert any("ivan" in seen[row_id or 0] for row_id in by_call)
        assert not any("ivan" in changed[row_id or 0] for row_id in by_call)
        users = await seers(session, User, office, visible_users)
        assert all(login in users[office.id(login)] for login in office.users)
