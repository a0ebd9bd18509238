"""Web forms as strangers reach them: what is taken, from where, how often, and what is answered."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient
from redis.asyncio import Redis
from sqlmodel import col, select
from starlette.applications import Starlette
from structlog.testing import capture_logs

from pbxcrm.contacts.models import Contact, Email, Phone
from pbxcrm.deals.models import Deal
from pbxcrm.deals.seed import seed
from pbxcrm.files.models import AttachedFile
from pbxcrm.forms.models import FormConsent, FormRequest, RequestState, WebForm
from pbxcrm.forms.proof_rules import used_by
from pbxcrm.forms.rules import FormField
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from pbxcrm.tasks.models import Task
from tests.forms import ASKED, ROBERT, ROBERTS_NUMBER, admin, make_form
from tests.integration.web.conftest import HOME, SetClock
from web import database_timeout
from web.app import create_app

SITE = "https://shop.example"


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine the database must not count as hanging."""
    monkeypatch.setattr(database_timeout, "PATIENCE_SECONDS", 60.0)


@pytest.fixture
async def made(database: Database, clock: SetClock, app: Starlette) -> Any:
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")

    async def make(**values: Any) -> WebForm:
        return await make_form(database, admin(5), clock.now, **{"origins": SITE, "responsible_id": 1} | values)

    return make


@pytest.fixture
async def stranger(app: Starlette) -> Any:
    """A client without cookies; ``Accept`` is of a script unless a test says otherwise."""
    async with AsyncClient(
        transport=ASGITransport(app, raise_app_exceptions=False), base_url=HOME, headers={"accept": "application/json"}
    ) as client:
        yield client


async def rows(database: Database, model: Any) -> Sequence[Any]:
    async with database.read() as session:
        return (await session.exec(select(model).order_by(col(model.id)))).all()


async def test_a_request_becomes_a_deal_with_its_client_and_a_task(
    database: Database, stranger: AsyncClient, made: Any, clock: SetClock
) -> None:
    form = await made(source="Site")
    answer = await stranger.post(
        f"/f/{form.key}", data=ROBERT | {"page": "https://shop.example/?utm_source=google&utm_medium=cpc"}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["ok"]
    (request,) = await rows(database, FormRequest)
    (deal,) = await rows(database, Deal)
    (contact,) = await rows(database, Contact)
    assert (request.state, request.deal_id, request.contact_id) == (RequestState.DEAL, deal.id, contact.id)
    assert (deal.title, deal.client_number, deal.source) == (ROBERT["name"], ROBERTS_NUMBER, "google / cpc")
    assert (deal.responsible_id, contact.responsible_id, contact.name) == (1, 1, ROBERT["name"])
    assert [phone.number for phone in await rows(database, Phone)] == [ROBERTS_NUMBER]
    assert [email.address for email in await rows(database, Email)] == [ROBERT["email"]]
    (task,) = [task for task in await rows(database, Task) if task.about == f"request:{deal.id}"]
    assert (task.assignee_id, task.due_at) == (1, clock.now)
    assert request.text == ROBERT["message"]
    assert not request.is_existing


@pytest.mark.parametrize("how", ["json", "form"])
async def test_json_and_forms_are_the_same_request(
    database: Database, stranger: AsyncClient, made: Any, how: str
) -> None:
    form = await made()
    sent: dict[str, Any] = {"json": ROBERT} if how == "json" else {"data": ROBERT}
    for _ in range(2):
        assert (await stranger.post(f"/f/{form.key}", **sent)).status_code == 200
    other: dict[str, Any] = {"data": ROBERT} if how == "json" else {"json": ROBERT}
    assert (await stranger.post(f"/f/{form.key}", **other)).status_code == 200
    assert len(await rows(database, FormRequest)) == 1
    assert len(await rows(database, Deal)) == 1


async def test_without_a_key_the_same_is_one_request_for_five_minutes(
    database: Database, stranger: AsyncClient, made: Any, clock: SetClock
) -> None:
    form = await made()
    for forward in (0, 4, 4):  # the second repeats the first; the third comes 8 minutes after it
        clock.forward(minutes=forward)
        assert (await stranger.post(f"/f/{form.key}", data=ROBERT)).status_code == 200
    found = await rows(database, FormRequest)
    assert [request.state for request in found] == [RequestState.DEAL, RequestState.JOINED]
    assert len(await rows(database, Deal)) == 1  # never a second open deal of one client in one pipeline


async def test_a_key_is_one_request_at_any_time_and_no_other_content(
    database: Database, stranger: AsyncClient, made: Any, clock: SetClock
) -> None:
    form = await made()
    key = {b"idempotency-key": "order 17 \u2603".encode()}
    assert (await stranger.post(f"/f/{form.key}", json=ROBERT, headers=key)).status_code == 200
    clock.forward(days=3)
    assert (await stranger.post(f"/f/{form.key}", json=ROBERT, headers=key)).status_code == 200
    changed = await stranger.post(f"/f/{form.key}", json=ROBERT | {"message": "Another"}, headers=key)
    assert (changed.status_code, changed.json()["code"]) == (409, "forms.key_used")
    assert len(await rows(database, FormRequest)) == 1


async def test_many_at_once_are_one(database: Database, stranger: AsyncClient, made: Any) -> None:
    form = await made(per_minute=1000)
    answers = await asyncio.gather(*(stranger.post(f"/f/{form.key}", data=ROBERT) for _ in range(40)))
    assert {answer.status_code for answer in answers} == {200}
    assert (len(await rows(database, FormRequest)), len(await rows(database, Deal))) == (1, 1)
    assert len(await rows(database, Contact)) == 1


async def test_one_address_sends_so_many_in_a_minute(
    database: Database, stranger: AsyncClient, made: Any, clock: SetClock
) -> None:
    form = await made(per_minute=3)
    sent = [ROBERT | {"phone": f"067 111 22 {number}", "email": ""} for number in range(10, 60)]
    answers = [(await stranger.post(f"/f/{form.key}", data=each)) for each in sent]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429] * 47
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert len(await rows(database, FormRequest)) == 3
    assert (await stranger.post(f"/f/{form.key}", data=sent[0])).status_code == 200  # a repetition is no new request
    clock.forward(minutes=1)
    assert (await stranger.post(f"/f/{form.key}", data=sent[5])).status_code == 200


async def test_other_sites_only_where_the_form_lists_them(stranger: AsyncClient, made: Any, database: Database) -> None:
    form = await made()
    good = await stranger.post(f"/f/{form.key}", data=ROBERT, headers={"origin": SITE})
    assert good.headers["access-control-allow-origin"] == SITE
    assert "access-control-allow-credentials" not in good.headers
    for origin in (
        "https://evil.example",
        "https://shop.example.evil.example",
        "http://shop.example",
        "null",
        "https://shop.example:8443",
    ):
        bad = await stranger.post(f"/f/{form.key}", data=ROBERT | {"name": "X"}, headers={"origin": origin})
        assert bad.status_code == 403, origin
        assert "access-control-allow-origin" not in bad.headers
        assert (await stranger.options(f"/f/{form.key}", headers={"origin": origin})).status_code == 403
        assert (await stranger.get(f"/f/{form.key}/part", headers={"origin": origin})).status_code == 403
    assert len(await rows(database, FormRequest)) == 1
    asked = await stranger.options(f"/f/{form.key}", headers={"origin": SITE, "access-control-request-method": "POST"})
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, SITE)
    assert asked.headers["access-control-allow-headers"] == "content-type, idempotency-key"
    assert asked.headers["vary"] == "Origin"


async def test_the_session_of_somebody_who_is_logged_in_counts_for_nothing(browser: Any, made: Any) -> None:
    form = await made()
    admins = await browser("admin")
    page = await admins.get(f"/f/{form.key}")
    assert page.status_code == 200
    assert "admin" not in page.text.lower()
    answer = await admins.post(f"/f/{form.key}", data=ROBERT, headers={"origin": HOME})
    assert answer.status_code == 303


async def test_what_is_answered_does_not_say_whether_a_client_is_known(
    database: Database, stranger: AsyncClient, made: Any, clock: SetClock
) -> None:
    form = await made(per_minute=100)
    first = await stranger.post(f"/f/{form.key}", data=ROBERT)
    clock.forward(minutes=6)
    known = await stranger.post(f"/f/{form.key}", data=ROBERT | {"message": "Again"})
    unknown = await stranger.post(
        f"/f/{form.key}", data=ROBERT | {"phone": "067 999 99 99", "email": "new@example.com"}
    )
    assert first.json() == known.json() == unknown.json()
    assert dict(first.headers) == dict(known.headers) == dict(unknown.headers)


async def test_robots_are_set_aside_and_think_they_were_heard(
    database: Database, stranger: AsyncClient, made: Any
) -> None:
    form = await made()
    robot = await stranger.post(f"/f/{form.key}", data=ROBERT | {"homepage": "https://spam.example"})
    assert robot.json()["ok"]
    (request,) = await rows(database, FormRequest)
    assert (request.state, request.reason["code"], request.deal_id) == (RequestState.ASIDE, "form.trap", None)
    assert not await rows(database, Deal)
    assert not await rows(database, Contact)


async def test_what_is_missing_is_said_at_its_place(stranger: AsyncClient, made: Any, database: Database) -> None:
    form = await made(consent="You may call me.")
    answer = await stranger.post(f"/f/{form.key}", data={"name": "x" * 300, "phone": "no number", "email": "nobody"})
    assert answer.status_code == 422
    assert set(answer.json()["errors"]) == {"name", "phone", "email", "consent"}
    page = await stranger.post(
        f"/f/{form.key}", data={"name": "Олена <b>", "phone": ""}, headers={"accept": "text/html"}
    )
    assert page.status_code == 422
    assert "Олена &lt;b&gt;" in page.text  # nothing typed is lost
    assert 'aria-invalid="true"' in page.text
    assert not await rows(database, FormRequest)


async def test_each_request_keeps_the_text_that_was_agreed_to(
    database: Database, stranger: AsyncClient, made: Any, clock: SetClock
) -> None:
    from pbxcrm.forms.form_actions import FormDraft, save_form
    from pbxcrm.forms.models import FormKind

    form = await made(consent="The first text.", per_minute=100)
    page = await stranger.get(f"/f/{form.key}", headers={"accept": "text/html"})
    assert 'name="consent_version" value="1"' in page.text
    draft = FormDraft(FormKind.WEB, "Site", form.pipeline_id, "en", ASKED, consent="The second text.", origins=SITE)
    async with database.write() as session:
        await save_form(session, admin(5), form.id, draft, clock.now)
    agreed = ROBERT | {"consent": "1"}
    await stranger.post(f"/f/{form.key}", data=agreed | {"consent_version": "1"})  # the page was open meanwhile
    await stranger.post(f"/f/{form.key}", data=agreed | {"phone": "067 111 22 34"})
    texts = {text.version: text.text for text in await rows(database, FormConsent)}
    assert [texts[request.consent_version] for request in await rows(database, FormRequest)] == [
        "The first text.",
        "The second text.",
    ]


HOSTILE = "=cmd|' /C calc'!A0 \u202e<script>alert(1)</script> 😀\x00\x07"


async def test_hostile_text_is_text(database: Database, stranger: AsyncClient, made: Any, browser: Any) -> None:
    form = await made()
    body = json.dumps(
        {"name": HOSTILE, "phone": "067 111 22 33", "message": HOSTILE, "\ud800x": ["\ud800", {"a": [1]}], "n": None}
    )
    answer = await stranger.post(
        f"/f/{form.key}", content=body.encode("utf-8", "surrogatepass"), headers={"content-type": "application/json"}
    )
    assert answer.status_code in {200, 422}, answer.text
    answer = await stranger.post(
        f"/f/{form.key}", content=body.encode("ascii", "backslashreplace"), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 200, answer.text
    (request,) = await rows(database, FormRequest)
    for text in (request.name, request.text, (await rows(database, Deal))[0].title):
        assert "\u202e" not in text
        assert "\x00" not in text
        assert "<script>" in text
    page = await (await browser("olena")).get(f"/deals/{request.deal_id}")
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"[1, 2]", "application/json"),
        (b"{", "application/json"),
        (b'{"phone": ' + b"[" * 5000, "application/json"),
        (b"", "application/json"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"phone=%ff%00", "application/x-www-form-urlencoded"),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"phone=1", "application/x-www-form-urlencoded; charset=punycode"),
        (b"<phone>1</phone>", "application/xml"),
    ],
)
async def test_bodies_that_are_none(
    stranger: AsyncClient, made: Any, database: Database, body: bytes, kind: str
) -> None:
    form = await made()
    answer = await stranger.post(f"/f/{form.key}", content=body, headers={"content-type": kind})
    assert answer.status_code in {400, 415, 422}, answer.text
    assert not answer.json()["ok"]
    assert not await rows(database, FormRequest)


async def test_a_huge_body_is_refused(stranger: AsyncClient, made: Any, database: Database) -> None:
    form = await made()
    answer = await stranger.post(f"/f/{form.key}", data=ROBERT | {"message": "x" * 100_000})
    assert answer.status_code == 413
    assert not await rows(database, FormRequest)


async def test_a_proof_of_work_is_asked_and_used_once(
    database: Database, stranger: AsyncClient, made: Any, clock: SetClock
) -> None:
    form = await made(asks_proof=True, per_minute=100)
    page = await stranger.get(f"/f/{form.key}/part", headers={"origin": SITE})
    task = page.text.partition('data-task="')[2].partition('"')[0]
    answer = next(str(n) for n in range(10**6) if used_by(form.secret, task, str(n), clock.now) is not None)
    refused = await stranger.post(f"/f/{form.key}", data=ROBERT)
    assert (refused.status_code, list(refused.json()["errors"])) == (422, [""])
    proved = {"proof": task, "proof_answer": answer}
    assert (await stranger.post(f"/f/{form.key}", data=ROBERT | proved)).status_code == 200
    other = ROBERT | {"phone": "067 111 22 99"}
    again = await stranger.post(f"/f/{form.key}", data=other | proved)
    assert (again.status_code, again.json()["code"]) == (409, "forms.proof_used")
    assert again.json()["task"].count(".") == 2
    clock.forward(hours=3)
    assert (await stranger.post(f"/f/{form.key}", data=other | proved)).status_code == 422
    assert len(await rows(database, FormRequest)) == 1


async def test_files_go_to_the_deal_by_the_rules_of_files(database: Database, stranger: AsyncClient, made: Any) -> None:
    form = await made(fields=(*ASKED, FormField("file", "plan", "Plan")))
    files = {"plan": ("../../<b>plan.pdf", b"%PDF-1.7 a plan", "text/html")}
    answer = await stranger.post(f"/f/{form.key}/files", data=ROBERT, files=files)
    assert answer.status_code == 200, answer.text
    (file,) = await rows(database, AttachedFile)
    assert (file.name, file.content_type, file.deal_id, file.by_id) == ("<b>plan.pdf", "application/pdf", 1, None)
    empty = await stranger.post(f"/f/{form.key}/files", data=ROBERT | {"name": "Y"}, files={"plan": ("x", b"", "")})
    assert (empty.status_code, list(empty.json()["errors"])) == (422, ["plan"])
    other = await made(name="Other")
    assert (await stranger.post(f"/f/{other.key}/files", data=ROBERT, files=files)).status_code == 422


async def test_strangers_are_not_told_why_the_server_takes_no_file(
    settings: Settings, database: Database, redis: Redis, clock: SetClock, made: Any, tmp_path: Path
) -> None:
    """The scanner is away. Its path and what the system says of it are for the log and for doctor."""
    form = await made(fields=(*ASKED, FormField("file", "plan", "Plan")))
    away = settings.model_copy(update={"files_scanner": str(tmp_path / "scan-away")})
    files = {"plan": ("plan.pdf", b"%PDF-1.7 a plan", "application/pdf")}
    transport = ASGITransport(create_app(away, database, redis, clock=clock), raise_app_exceptions=False)
    for accept in ("application/json", "text/html"):
        async with AsyncClient(transport=transport, base_url=HOME, headers={"accept": accept}) as client:
            with capture_logs() as said:
                answer = await client.post(f"/f/{form.key}/files", data=ROBERT, files=files)
        assert answer.status_code == 503
        assert "The file cannot be taken in now." in answer.text
        for told in ("scan-away", "No such file", "administrator", "virus"):
            assert told not in answer.text, accept
        assert any("scan-away" in str(each.get("why")) for each in said)
    assert await rows(database, FormRequest) == []


async def test_what_the_form_does_not_know_is_kept(database: Database, stranger: AsyncClient, made: Any) -> None:
    form = await made()
    await stranger.post(f"/f/{form.key}", json=ROBERT | {"size": ["M", "L"], "agree": True, "utm_source": "fb"})
    (request,) = await rows(database, FormRequest)
    assert ["size", "M, L"] in request.answers
    assert ["agree", "1"] in request.answers
    assert (request.source, request.utm) == ("fb", {"utm_source": "fb"})


async def test_an_unknown_and_an_archived_form_are_not_there(
    stranger: AsyncClient, made: Any, database: Database, clock: SetClock
) -> None:
    from pbxcrm.forms.form_actions import archive_form

    form = await made()
    async with database.write() as session:
        await archive_form(session, admin(5), form.id, clock.now, back=False)
    for key in (form.key, "nobody-has-this"):
        for path in (f"/f/{key}", f"/f/{key}/part"):
            assert (await stranger.get(path)).status_code == 404
        assert (await stranger.post(f"/f/{key}", data=ROBERT)).status_code == 404


async def test_the_name_that_colleagues_gave_a_form_is_not_shown_to_visitors(stranger: AsyncClient, made: Any) -> None:
    form = await made(name="Ours, inner", title="")
    for path in (f"/f/{form.key}", f"/f/{form.key}/thanks"):
        page = await stranger.get(path, headers={"accept": "text/html"})
        assert page.status_code == 200
        assert "Ours, inner" not in page.text


async def test_a_page_without_scripts_works(stranger: AsyncClient, made: Any, database: Database) -> None:
    form = await made(title="Write to us", thanks="We call you.", language="uk")
    page = await stranger.get(
        f"/f/{form.key}?utm_source=flyer", headers={"accept": "text/html", "referer": "https://www.google.com/"}
    )
    assert "Write to us" in page.text
    assert 'lang="uk"' in page.text
    hidden = {
        name: page.text.partition(f'name="{name}" value="')[2].partition('"')[0] for name in ("page", "referrer", "key")
    }
    for _ in range(2):  # pressed twice
        sent = await stranger.post(
            f"/f/{form.key}", data=ROBERT | hidden, headers={"accept": "text/html", "origin": HOME}
        )
        assert (sent.status_code, sent.headers["location"]) == (303, f"/f/{form.key}/thanks")
    assert "We call you." in (await stranger.get(sent.headers["location"], headers={"accept": "text/html"})).text
    (request,) = await rows(database, FormRequest)
    assert (request.source, request.referrer) == ("flyer", "https://www.google.com/")
