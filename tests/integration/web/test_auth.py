"""Logging in and out, sessions as rows that can be revoked, the throttle."""

import re

import pytest
from sqlmodel import select

from pbxcrm.people.models import LoginSession
from pbxcrm.shared.db import Database
from tests.integration.web.conftest import PASSWORD, Browsers, SetClock


async def test_who_is_not_logged_in_is_sent_to_log_in_and_back(browser: Browsers) -> None:
    stranger = await browser()
    answer = await stranger.get("/people?x=1&y=2")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fpeople%3Fx%3D1%26y%3D2")
    page = await stranger.get(answer.headers["location"])
    assert 'value="/people?x=1&amp;y=2"' in page.text
    data = {"login": "IRYNA ", "password": PASSWORD, "next": "/people?x=1&y=2"}
    inside = await stranger.post("/login", data=data)
    assert (inside.status_code, inside.headers["location"]) == (303, "/people?x=1&y=2")
    assert (await stranger.get("/people")).status_code == 200


async def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(browser: Browsers, database: Database) -> None:
    someone = await browser()
    answer = await someone.post("/login", data={"login": "olena", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    token = cookie.partition("=")[2].partition(";")[0]
    assert {part.strip().lower() for part in cookie.split(";")} >= {"httponly", "samesite=lax", "path=/"}
    async with database.read() as session:
        row = (await session.exec(select(LoginSession))).one()
    assert len(row.token_hash) == 64
    assert token not in row.token_hash


async def test_over_https_the_cookie_is_bound_to_this_host(browser: Browsers) -> None:
    someone = await browser()
    answer = await someone.post(
        "https://crm.example/login",
        data={"login": "olena", "password": PASSWORD},
        headers={"origin": "https://crm.example"},
    )
    assert answer.headers["set-cookie"].startswith("__Host-pbxcrm_session=")
    assert "Secure" in answer.headers["set-cookie"]


async def test_another_site_is_never_the_target(browser: Browsers) -> None:
    someone = await browser()
    data = {"login": "olena", "password": PASSWORD, "next": "//evil.example/"}
    assert (await someone.post("/login", data=data)).headers["location"] == "/"


async def test_a_wrong_password_keeps_the_login_and_says_so(browser: Browsers) -> None:
    someone = await browser()
    answer = await someone.post("/login", data={"login": "olena", "password": "no"})
    assert answer.status_code == 422
    assert 'value="olena"' in answer.text
    assert "The login or the password is wrong." in answer.text
    assert re.findall(r'<input[^>]*name="(\w+)"[^>]*autofocus', answer.text) == ["password"]
    assert "set-cookie" not in answer.headers


async def test_guessing_is_slowed_down_and_comes_back_by_itself(browser: Browsers, clock: SetClock) -> None:
    someone = await browser()
    for _ in range(10):
        assert (await someone.post("/login", data={"login": "olena", "password": "no"})).status_code == 422
    right = {"login": "olena", "password": PASSWORD}
    throttled = await someone.post("/login", data=right)
    assert (throttled.status_code, throttled.headers["retry-after"]) == (429, "10")
    assert "Too many wrong passwords. Try again in 10 s." in throttled.text
    clock.forward(seconds=11)
    assert (await someone.post("/login", data=right)).status_code == 303


async def test_a_browser_is_known_again_after_it_was_logged_out(browser: Browsers) -> None:
    """What others guess meanwhile, also from the same address, does not keep it out."""
    olena, guesser = await browser("olena", by_form=True), await browser()
    await olena.post("/logout")
    wrong = [await guesser.post("/login", data={"login": "olena", "password": "no"}) for _ in range(31)]
    assert wrong[-1].status_code == 429
    assert (await guesser.post("/login", data={"login": "olena", "password": PASSWORD})).status_code == 429
    assert (await olena.post("/login", data={"login": "olena", "password": PASSWORD})).status_code == 303


async def test_logging_out_ends_the_session_not_only_the_cookie(browser: Browsers) -> None:
    olena = await browser("olena", by_form=True)
    cookies = dict(olena.cookies)
    answer = await olena.post("/logout")
    assert answer.headers["location"] == "/login"
    thief = await browser()
    thief.cookies.update(cookies)
    assert (await thief.get("/profile")).status_code == 303
    assert "You have been logged out." not in (await thief.get("/login")).text


async def test_a_session_expires(browser: Browsers, clock: SetClock) -> None:
    olena = await browser("olena", by_form=True)
    clock.forward(days=15)
    assert (await olena.get("/profile")).status_code == 303


async def test_one_browser_is_logged_out_from_another(browser: Browsers, database: Database) -> None:
    here, there = await browser("olena", by_form=True), await browser("olena", by_form=True)
    async with database.read() as session:
        rows = (await session.exec(select(LoginSession).order_by(LoginSession.id))).all()  # type: ignore[arg-type]
    assert (await here.post(f"/profile/sessions/{rows[1].id}/end")).status_code == 303
    assert (await there.get("/profile")).status_code == 303
    assert (await here.get("/profile")).status_code == 200


async def test_a_colleagues_session_is_not_ones_own(browser: Browsers, database: Database) -> None:
    olena, dmytro = await browser("olena", by_form=True), await browser("dmytro", by_form=True)
    async with database.read() as session:
        row = (await session.exec(select(LoginSession).order_by(LoginSession.id))).all()[-1]  # type: ignore[arg-type]
    assert (await olena.post(f"/profile/sessions/{row.id}/end")).status_code == 404
    assert (await dmytro.get("/profile")).status_code == 200


async def test_where_one_logged_in_last_stands_first(browser: Browsers, clock: SetClock) -> None:
    for agent in ("Firefox/130.0", "Chrome/140.0.0.0 Safari/537.36"):
        clock.forward(hours=1)
        await browser("olena", by_form=True, **{"user-agent": agent})
    shown = (await (await browser("olena", by_form=True, **{"user-agent": "Edg/140.0"})).get("/profile")).text
    assert shown.index("Edge") < shown.index("Chrome") < shown.index("Firefox")


async def test_log_out_everywhere_else(browser: Browsers) -> None:
    first, second, third = [await browser("olena", by_form=True) for _ in range(3)]
    await first.post("/profile/sessions/end-others")
    assert [(await one.get("/profile")).status_code for one in (first, second, third)] == [200, 303, 303]


async def test_a_new_password_logs_the_others_out(browser: Browsers) -> None:
    here, there = await browser("olena", by_form=True), await browser("olena", by_form=True)
    data = {"old": PASSWORD, "new": "new password", "again": "new password"}
    assert (await here.post("/profile/password", data={**data, "again": "other"})).status_code == 422
    wrong = await here.post("/profile/password", data={**data, "old": "no"})
    assert "This is not your present password." in wrong.text
    assert (await here.post("/profile/password", data=data)).status_code == 303
    assert (await here.get("/profile")).status_code == 200
    assert (await there.get("/profile")).status_code == 303
    assert (await there.post("/login", data={"login": "olena", "password": "new password"})).status_code == 303


async def test_a_part_of_a_page_is_refused_and_the_page_stays(browser: Browsers) -> None:
    """What is typed on it would be lost otherwise; the page itself decides (js/session.js)."""
    stranger = await browser()
    answer = await stranger.get("/shell/rail", headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-reswap"], "hx-redirect" in answer.headers) == (401, "none", False)
    page = await stranger.get("/people?team=2")
    assert page.headers["location"] == "/login?next=%2Fpeople%3Fteam%3D2"
    stream = await stranger.get("/live", headers={"accept": "text/event-stream"})
    assert stream.status_code == 401


@pytest.mark.parametrize(
    ("login", "path", "status"),
    [
        ("olena", "/people", 403),
        ("olena", "/status", 403),
        ("petro", "/people", 200),
        ("petro", "/people/new", 403),
        ("iryna", "/people", 200),
        ("iryna", "/people/1", 403),
        ("iryna", "/status", 200),
        ("admin", "/people/1", 200),
        ("admin", "/people/999", 404),
    ],
)
async def test_roles_open_doors(browser: Browsers, login: str, path: str, status: int) -> None:
    assert (await (await browser(login, by_form=True)).get(path)).status_code == status
