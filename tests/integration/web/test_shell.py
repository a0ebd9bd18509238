"""The frame of the pages, errors in plain words, people and status."""

import re
from datetime import timedelta

import pytest
from httpx2 import ASGITransport, AsyncClient
from redis.asyncio import Redis
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pbxcrm.access import Permission
from pbxcrm.pbx.models import PbxStatus
from pbxcrm.people.directory import load_directory
from pbxcrm.people.queries import get_user_by_login
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict
from pbxcrm.shared.settings import Settings
from tests.integration.web.conftest import HOME, PASSWORD, Browsers, SetClock
from web.app import create_app
from web.routing import UndeclaredRoute, page

HTMX = {"hx-request": "true", "hx-request-type": "partial"}


async def test_only_sections_one_may_open_are_in_the_rail(browser: Browsers) -> None:
    seller = (await (await browser("olena")).get("/profile")).text
    admin = (await (await browser("admin")).get("/profile")).text
    assert 'href="/people"' not in seller
    assert 'href="/people"' in admin
    assert 'href="/status"' in admin


@pytest.mark.parametrize(("language", "word"), [("uk-UA,uk;q=0.9", "Увійти"), ("ru", "Войти"), ("fr", "Log in")])
async def test_before_login_the_browser_chooses_the_language(browser: Browsers, language: str, word: str) -> None:
    stranger = await browser(**{"accept-language": language})
    assert f"<h1>{word}</h1>" in (await stranger.get("/login")).text


async def test_the_language_of_the_login_page_can_be_chosen(browser: Browsers) -> None:
    stranger = await browser()
    await stranger.post("/language", data={"language": "uk", "next": "/"})
    assert '<html lang="uk"' in (await stranger.get("/login")).text
    await stranger.post("/language", data={"language": "xx", "next": "/"})
    assert '<html lang="uk"' in (await stranger.get("/login")).text


async def test_language_and_theme_are_kept_with_the_person(browser: Browsers) -> None:
    olena = await browser("olena", **{"accept-language": "en"})
    answer = await olena.post("/profile/look", data={"language": "ru"}, headers={"referer": f"{HOME}/profile?x=1"})
    assert answer.headers["location"] == "/profile?x=1"
    await olena.post("/profile/look", data={"theme": "dark"}, headers={"referer": "http://evil.example/profile"})
    page_of_hers = (await olena.get("/profile")).text
    assert '<html lang="ru" data-theme="dark">' in page_of_hers
    assert "Ваш профиль" in page_of_hers


async def test_what_was_done_is_said_once_on_the_next_page(browser: Browsers) -> None:
    olena = await browser("olena")
    data = {"name": "Olena S.", "language": "en", "theme": "light", "popup": "off", "sound": "1"}
    saved = await olena.post("/profile", data=data)
    assert saved.status_code == 303
    assert 'data-say="Saved."' in (await olena.get("/profile")).text
    wrong = await olena.post("/profile", data={**data, "name": " "})
    assert wrong.status_code == 422
    assert "Write a name of up to 100 characters." in wrong.text


async def test_a_page_is_compressed_for_who_asks_for_that(browser: Browsers) -> None:
    olena = await browser("olena")
    plain, compressed = [await olena.get("/profile", headers={"accept-encoding": how}) for how in ("identity", "gzip")]
    assert "content-encoding" not in plain.headers
    assert compressed.headers["content-encoding"] == "gzip"
    assert int(compressed.headers["content-length"]) < len(plain.content) / 2
    assert len(compressed.text) == len(plain.text)


async def test_nobody_can_put_words_in_our_mouth(browser: Browsers) -> None:
    olena = await browser("olena")
    olena.cookies.set("pbxcrm_done", "You won a prize")
    assert "prize" not in (await olena.get("/profile")).text


async def test_an_unknown_page_keeps_the_frame_and_says_what_to_do(browser: Browsers) -> None:
    answer = await (await browser("olena")).get("/nowhere")
    assert answer.status_code == 404
    assert "There is no such page" in answer.text
    assert 'id="rail"' in answer.text
    stranger = await (await browser()).get("/nowhere")
    assert stranger.status_code == 404
    assert 'id="rail"' not in stranger.text


async def broken(_request: Request) -> Response:
    raise RuntimeError("secret detail")


async def busy(_request: Request) -> Response:
    raise Conflict("x.taken", "{who} has it.", who="<b>Dmytro</b>")


async def away(request: Request) -> Response:
    async with request.app.state.parts.db.read():
        raise OperationalError("SELECT 1", {}, Exception("the server closed the connection unexpectedly"))


@pytest.fixture
async def app(app: Starlette, settings: Settings, database: Database, redis: Redis, clock: SetClock) -> Starlette:
    """The application with routes that fail in each way."""
    needs = Permission.OWN_PROFILE
    more = [
        page("/test/broken", broken, needs=needs),
        page("/test/busy", busy, needs=needs),
        page("/test/away", away, needs=needs),
    ]
    assert app.state.parts.db is database
    return create_app(settings, database, redis, clock=clock, more_routes=more)


async def test_a_fault_of_ours_has_a_number_and_no_details(browser: Browsers) -> None:
    answer = await (await browser("olena")).get("/test/broken")
    assert answer.status_code == 500
    assert "Number of the fault" in answer.text
    assert "secret detail" not in answer.text
    assert 'id="rail"' in answer.text


async def test_errors_of_the_business_are_escaped_sentences(browser: Browsers) -> None:
    olena = await browser("olena")
    answer = await olena.get("/test/busy")
    assert answer.status_code == 409
    assert "&lt;b&gt;Dmytro&lt;/b&gt; has it." in answer.text
    toast = await olena.get("/test/busy", headers=HTMX)
    assert (toast.status_code, toast.headers["hx-retarget"]) == (409, "#toasts")
    assert "<html" not in toast.text
    assert "&lt;b&gt;Dmytro&lt;/b&gt; has it." in toast.text
    program = await olena.get("/test/busy", headers={"accept": "application/json", "accept-language": "uk"})
    assert program.headers["content-type"] == "application/problem+json"
    assert (program.json()["code"], program.json()["status"]) == ("x.taken", 409)


async def test_a_database_that_is_away_is_said_so(browser: Browsers) -> None:
    answer = await (await browser("olena")).get("/test/away")
    assert answer.status_code == 503
    assert "A part we need is away" in answer.text


@pytest.mark.parametrize("url", ["sqlite:////no/such/folder.db", "postgresql://postgres@127.0.0.1:1/pbxcrm"])
async def test_a_database_that_is_away_before_anybody_is_known(
    settings: Settings, redis: Redis, clock: SetClock, url: str
) -> None:
    gone = Database(url)
    transport = ASGITransport(create_app(settings, gone, redis, clock=clock))
    async with AsyncClient(transport=transport, base_url=HOME, cookies={"pbxcrm_session": "x"}) as client:
        shown = await client.get("/profile", headers={"accept": "text/html"})
        data = await client.get("/api/v1/deals", headers={"authorization": "Bearer x"})
    await gone.close()
    assert (shown.status_code, data.status_code) == (503, 503)
    assert "A part we need is away" in shown.text
    assert data.json()["code"] == "web.away"


async def test_an_application_with_an_undeclared_route_does_not_start(
    settings: Settings, database: Database, redis: Redis
) -> None:
    with pytest.raises(UndeclaredRoute):
        create_app(settings, database, redis, more_routes=[Route("/open", broken)])


async def test_static_files_are_kept_for_ever_and_nothing_else_is_served(browser: Browsers, app: Starlette) -> None:
    someone = await browser()
    address = app.state.parts.static.url("css/tokens.css")
    answer = await someone.get(address)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    old = await someone.get("/static/0123456789ab/css/tokens.css")
    assert (old.status_code, old.headers["cache-control"]) == (200, "no-cache")
    for path in ("../app.py", "%2e%2e/app.py", "css/../../app.py", "nothing.css"):
        assert (await someone.get(f"/static/{app.state.parts.static.version}/{path}")).status_code == 404


async def test_a_person_is_added_and_edited(browser: Browsers, database: Database) -> None:
    admin = await browser("admin")
    data = {
        "name": "Марта Білик",
        "login": "marta",
        "role": "seller",
        "team": "",
        "extensions": "104; 105 106",
        "password": PASSWORD,
    }
    assert (await admin.post("/people/new", data=data)).headers["location"] == "/people"
    async with database.read() as session:
        marta = await get_user_by_login(session, "marta")
        assert marta is not None
        assert (await load_directory(session)).extensions[marta.id or 0] == ["104", "105", "106"]
    edited = {"name": "Марта", "role": "manager", "team": "1", "extensions": "104", "is_active": "1", "password": ""}
    assert (await admin.post(f"/people/{marta.id}", data=edited)).status_code == 303
    page_of_people = (await admin.get("/people")).text
    assert "Марта Білик" not in page_of_people
    assert (await browser("olena")) is not None
    new = await browser()
    assert (await new.post("/login", data={"login": "marta", "password": PASSWORD})).status_code == 303


async def test_an_extension_belongs_to_one_person_and_the_form_keeps_what_was_typed(browser: Browsers) -> None:
    admin = await browser("admin")
    data = {"name": "Марта", "login": "marta", "role": "seller", "extensions": "104, 101", "password": PASSWORD}
    refused = await admin.post("/people/new", data=data, headers=HTMX)
    assert refused.status_code == 422
    assert "<html" not in refused.text
    assert "Extension 101 belongs to Олена Шевченко." in refused.text
    assert 'value="104, 101"' in refused.text
    assert 'aria-describedby="f-extensions-error f-extensions-hint"' in refused.text
    assert PASSWORD not in refused.text
    several = {
        "name": "",
        "login": "не так",
        "role": "seller",
        "extensions": "10, 1/x",
        "mobiles": "7",
        "password": "x",
    }
    said = (await admin.post("/people/new", data=several, headers=HTMX)).text
    for field in ("name", "login", "extensions", "mobiles", "password"):
        assert f'id="f-{field}-error"' in said, field
    said = (await admin.post("/people/new", data={**several, "extensions": "101", "mobiles": ""}, headers=HTMX)).text
    assert ('id="f-name-error"' in said, "Extension 101 belongs to Олена Шевченко." in said) == (True, True)
    taken = await admin.post("/people/new", data={**data, "login": "olena", "extensions": ""}, headers=HTMX)
    assert "The login “olena” is taken." in taken.text
    accepted = await admin.post("/people/new", data={**data, "extensions": "104"}, headers=HTMX)
    assert accepted.headers["hx-redirect"] == "/people"


async def test_who_is_switched_off_is_out_at_once(browser: Browsers) -> None:
    admin, olena = await browser("admin"), await browser("olena")
    await admin.post(
        "/people/1", data={"name": "Olena", "role": "seller", "team": "1", "extensions": "101", "password": ""}
    )
    assert (await olena.get("/profile")).status_code == 303
    refused = await olena.post("/login", data={"login": "olena", "password": PASSWORD})
    assert refused.status_code == 422
    assert "switched off" in (await admin.get("/people")).text


async def test_the_last_administrator_cannot_be_lost(browser: Browsers) -> None:
    admin = await browser("admin")
    answer = await admin.post("/people/5", data={"name": "A", "role": "seller", "extensions": "", "is_active": "1"})
    assert answer.status_code == 422
    assert "This is the last administrator" in answer.text


async def test_teams(browser: Browsers) -> None:
    admin = await browser("admin")
    assert (await admin.post("/teams/new", data={"name": "Опт", "manager_id": "3"})).status_code == 303
    assert "Опт" in (await admin.get("/people")).text
    twice = await admin.post("/teams/new", data={"name": "Опт", "manager_id": ""})
    assert twice.status_code == 422
    assert "There is a team" in twice.text
    seller = await admin.post("/teams/1", data={"name": "Sales", "manager_id": "1"})
    assert "A team is led by somebody with the role manager or admin." in seller.text
    assert (await admin.get("/teams/99")).status_code == 404
    assert (await admin.post("/teams/3", data={"name": "Опт", "manager_id": ""})).status_code == 303
    page = (await admin.get("/people")).text
    assert page.count("what burns goes to Ірина Мельник") == 1  # she is in Sales, which nobody leads
    assert page.count("what burns goes to administrators") == 2  # no manager sees the others


async def test_hostile_names_stay_words(browser: Browsers) -> None:
    admin = await browser("admin")
    name = "<img src=x onerror=alert(1)>\u202e\"'"
    data = {"name": name, "login": "evil", "role": "seller", "extensions": "", "password": PASSWORD}
    assert (await admin.post("/people/new", data=data)).status_code == 303
    listed = (await admin.get("/people")).text
    assert "<img" not in listed
    assert "&lt;img src=x" in listed


async def test_status_in_plain_words(browser: Browsers, database: Database, clock: SetClock) -> None:
    params = {"host": "10.0.0.5", "port": "5038", "why": "refused", "retry_seconds": "8"}
    async with database.write() as session:
        session.add(
            PbxStatus(pbx="branch", state="unreachable", code="unreachable", params=params, reported_at=clock())
        )
        session.add(PbxStatus(pbx="main", state="listening", code="listening", reported_at=clock(), lag_seconds=0.02))
        silent_since = clock() - timedelta(seconds=90)  # as for /readyz and doctor
        session.add(PbxStatus(pbx="old", state="listening", code="listening", reported_at=silent_since))
        session.add(PbxStatus(pbx="slow", state="listening", code="listening", reported_at=clock(), lag_seconds=9.0))
    answer = (await (await browser("iryna")).get("/status")).text
    assert "Something is broken." in answer
    assert "Nobody answers at 10.0.0.5:5038 (refused). Trying again in 8 s." in answer
    assert "Its listener has said nothing for 1\u00a0min. Start it: pbxcrm listen, or pbxcrm run." in answer
    assert "Events reach the database 9.0 s late" in answer
    assert "Answers in" in answer


async def test_status_without_redis(browser: Browsers, app: Starlette, redis: Redis) -> None:
    iryna = await browser("iryna")
    await redis.connection_pool.disconnect()
    redis.connection_pool.connection_kwargs["path"] = "/nowhere/redis.sock"
    answer = await iryna.get("/status")
    assert answer.status_code == 200
    assert "Nothing is lost, but pages do not follow by themselves" in answer.text


@pytest.mark.parametrize(
    ("path", "section"),
    [
        ("/companies", "/contacts"),
        ("/numbers", "/contacts"),
        ("/settings/callbacks", "/settings"),
        ("/settings/calendars", "/settings"),
        ("/teams/new", "/people"),
    ],
)
async def test_a_page_below_a_section_lights_it(browser: Browsers, path: str, section: str) -> None:
    answer = await (await browser("admin")).get(path)
    assert answer.status_code == 200
    lit = re.findall(r'<a[^>]*href="([^"]+)"[^>]*aria-current="page"[^>]*title=', answer.text)
    assert lit == [section]


async def test_the_rail_refreshes_itself_where_it_stands(browser: Browsers) -> None:
    answer = await (await browser("admin")).get("/shell/rail?at=/status", headers=HTMX)
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert 'href="/status" data-go="s" aria-current="page"' in answer.text
