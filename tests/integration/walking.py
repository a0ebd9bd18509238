"""What the walks over all routes share: two teams in a database, an application on a copy of it, and one request to it."""

import asyncio
import io
import re
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.applications import Starlette
from starlette.routing import Route

from pbxcrm.access import GRANTS, Role, Viewer
from pbxcrm.audit.actions import record
from pbxcrm.automation.models import RuleRun
from pbxcrm.calendars.models import Leave
from pbxcrm.callbacks.models import Attempt, Episode
from pbxcrm.calls.models import Call, Line
from pbxcrm.checkpoints.models import Checkpoint, Lamp
from pbxcrm.contacts.actions import create_company, create_contact, mark_number
from pbxcrm.contacts.company_merge_actions import merge_companies
from pbxcrm.contacts.merge_actions import merge_contacts
from pbxcrm.contacts.models import Company, Consent, Contact, NumberKind, SpecialRange
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.merge_actions import merge_deals
from pbxcrm.deals.models import Deal
from pbxcrm.deals.people_actions import add_person
from pbxcrm.deals.queries import stages_of
from pbxcrm.deals.tag_actions import add_tag
from pbxcrm.deals.watcher_actions import watch
from pbxcrm.distribution.models import DistributionRule
from pbxcrm.distribution.rules import Kind, Member
from pbxcrm.fields.actions import FieldDraft, create_field, create_section
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import load_fields
from pbxcrm.fields.value_actions import do_set_values
from pbxcrm.files.actions import On, attach
from pbxcrm.files.store import Store
from pbxcrm.flags.models import Flag
from pbxcrm.forms.form_actions import FormDraft, save_form
from pbxcrm.forms.models import FormConsent, FormKind, FormRequest, RequestState, WebForm
from pbxcrm.forms.rules import FormField
from pbxcrm.messages.models import Delivery, MessageStop, MessageTemplate
from pbxcrm.money.models import DealLine, LineTemplate, Product
from pbxcrm.notes.actions import add_note
from pbxcrm.pbx.models import PbxStatus
from pbxcrm.pbx.state import PbxState
from pbxcrm.people.api_tokens import create_token
from pbxcrm.people.directory import load_directory
from pbxcrm.people.login_actions import log_in
from pbxcrm.people.models import ApiToken, LoginSession
from pbxcrm.phone.models import PhoneCommand
from pbxcrm.reactions.caller_lookup import Lookup
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.background_jobs import BackgroundJob
from pbxcrm.shared.db import Database
from pbxcrm.shared.numbers import format_for_people
from pbxcrm.shared.reasons import reason
from pbxcrm.shared.settings import Settings
from pbxcrm.tasks.actions import create_task
from pbxcrm.tasks.models import Task, TaskKind
from pbxcrm.views.models import SavedView
from tests.calls import NOON, FactStory, batch
from tests.integration.walked_rules import walked_hook, walked_rule, walked_webhook
from tests.lamps import lamp_of_callback
from tests.office import PASSWORD, Office, open_office
from web.app import create_app
from web.auth import COOKIE
from web.doors import Door
from web.routes import all_routes
from web.routing import rule_of
from web.static_files import StaticTree

FILE = b"What was agreed on."
SECRET = "Zaporizhzhia"
SECRET_NUMBER = "+380671110002"
SECRET_NUMBERS = (SECRET_NUMBER[1:], format_for_people(SECRET_NUMBER)[1:])
OTHERS = {Role.SELLER: "petro", Role.MANAGER: "oksana", Role.ADMIN: "admin"}
PEOPLE = {Role.SELLER: "ivan", Role.MANAGER: "maria", Role.QC: "kira", Role.ADMIN: "admin"}
STREAMS = {"/live"}  # they do not end by themselves
#: Parameters of paths that name something of one team, and those that name what all teams share.
OWNED = {
    "run_id",
    "file_id",
    "flag_id",
    "request_id",
    "consent_id",
    "attempt_id",
    "command_id",
    "call_id", "callback_id", "company_id", "contact_id", "deal_id", "episode_id", "escalation_id", "leave_id", "login", "note_id", "person_id", "deal_line_id",
    "job_id", "view_id", "lamp_id", "delivery_id", "merge_id", "deal_merge_id", "company_merge_id", "other_id", "other_company_id", "session_id", "task_id", "token_id", "user_id", "team_id",
}  # fmt: skip
#: Of ``token`` (an undo of one's own) a foreign one is like one that nobody has: it is looked for among one's own cards.
SHARED = {
    "calendar_id",
    "checkpoint_id",
    "field_id",
    "form_id",
    "form_key",
    "hook_id",
    "hook_secret",
    "message_secret",
    "webhook_id",
    "webhook_delivery_id",
    "contact_field_id",
    "company_field_id",
    "fact",
    "line_id",
    "line_template_id",
    "message_template_id",
    "message_stop_id",
    "product_id",
    "name",
    "number",
    "pipeline_id",
    "range_id",
    "report",
    "automation_id",
    "rule_id",
    "stage_id",
    "tag_id",
    "token",
    "version",
}
#: What a GET answers here to those who may ask, where it is not simply there.
NOT_SEEN_AT_ONCE = {
    "GET /static/{version}/{name:path}": {404},
    "GET /news": {404},  # of what is asked for
    "GET /feeds/{token:str}.ics": {404},  # nobody has this secret
    "GET /calls/{call_id:int}/recording": {404},  # it was not recorded
    "GET /api/v1/calls/{call_id:int}/recording": {404},
    "GET /api/v1/calendars/{calendar_id:int}/holidays": {422},  # it asks of which country
    "GET /api/v1/checkpoints/preview": {422},  # it asks of which stage
    "GET /api/v1/checkpoints/what-if": {422},
    "GET /api/v1/jobs/{job_id:int}": {200, 404},  # only one's own
    "GET /jobs/{job_id:int}": {200, 404},
    "GET /board/bulk/{job_id:int}": {404},  # that work is of another kind
    "GET /settings/trials/{job_id:int}": {404},  # that work is of another kind
    "GET /automation/trials/{job_id:int}": {404},
    "GET /reports/{report}/rows": {422},  # of which row is asked for
    "GET /api/v1/reports/{report}/rows": {422},
    "GET /dock/{call_id:int}/link": {200, 404},  # only where one's own phone rang
    "GET /dock/{call_id:int}/stopped": {200, 404},
}
MAY_BE_UNREADY = {"GET /readyz", "POST /callbacks/{episode_id:int}/call"}  # no listener runs here
GONE = {"GET /board/cards/{deal_id:int}": {204}}  # how a board is told that a card is not (or no longer) its own
SHOW_EVERYTHING = {
    "/calls", "/board", "/contacts", "/companies", "/api/v1/calls", "/api/v1/deals", "/api/v1/contacts",
    "/api/v1/companies", "/flags", "/api/v1/flags", "/api/v1/tasks", "/api/v1/callbacks", "/api/v1/notes", "/api/v1/escalations",
}  # fmt: skip
ROUTES = list(all_routes(StaticTree()))


@dataclass
class RawResponse:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


async def ask(app: Starlette, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> RawResponse:
    """One request to the application itself; a stream is left as soon as its answer begins."""
    answer, begun = RawResponse(), asyncio.Event()
    sent = False

    async def receive() -> dict[str, object]:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        await begun.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]  # type: ignore[assignment]  # ASGI messages are untyped
            answer.headers = {k.decode(): v.decode() for k, v in message["headers"]}  # type: ignore[attr-defined]
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                begun.set()
        elif message["type"] == "http.response.body":
            answer.body += message.get("body", b"")  # type: ignore[operator]

    where, _, query = path.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "root_path": "",
        "path": where, "raw_path": where.encode(), "query_string": query.encode(), "client": ("127.0.0.1", 1), "server": ("crm", 80),
        "headers": [(b"host", b"crm"), *((name.encode(), value.encode()) for name, value in headers.items())],
    }  # fmt: skip
    try:
        async with asyncio.timeout(30):
            await app(scope, receive, send)  # type: ignore[arg-type]  # ASGI messages are untyped
    except Exception as error:  # noqa: BLE001  # a server answers 500 and writes it into its log
        return RawResponse(500, body=repr(error).encode())
    return answer


@dataclass(frozen=True)
class Seeded:
    """A database file with two teams in it; ``mine`` and ``theirs`` are the parameters of paths, for what is ivan's and petro's."""

    file: Path
    cookies: dict[str, dict[str, str]]
    tokens: dict[str, dict[str, str]]
    mine: dict[str, object]
    theirs: dict[str, object]
    ids: dict[str, int]  # of people, by login

    def headers(self, route: Route, login: str | None) -> dict[str, str]:
        """As a browser on our own page where the route is for browsers, else as a program."""
        if login is None:
            return _from(route)
        if rule_of(route).door is Door.TOKEN:
            return {**self.tokens[login], "content-type": "application/json"}
        return {**self.cookies[login], **_from(route)}


async def seed_two_teams(file: Path) -> Seeded:
    db, settings = Database(f"sqlite:///{file}"), Settings(data_dir=file.parent)
    office = await open_office(db)
    mine = await _settle(db, settings, office, "ivan", "101", "Kharkiv", "+380671110001")
    theirs = await _settle(db, settings, office, "petro", "201", SECRET, SECRET_NUMBER)
    cookies, tokens = {}, {}
    for login in office.users:
        token, _ = await log_in(db, login, PASSWORD, ip="127.0.0.1", user_agent=f"{login}'s browser", now=NOON)
        cookies[login] = {"cookie": f"{COOKIE}={token}"}
    async with db.write() as session:
        for login in office.users:
            tokens[login] = {"authorization": f"Bearer {await create_token(session, office[login], now=NOON)}"}
        for owner, objects in (("ivan", mine), ("petro", theirs)):
            of_owner = select(LoginSession.id).where(LoginSession.user_id == office.id(owner))
            objects["session_id"] = (await session.exec(of_owner)).one()
        pbx = (await session.exec(select(PbxStatus))).one()  # made by the calls above
        pbx.state, pbx.reported_at, pbx.lease_owner = PbxState.LISTENING.value, NOON, "walk"
        pbx.lease_until = NOON + timedelta(days=1)
    await db.close()
    return Seeded(file, cookies, tokens, mine, theirs, {login: office.id(login) for login in office.users})


async def _settle(
    db: Database, settings: Settings, office: Office, seller: str, extension: str, name: str, number: str
) -> dict[str, object]:
    """A client of this seller with one of everything: what stands in the paths of routes, by the parameter's name."""
    async with db.write() as session:
        viewer = await office.viewer(session, seller)
        company = await create_company(session, viewer, name=f"{name} Ltd", now=NOON)
        other_company = await create_company(session, viewer, name=f"Other {name} Ltd", now=NOON)
        gone_company = await create_company(session, viewer, name=f"Gone {name} Ltd", now=NOON)
        company_merge = await merge_companies(session, viewer, gone_company.id or 0, other_company.id or 0, now=NOON)
        ways: dict[str, Any] = {"phones": [number], "emails": [f"{extension}@gmail.com"], "company_id": company.id}
        contact = await create_contact(session, viewer, name=name, now=NOON, region="UA", **ways)
        other = await create_contact(session, viewer, name=f"Other {name}", now=NOON, region="UA")
        gone = await create_contact(session, viewer, name=f"Gone {name}", now=NOON, region="UA")
        merge = await merge_contacts(session, viewer, gone.id or 0, other.id or 0, now=NOON)
        deal = await create_deal(
            session,
            viewer,
            title=f"Deal {name}",
            now=NOON,
            currency="UAH",
            second=True,
            region="UA",
            contact_id=contact.id,
        )
        task = await create_task(session, viewer, title=f"Task {name}", due_at=NOON, now=NOON, deal_id=deal.id)
        other_stage = next(s for s in await stages_of(session, deal.pipeline_id) if s.id != deal.stage_id)
        note = await add_note(session, viewer, f"Note {name}", NOON, deal=deal)
        line = Line(name=f"Line of {extension}", did=f"{extension}*")
        rule = DistributionRule(
            name=f"Rule of {extension}", method="turns", otherwise="nobody", query="source=Nowhere", members=[Member(Kind.USER, office.id(seller)).stored()],
        )  # fmt: skip
        control = Task(
            kind=TaskKind.CONTROL, title=f"Control {name}", title_code=reason("lamp.comment", who=name, text="Control").stored(), due_at=NOON,
            created_at=NOON,
            assignee_id=(await load_directory(session)).managers_of(viewer.user_id)[0].id,
        )  # fmt: skip
        fields = await fields_with_values(session, office, viewer, deal, contact, company)
        leave = Leave(user_id=office.id(seller), starts_at=NOON + timedelta(days=90), ends_at=NOON + timedelta(days=91))
        session.add_all([line, rule, control, leave])
        await session.flush()
        special = f"{number[:-2]}9{number[-1]}"
        await mark_number(session, viewer, special, NumberKind.SPAM, region="UA", now=NOON)
        numbers = SpecialRange(
            first=f"+38044{extension}00", last=f"+38044{extension}99", kind=NumberKind.OWN.value, added_at=NOON
        )
        session.add(numbers)
    missed = FactStory(linkedid=f"{extension}.1", client=number, name=name).ring(extension).wait(20).end()
    await Intake(db, settings).apply(batch(missed))
    async with db.read() as session:
        call = (await session.exec(select(Call).where(Call.client_number == number))).one()
        episode = (await session.exec(select(Episode).where(Episode.client_number == number))).one()
        of_stage = (await session.exec(select(Checkpoint).where(col(Checkpoint.stage_id).is_not(None)))).first()
        assert of_stage is not None
        assert episode.owner_id == office.id(seller)
    async with db.write() as session:
        escalation = await lamp_of_callback(
            session,
            episode,
            NOON,
            addressee_id=control.assignee_id,
            task_id=control.id,
            reason=reason("lamp.out_closed").stored(),
        )
        attempt = Attempt(
            episode_id=episode.id or 0, user_id=episode.owner_id, at=NOON, result="didnt_reach", by_hand=True
        )
        command = PhoneCommand(
            key=f"order-{extension}", pbx="default", kind="originate", user_id=office.id(seller), extension=extension,
            client_number=number, created_at=NOON, expires_at=NOON,
        )  # fmt: skip
        same: dict[str, Any] = {
            "now": NOON,
            "currency": "UAH",
            "second": True,
            "contact_id": contact.id,
            "region": "UA",
        }
        other_deal = await create_deal(session, viewer, title=f"Other deal {name}", **same)
        gone_deal = await create_deal(session, viewer, title=f"Gone deal {name}", **same)
        deal_merge = await merge_deals(session, viewer, gone_deal.id or 0, other_deal.id or 0, now=NOON)
        flag = Flag(deal_id=deal.id, reason=f"Flag {name}", raised_at=NOON)
        form = await walked_form(session, office, deal.pipeline_id)
        request = FormRequest(
            form_id=form.id or 0, dedup_key=f"walk {extension}", content_hash="x", at=NOON, name=f"Sender {name}", number=number,
            consent_version=1, state=RequestState.JOINED.value, deal_id=deal.id, contact_id=contact.id,
        )  # fmt: skip
        text = (await session.exec(select(FormConsent).where(FormConsent.form_id == form.id))).first()
        consent = Consent(
            contact_id=contact.id or 0, is_given=True, at=NOON, source=f"Site {name}", text_id=text.id if text else None
        )
        token = ApiToken(token_hash=f"hash-{extension}", user_id=office.id(seller), name="its name", created_at=NOON)
        lamp = Lamp(
            checkpoint_id=1, step=0, subject="deal", deal_id=deal.id, entry=f"walk {extension}", owner_id=office.id(seller),
            entered_at=NOON, minutes=1, due_at=NOON,
        )  # fmt: skip
        job = BackgroundJob(kind="walk", owner_id=office.id(seller), created_at=NOON)
        tag_id = await add_tag(session, await office.viewer(session, seller), deal.id or 0, "Urgent", NOON)
        on_deal = await add_person(
            session, await office.viewer(session, "admin"), deal.id or 0, other.id or 0, f"Role {name}", NOON
        )
        await watch(session, await office.viewer(session, seller), deal.id or 0, office.id(seller), NOON)
        view = SavedView(name="Mine", owner_id=office.id(seller), query="lamp=any")
        kept = Store(settings.data_dir).keep(io.BytesIO(FILE), 1000)
        file = await attach(
            session, await office.viewer(session, seller), On(deal_id=deal.id), f"File {name}", kept, NOON, total_gb=1
        )
        automation, hook = await walked_rule(session, office), await walked_hook(session)
        webhook = await walked_webhook(session)
        run = RuleRun(
            rule_id=automation.id or 0, rule_version=1, event_id=deal.id or 0, act="deal.moved", subject=f"deal:{deal.id}", deal_id=deal.id,
            contact_id=contact.id, root_id=1, status="done", at=NOON, reason=reason("automation.done").stored(),
        )  # fmt: skip
        sold = DealLine(
            deal_id=deal.id or 0, name=f"Sold {name}", quantity=Decimal(1), price=Decimal(10), asked_percent=Decimal(20),
            asked_why="An old client", asked_by_id=office.id(seller),
        )  # fmt: skip
        goods = Product(name=f"Goods {deal.id}", price=Decimal(10), currency="UAH")
        template_line = {"product_id": None, "name": "Work", "unit": "", "price": "1", "vat_rate": None, "formula": "1"}
        template = LineTemplate(name=f"Template {deal.id}", lines=[template_line])
        message = MessageTemplate(name=f"Message {deal.id}", channel="email", texts={"uk": "Hello"}, created_at=NOON)
        of: dict[str, Any] = {"deal_id": deal.id, "contact_id": contact.id, "created_at": NOON, "due_at": NOON}
        delivery = Delivery(key=name, channel="email", state="unknown", address="walk@client.example", **of)
        stop = MessageStop(address=f"{extension}@stop.example", by_id=office.id("admin"), at=NOON)
        called = Delivery(
            key=f"call {name}", channel="webhook", state="failed", webhook_id=webhook.id, address=webhook.address, **of
        )
        session.add_all([message, delivery, stop, called])
        session.add_all([run, flag, request, consent, attempt, command, token, lamp, job, view, sold, goods, template])
    return {
        "company_id": company.id, "other_company_id": other_company.id, "company_merge_id": company_merge.id, "contact_id": contact.id, "merge_id": merge.id, "deal_merge_id": deal_merge.id, "other_deal_id": other_deal.id, "other_id": other.id, "deal_id": deal.id, "task_id": task.id, "note_id": note.id, "person_id": on_deal.id, "deal_line_id": sold.id,
        "call_id": call.id, "callback_id": episode.id, "episode_id": episode.id, "escalation_id": escalation.id, "flag_id": flag.id, "request_id": request.id, "consent_id": consent.id, "file_id": file.id, "attempt_id": attempt.id, "leave_id": leave.id, "command_id": command.id,
        "lamp_id": lamp.id, "run_id": run.id, "delivery_id": delivery.id, "job_id": job.id, "view_id": view.id, "token_id": token.id, "user_id": office.id(seller), "login": seller, "team_id": viewer.team_id, "number": special,
        # the same for both teams
        "stage_id": deal.stage_id, "other_stage_id": other_stage.id, "pipeline_id": deal.pipeline_id, "calendar_id": 1, "tag_id": tag_id, "fact": "amount", "checkpoint_id": of_stage.id, "line_id": line.id, "product_id": goods.id, "line_template_id": template.id, "message_template_id": message.id, "message_stop_id": stop.id, "rule_id": rule.id, "automation_id": automation.id, "range_id": numbers.id,
        **fields, "form_id": form.id, "form_key": form.key, "hook_id": hook.id, "hook_secret": "walked", "message_secret": "walked", "webhook_id": webhook.id, "webhook_delivery_id": called.id, "version": "any", "report": "own_kpi", "name": "none.css", "token": "0123456789abcdef",
    }  # fmt: skip


async def walked_form(session: AsyncSession, office: Office, pipeline_id: int) -> WebForm:
    """The one form, made with the first team."""
    known = (await session.exec(select(WebForm))).first()
    if known is not None:
        return known
    admin = await office.viewer(session, "admin")
    draft = FormDraft(FormKind.WEB, "Site", pipeline_id, "en", [FormField("phone", "phone", "")], consent="I agree.")
    return await save_form(session, admin, None, draft, NOON)


async def fields_with_values(
    session: AsyncSession, office: Office, viewer: Viewer, deal: Deal, contact: Contact, company: Company
) -> dict[str, int | None]:
    """A section, and a field called ``walked`` of each entity, which the viewer has filled in."""
    admin = await office.viewer(session, "admin")
    known = await load_fields(session)
    for entity in FieldEntity:
        if not known.of(entity):
            draft = FieldDraft(name="Walked")
            await create_field(
                session, admin, entity=entity, kind="text", key="walked", draft=draft, currency="UAH", now=NOON
            )
    sections = known.sections_of(FieldEntity.DEAL)
    section = sections[0] if sections else await create_section(session, admin, FieldEntity.DEAL, "Walked", now=NOON)
    for entity, row in ((FieldEntity.DEAL, deal), (FieldEntity.CONTACT, contact), (FieldEntity.COMPANY, company)):
        changed = await do_set_values(session, viewer, entity, row, {"walked": "A value"}, region="UA")
        record(session, NOON, f"{entity}.edited", entity, row.id, actor=viewer, changed=changed)
    known = await load_fields(session)
    ids = {entity: known.by_key(entity)["walked"].id for entity in FieldEntity}
    return {
        "field_id": ids[FieldEntity.DEAL],
        "contact_field_id": ids[FieldEntity.CONTACT],
        "company_field_id": ids[FieldEntity.COMPANY],
        "section_id": section.id,
    }


@dataclass
class Walker:
    """Gives an application on a copy of the database: a fresh one for each route that may change it."""

    seeded: Seeded
    folder: Path
    redis_url: str
    _copies: int = 0

    @asynccontextmanager
    async def app(self) -> AsyncIterator[Starlette]:
        self._copies += 1
        file = self.folder / f"copy{self._copies}.db"
        shutil.copyfile(self.seeded.file, file)
        settings = Settings(
            data_dir=self.folder, database_url=f"sqlite:///{file}", ami_url="ami://crm:secret@127.0.0.1:1"
        )
        Store(self.folder).keep(io.BytesIO(FILE), 1000)
        db, redis = Database(settings.database_url), Redis.from_url(self.redis_url)
        try:
            app = create_app(settings, db, redis, clock=lambda: NOON)
            app.state.lookup = Lookup(
                db, settings, lambda: NOON, patience=30
            )  # what is told is asked, however busy the machine is
            yield app
        finally:
            await redis.aclose()
            await db.close()

    async def apps(self, routes: Iterable[Route]) -> AsyncIterator[tuple[Route, Starlette]]:
        """Each route with an application to ask: one for all that only read."""
        async with self.app() as reading:
            for route in routes:
                if method_of(route) == "GET":
                    yield route, reading
                else:
                    async with self.app() as fresh:
                        yield route, fresh


def address(route: Route, objects: dict[str, object]) -> str:
    """Raises KeyError for a parameter that stands for nothing here: say above what it is in both teams."""
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: str(objects[found[1]]), route.path)


def _from(route: Route) -> dict[str, str]:
    """Browsers say where a change comes from."""
    return {} if method_of(route) == "GET" else {"origin": "http://crm"}


def method_of(route: Route) -> str:
    [method] = set(route.methods or ()) - {"HEAD"}
    return method


def told(route: Route) -> str:
    return f"{method_of(route)} {route.path}"


def owned_by(route: Route) -> set[str]:
    """Parameters of its path that name something of one team."""
    return set(route.param_convertors) & OWNED


def lets_in(route: Route, role: Role) -> bool:
    needs = rule_of(route).needs
    return needs is None or needs in GRANTS[role]


def tells_secrets(answer: RawResponse) -> bool:
    return SECRET in answer.text or any(number in answer.text for number in SECRET_NUMBERS)
