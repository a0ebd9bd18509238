"""API tokens: made, named, shown once, listed with last use, revoked by their owner and by the administrator, ended."""

import re

from httpx2 import ASGITransport, AsyncClient
from starlette.applications import Starlette

from tests.integration.web.conftest import HOME, PASSWORD, Browsers, SetClock

MADE = {"token_name": "1C на сервері", "days": "30"}


def secret_of(page: str) -> str:
    found = re.search(r"<code[^>]*>(pbx_[\w-]+)</code>", page)
    assert found
    return found[1]


async def asks(app: Starlette, token: str, path: str = "/api/v1/tokens", method: str = "GET") -> tuple[int, str]:
    async with AsyncClient(transport=ASGITransport(app), base_url=HOME) as program:
        answer = await program.request(method, path, headers={"authorization": f"Bearer {token}"})
        return answer.status_code, answer.text


async def page_of_olena(admin: AsyncClient) -> str:
    for path in re.findall(r"/people/\d+", (await admin.get("/people")).text):
        if "Олена" in (await admin.get(path)).text:
            return str(path)
    raise AssertionError("she is not there")


async def test_a_token_is_shown_once_and_works_until_it_is_revoked(browser: Browsers, app: Starlette) -> None:
    olena = await browser("olena")
    page = await olena.post("/profile/tokens", data=MADE)
    secret = secret_of(page.text)
    assert "never used" in page.text
    shown = (await olena.get("/profile")).text
    assert "1C на сервері" in shown
    assert secret not in shown
    assert (await asks(app, secret))[0] == 200
    shown = (await olena.get("/profile")).text
    assert "last used" in shown
    address = re.search(r'action="(/profile/tokens/\d+/end)"', shown)
    assert address
    assert (await (await browser("dmytro")).post(address[1])).status_code == 404
    assert (await asks(app, secret))[0] == 200
    assert (await olena.post(address[1])).status_code == 303
    assert (await asks(app, secret))[0] == 401
    assert "There are no tokens." in (await olena.get("/profile")).text


async def test_it_ends_by_itself(browser: Browsers, app: Starlette, clock: SetClock) -> None:
    olena = await browser("olena")
    secret = secret_of((await olena.post("/profile/tokens", data=MADE)).text)
    for_ever = secret_of((await olena.post("/profile/tokens", data={"token_name": "For ever", "days": ""})).text)
    clock.forward(days=29)
    assert (await asks(app, secret))[0] == 200
    clock.forward(days=2)
    assert (await asks(app, secret))[0] == 401
    assert (await asks(app, for_ever))[0] == 200
    assert "expired" in (await (await browser("olena")).get("/profile")).text


async def test_what_is_wrong_is_said_at_its_field(browser: Browsers) -> None:
    olena = await browser("olena")
    answer = await olena.post("/profile/tokens", data={"token_name": " ", "days": "30"})
    assert answer.status_code == 422
    assert "Write what the token is for" in answer.text
    answer = await olena.post("/profile/tokens", data={"token_name": "x", "days": "99999"})
    assert (answer.status_code, "Choose one of these." in answer.text) == (422, True)


async def test_the_administrator_sees_and_ends_everybodys(browser: Browsers, app: Starlette) -> None:
    olena, admin = await browser("olena"), await browser("admin")
    secret = secret_of((await olena.post("/profile/tokens", data=MADE)).text)
    person = await page_of_olena(admin)
    page = (await admin.get(person)).text
    assert "1C на сервері" in page
    assert "pbx_" not in page
    own = secret_of((await admin.post("/profile/tokens", data=MADE)).text)
    _status, listed = await asks(app, own)
    assert '"user":"olena"' in listed
    assert '"user":"admin"' in listed
    assert '"user":"admin"' not in (await asks(app, secret))[1]
    address = re.search(rf'action="({person}/tokens/\d+/end)"', page)
    assert address
    assert (await olena.post(address[1])).status_code == 403
    assert (await admin.post(address[1])).status_code == 303
    assert (await asks(app, secret))[0] == 401
    again = secret_of((await olena.post("/profile/tokens", data=MADE)).text)
    number = re.search(r'"id":(\d+)[^}]*"user":"olena"', (await asks(app, own))[1])
    assert number
    assert (await asks(app, own, f"/api/v1/tokens/{number[1]}", "DELETE"))[0] == 204
    assert (await asks(app, again))[0] == 401


async def test_tokens_end_with_the_password(browser: Browsers, app: Starlette) -> None:
    olena, admin = await browser("olena"), await browser("admin")
    first = secret_of((await olena.post("/profile/tokens", data=MADE)).text)
    data = {"old": PASSWORD, "new": "new password", "again": "new password"}
    assert (await olena.post("/profile/password", data=data)).status_code == 303
    assert (await asks(app, first))[0] == 401
    second = secret_of((await olena.post("/profile/tokens", data=MADE)).text)
    person = await page_of_olena(admin)
    form = {"name": "Олена", "role": "seller", "extensions": "101", "is_active": "1", "password": "set by the admin"}
    assert (await admin.post(person, data=form)).status_code == 303
    assert (await asks(app, second))[0] == 401


async def test_two_tokens_of_a_person_have_two_names(browser: Browsers) -> None:
    olena = await browser("olena")
    assert (await olena.post("/profile/tokens", data=MADE)).status_code == 200
    again = await olena.post("/profile/tokens", data=MADE)
    assert again.status_code == 422
    assert "There is a token of this name already" in again.text
