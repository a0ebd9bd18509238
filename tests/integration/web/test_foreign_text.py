"""What comes from outside is refused in plain words or does what it can; it never makes a 500 or a 503."""

import asyncio

import pytest
from httpx2 import AsyncClient, Response
from sqlmodel import select

from pbxcrm.contacts.models import Company
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Invalid
from tests.integration.web.conftest import PASSWORD, Browsers
from web.forms import Form

DIGITS = "9" * 5000


@pytest.fixture
async def admin(browser: Browsers) -> AsyncClient:
    return await browser("admin")


def well(answer: Response) -> bool:
    return answer.status_code < 500


@pytest.mark.parametrize("origin", ["http://[", "http://]", "http://a]b", "null", "\x7f", "http://℀"])
async def test_an_origin_that_is_no_address(browser: Browsers, origin: str) -> None:
    someone = await browser()
    answer = await someone.post("/login", data={"login": "x"}, headers={b"origin": origin.encode()})
    assert answer.status_code == 403


async def test_the_address_of_the_page_is_no_address(admin: AsyncClient) -> None:
    """The act has been committed by the time it is looked at."""
    headers = {"hx-request": "true", "hx-current-url": "http://["}
    for path in ("/callbacks/1/claim", "/deals/1/stage", "/tasks/1/done", "/teams/new"):
        assert well(await admin.post(path, data={"name": "x"}, headers=headers)), path


@pytest.mark.parametrize(
    "charset", ["unicode_escape", "raw_unicode_escape", "punycode", "undefined", "idna", "utf-7", "x" * 300, "hex"]
)
async def test_a_character_set_nobody_writes_in(browser: Browsers, charset: str) -> None:
    someone = await browser()
    body = b'--b\r\nContent-Disposition: form-data; name="login"\r\n\r\nx\\ud800\\N{\xff--\xff\r\n--b--\r\n'
    kind = f"multipart/form-data; boundary=b; charset={charset}"
    assert (await someone.post("/login", content=body, headers={"content-type": kind})).status_code == 415


async def test_a_broken_multipart_form(browser: Browsers) -> None:
    someone = await browser()
    for kind in (
        "multipart/form-data",
        "multipart/form-data; boundary=" + "b" * 3000,
        "multipart/form-data; boundary=",
    ):
        assert (await someone.post("/login", content=b"--b\r\nx", headers={"content-type": kind})).status_code in {
            400,
            422,
        }


async def test_a_next_page_beyond_ascii(browser: Browsers) -> None:
    someone = await browser()
    data = {"login": "olena", "password": PASSWORD, "next": "/привіт"}
    answer = await someone.post("/login", data=data, headers={"hx-request": "true"})
    assert answer.headers["hx-redirect"] == "/%D0%BF%D1%80%D0%B8%D0%B2%D1%96%D1%82"
    other = await browser()
    assert (await other.post("/login", data=data)).headers["location"].endswith("%D1%82")
    assert well(await other.post("/language", data={"language": "uk", "next": "/[привіт"}))
    assert well(await other.get("/login", params={"next": "http://["}))


@pytest.mark.parametrize(
    "path",
    [
        f"/calls?cursor={DIGITS}_{DIGITS}",
        f"/calls?cursor=1_{DIGITS}",
        f"/calls?cursor=1_{2**31}",
        f"/calls?cursor={2**62}_1",
        f"/contacts/1?after=1700000000.0_call_{'9' * 25}",
        f"/contacts/1?after={DIGITS}_call_1",
        f"/contacts/1/timeline?after=nan_call_{2**31}",
        f"/deals/{2**31}",
        f"/deals/{2**63}",
        f"/deals/{10**17}",
        f"/contacts/{2**31}",
        f"/people/{2**31}",
        f"/tasks?who={2**31}",
        f"/tasks?who={DIGITS}",
        f"/board?who={2**31}",
        f"/calls?who={2**31}&line={2**31}",
        f"/callbacks/{2**31}/ask?what=x&version={DIGITS}",
        f"/api/v1/deals/{2**31}",
        f"/api/v1/calls?cursor={DIGITS}",
        "/calls?q=%ED%A0%80%00",
        "/calls?" + "&".join(f"a{n}=1" for n in range(300)),
    ],
)
async def test_numbers_that_no_row_has(admin: AsyncClient, path: str) -> None:
    answer = await admin.get(path)
    assert well(answer), (path, answer.status_code)
    answer = await admin.post(path, headers={"hx-request": "true"})
    assert well(answer), (path, answer.status_code)


async def test_numbers_in_forms_are_refused_at_their_field(admin: AsyncClient) -> None:
    for number in (str(2**31), str(10**17), DIGITS, "-" + DIGITS, "²"):
        answer = await admin.post("/teams/new", data={"name": "New", "manager_id": number})
        assert answer.status_code == 422, number[:20]
        form = Form({"minutes": number})
        with pytest.raises(Invalid, match="Write a whole number"):
            form.number("minutes")
    answer = await admin.post("/settings/callbacks", data={"retry_minutes": DIGITS})
    assert well(answer)


async def test_two_at_once_find_or_make_the_same(browser: Browsers, database: Database) -> None:
    admin = await browser("admin")

    async def both(path: str, *forms: dict[str, str]) -> list[int]:
        answers = await asyncio.gather(*(admin.post(path, data=form) for form in forms))
        return sorted(answer.status_code for answer in answers)

    for form in range(3):
        name = f"Team {form}"
        assert await both("/teams/new", *[{"name": name}] * 4) == [303, 422, 422, 422]
        person = {"login": f"new{form}", "name": "N", "role": "seller", "password": "long enough"}
        assert await both("/people/new", *[person] * 3) == [303, 422, 422]
        phone = [{**person, "login": f"p{form}{n}", "extensions": f"77{form}"} for n in range(3)]
        assert await both("/people/new", *phone) == [303, 422, 422]
    number = {"number": "+380671112233", "kind": "spam"}
    assert set(await both("/numbers", *[number] * 4)) <= {200, 303, 409}
    same = {"name": "Twin", "phones": "+380670000099"}
    assert await both("/contacts/new", *[same] * 4) == [303, 422, 422, 422]
    clients = [{"name": f"C{n}", "company_name": "Ромашка", "phones": f"+38067000001{n}"} for n in range(4)]
    assert await both("/contacts/new", *clients) == [303] * 4
    async with database.read() as session:
        companies = (await session.exec(select(Company))).all()
    assert [company.name for company in companies] == ["Ромашка"]
