"""Toasts, undo, and going elsewhere, as htmx and a plain browser get them."""

import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.integration.web.conftest import Browsers, SetClock
from web.answers import redirect, toast, with_toast
from web.app import create_app
from web.parts import wants_fragment
from web.rendering import render
from web.routing import page

HTMX = {"hx-request": "true", "hx-request-type": "partial"}


async def done(request: Request) -> Response:
    return toast(request, "Moved <b>", undo="/undo/1")


async def both(request: Request) -> Response:
    rail = render(request, "shell/_rail.html")
    return with_toast(request, rail, "Saved & done", tone="red")


async def elsewhere(request: Request) -> Response:
    return redirect(request, "/profile", done="saved")


async def kind(request: Request) -> Response:
    return Response("part" if wants_fragment(request) else "page")


@pytest.fixture
async def app(app: Starlette, settings: Settings, database: Database, redis: Redis, clock: SetClock) -> Starlette:
    assert app.state.parts.db is database
    paths = {"/t/done": done, "/t/both": both, "/t/elsewhere": elsewhere, "/t/kind": kind}
    return create_app(
        settings, database, redis, clock=clock, more_routes=[page(path, act, needs=None) for path, act in paths.items()]
    )


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Answers do not depend on the database."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


async def test_a_toast_goes_among_the_toasts_with_its_undo(browser: Browsers) -> None:
    answer = await (await browser("olena")).get("/t/done", headers=HTMX)
    assert (answer.headers["hx-retarget"], answer.headers["hx-reswap"]) == ("#toasts", "beforeend")
    assert "Moved &lt;b&gt;" in answer.text
    assert 'hx-post="/undo/1"' in answer.text


async def test_a_fragment_can_bring_a_toast_along(browser: Browsers) -> None:
    answer = await (await browser("olena")).get("/t/both")
    assert answer.text.startswith("<nav")
    assert '<hx-partial hx-target="#toasts" hx-swap="beforeend"><div class="toast red" role="alert"' in answer.text
    assert "Saved &amp; done" in answer.text


async def test_going_elsewhere_works_with_and_without_htmx(browser: Browsers) -> None:
    olena = await browser("olena")
    plain = await olena.get("/t/elsewhere")
    assert (plain.status_code, plain.headers["location"]) == (303, "/profile")
    htmx = await olena.get("/t/elsewhere", headers=HTMX)
    assert (htmx.status_code, htmx.headers["hx-redirect"]) == (200, "/profile")
    assert "pbxcrm_done=saved" in htmx.headers["set-cookie"]


async def test_a_word_is_said_once(browser: Browsers) -> None:
    olena = await browser("olena")
    await olena.get("/t/elsewhere")
    assert "Saved." in (await olena.get("/profile")).text
    assert "Saved." not in (await olena.get("/profile")).text
    await olena.post("/logout")
    assert "You have been logged out." in (await olena.get("/login")).text
    assert "You have been logged out." not in (await olena.get("/login")).text


async def test_ids_that_no_database_has_do_not_exist(browser: Browsers) -> None:
    olena = await browser("olena")
    for number in (2**63, 10**30):
        for path in ("/calls/{}", "/calls/{}/recording", "/deals/{}", "/callbacks/{}"):
            assert (await olena.get(path.format(number))).status_code == 404, path


async def test_a_word_that_is_not_in_the_list_cannot_be_said(browser: Browsers, app: Starlette) -> None:
    request = Request({"type": "http", "app": app, "headers": [], "method": "GET", "path": "/"})
    with pytest.raises(KeyError):
        redirect(request, "/profile", done="anything")


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({}, "page"),
        (HTMX, "part"),
        ({"hx-request": "true", "hx-request-type": "full"}, "page"),
        ({**HTMX, "hx-boosted": "true"}, "page"),
        ({**HTMX, "hx-history-restore-request": "true"}, "page"),
    ],
)
async def test_who_gets_a_part_and_who_a_page(browser: Browsers, headers: dict[str, str], answer: str) -> None:
    assert (await (await browser("olena")).get("/t/kind", headers=headers)).text == answer
