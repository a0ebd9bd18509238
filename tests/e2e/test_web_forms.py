"""A form of ours inside a site on another origin with a strict content policy, and on its own page; the bell of whoever gets it; the builder."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from redis.asyncio import Redis
from sqlmodel import col, select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from pbxcrm.forms.models import FormRequest, WebForm
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import relay
from tests.e2e.browser import live, overflow, still, violations
from tests.e2e.conftest import AtScreen
from tests.forms import ROBERT, admin, make_form
from tests.integration.web.serving import serving

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


class ForeignSite:
    """A shop's own site, on another port: another origin. Its policy names our address and allows nothing inline and no eval."""

    def __init__(self) -> None:
        self.form_address = ""
        self.key = ""
        self.app = Starlette(routes=[Route("/", self.page)])

    async def page(self, _request: Request) -> Response:
        policy = f"default-src 'none'; script-src {self.form_address}; style-src {self.form_address}; connect-src {self.form_address}"
        body = (
            f'<!doctype html><html lang="en"><title>Shop</title><main><h1>Doors</h1><div data-pbxcrm-form="{self.key}">'
            f'<a href="{self.form_address}/f/{self.key}">Write to us</a></div></main>'
            f'<script src="{self.form_address}/f/form.js" defer></script></html>'
        )
        return HTMLResponse(body, headers={"content-security-policy": policy})


@pytest_asyncio.fixture(loop_scope="session")
async def site(address: str, app: Starlette) -> AsyncIterator[tuple[ForeignSite, str]]:
    shop = ForeignSite()
    shop.form_address = address
    shop.app.state.parts = app.state.parts  # whose settings say how it is served
    async with serving(shop.app) as url:
        yield shop, url


async def form_of(db: Database, **values: object) -> WebForm:
    told: dict[str, object] = {
        "responsible_id": 1,
        "consent": "You may call me.",
        "title": "Write to us",
        "thanks": "We call you.",
    }
    return await make_form(db, admin(5), datetime.now(UTC), **(told | values))


async def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("PBXCRM_TEST_PICTURES"):
        await still(page)
        await page.screenshot(path=Path(folder) / f"forms-{name}.png", full_page=True)


async def requests_of(db: Database) -> list[FormRequest]:
    async with db.read() as session:
        return list((await session.exec(select(FormRequest).order_by(col(FormRequest.id)))).all())


async def test_a_form_inside_another_site(
    db: Database, redis: Redis, at_screen: AtScreen, site: tuple[ForeignSite, str], chromium: Browser
) -> None:
    shop, url = site
    form = await form_of(db, origins=url, asks_proof=True)
    shop.key = form.key
    _olena, desk = await at_screen("olena")
    await live(desk)
    async with await chromium.new_context() as visitor:
        page = await visitor.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        await page.goto(f"{url}/?utm_source=google")
        await expect(page.get_by_role("heading", name="Write to us")).to_be_visible()
        await page.get_by_label("Your name").fill(ROBERT["name"])
        await page.get_by_role("button", name="Send").click()
        await expect(page.get_by_text("Fill this in.")).to_be_visible()
        await expect(page.get_by_text("Tick this, so that we may answer you.")).to_be_visible()
        await expect(page.get_by_label("Your name")).to_have_value(ROBERT["name"])
        await page.get_by_label("Phone").fill(ROBERT["phone"])
        await page.get_by_label("You may call me.").check()
        await picture(page, "site")
        await page.get_by_role("button", name="Send").click()
        await expect(page.get_by_text("We call you.")).to_be_visible()
        assert [text for text in said if "422" not in text] == []
        assert await visitor.cookies() == []
    (request,) = await requests_of(db)
    assert (request.name, request.utm, request.consent_version) == (ROBERT["name"], {"utm_source": "google"}, 1)
    await relay(db, redis)  # as the web process does after each commit
    toast = desk.locator(".toast", has_text=ROBERT["name"])
    await expect(toast).to_be_visible()
    await toast.get_by_role("link", name="Open").click()
    await expect(desk.get_by_role("heading", level=1)).to_have_text(ROBERT["name"])
    await expect(desk.locator(f"#e-request-{request.id}")).to_be_visible()
    await picture(desk, "deal")


async def test_a_site_that_is_not_listed_keeps_its_link(
    db: Database, site: tuple[ForeignSite, str], chromium: Browser
) -> None:
    shop, url = site
    shop.key = (await form_of(db, origins="https://other.example")).key
    async with await chromium.new_context() as visitor:
        page = await visitor.new_page()
        async with page.expect_event("requestfailed", lambda asked: asked.url.endswith("/part")):
            await page.goto(url)
        await expect(page.get_by_role("link", name="Write to us")).to_be_visible()
        await page.get_by_role("link", name="Write to us").click()  # the form's own page always works
        await page.get_by_label("Phone").fill(ROBERT["phone"])
        await page.get_by_label("You may call me.").check()
        assert await violations(page) == []
        await page.get_by_role("button", name="Send").click()
        await expect(page.get_by_text("We call you.")).to_be_visible()
    assert len(await requests_of(db)) == 1


@pytest.mark.parametrize("look", ["light", "dark"])
async def test_the_builder_shows_what_it_builds(at_screen: AtScreen, db: Database, look: str) -> None:
    admin_, page = await at_screen("admin", color_scheme=look, viewport={"width": 1280, "height": 900})
    await page.goto(f"{admin_.address}/settings/forms/new")
    await live(page)
    await page.get_by_label("Name of the form").fill("Doors")
    await page.get_by_label("Heading").fill("Which door?")
    await expect(page.locator("#preview").get_by_role("heading", name="Which door?")).to_be_visible()
    await page.get_by_role("button", name="Move “Message” up").click()
    await expect(page.locator(".form-row").nth(2)).to_contain_text("Message")
    assert await violations(page) == []
    await picture(page, f"builder-{look}")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Put it on your site")).to_be_visible()
    async with db.read() as session:
        (form,) = (await session.exec(select(WebForm))).all()
    shown = await page.locator("#on-site pre").inner_text()
    assert shown == await page.locator("#on-site pre + button").get_attribute("data-copy")
    assert shown.startswith(f'<div data-pbxcrm-form="{form.key}"><a href="http')
    assert await page.locator("#preview form.pbxform").count() == 1
    assert await overflow(page) <= 0
    await picture(page, f"on-site-{look}")
    await page.set_viewport_size({"width": 360, "height": 740})
    assert await overflow(page) <= 0
    await picture(page, f"builder-360-{look}")
    await page.goto(f"{admin_.address}/requests")
    assert await violations(page) == []
    assert [each["target"] for each in form.fields] == ["name", "phone", "message", "email"]
