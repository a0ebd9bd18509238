"""Every form of the settings, open in two tabs: whoever saves second is told, finds what they typed, and may save it over the other's."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http import HTTPStatus
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.routing import Route

from pbxcrm.access import Permission
from tests.integration.walking import ROUTES, RawResponse, Walker, address, ask, method_of, told
from web.routing import rule_of

OF_SETTINGS = {Permission.SETTINGS_EDIT, Permission.PEOPLE_EDIT, Permission.LEAVES_EDIT, Permission.RULES_EDIT}
#: Forms whose page has another address. The others have the address of their page.
ON_PAGES = {
    "/settings/messages/options": "/settings/messages",
    "/settings/products/options": "/settings/products",
}
#: Pages of one thing that are no form filled in with what is stored.
NO_FORMS = {
    "/automation/{automation_id:int}/pause",  # until when
    "/settings/calendars/{calendar_id:int}/holidays",  # days to add
    "/settings/stages/{stage_id:int}/remove",  # asks where its deals go
    "/settings/stages/{stage_id:int}/split",  # a new stage
    "/settings/stages/{stage_id:int}/checkpoints/new",
    "/settings/pipelines/{pipeline_id:int}/checkpoints/new",
    "/settings/pipelines/{pipeline_id:int}/stages/new",
}


def known_forms() -> Iterator[tuple[Route, str]]:
    """Each form filled in with what is stored, and the path of its page."""
    pages = {route.path for route in ROUTES if method_of(route) == "GET"}
    for route in ROUTES:
        if method_of(route) != "POST" or rule_of(route).needs not in OF_SETTINGS:
            continue
        page = ON_PAGES.get(route.path, route.path)
        of_one = "{" in page or not route.path.endswith(("/new", "s")) or route.path == "/settings/callbacks"
        if page in pages and (of_one or page != route.path) and page not in NO_FORMS:
            yield route, page


@dataclass
class Typed(HTMLParser):
    """The fields of the form with this ``action`` (or without one), as a browser would send them."""

    action: str
    fields: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._inside = self._text = self._options = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = given.get("method") == "post" and given.get("action", self.action) == self.action
        elif not self._inside:
            return
        elif tag == "input" and given.get("type") in {"checkbox", "radio"}:
            if "checked" in given:
                self.fields.append([given["name"], given.get("value", "on")])
        elif tag in {"input", "textarea"} and "name" in given and given.get("type") not in {"submit", "file"}:
            self.fields.append([given["name"], given.get("value", "")])
            self._text = tag == "textarea"
        elif tag == "select" and "name" in given:
            self.fields.append([given["name"], ""])
            self._options = True
        elif tag == "option" and (self._options or "selected" in given):
            self.fields[-1][1], self._options = given.get("value", ""), False

    def handle_data(self, data: str) -> None:
        if self._inside and self._text:
            self.fields[-1][1] += data

    def handle_endtag(self, tag: str) -> None:
        self._text = self._text and tag != "textarea"
        self._inside = self._inside and tag != "form"


def typed(page: RawResponse, action: str) -> list[list[str]]:
    reader = Typed(action)
    reader.feed(page.text)
    return reader.fields


#: What each tab changes, in this order of preference: the field, and how it stands afterwards in either.
CHANGES = (
    ("name", ("First", "Second")),
    ("auto_title", ("First", "Second")),
    ("claim_minutes", ("41", "42")),
    ("message_own_name", ("First", "Second")),
    ("discount_limit_seller", ("1", "2")),
    ("until", ("2027-02-20", "2027-02-21")),
)
#: What these forms ask for and the walked rows do not have.
NEEDED = {"subjects.uk": "About it"}


def changed(fields: list[list[str]], tab: int) -> tuple[list[list[str]], str]:
    fields = [[key, value or NEEDED.get(key, "")] for key, value in fields]
    for name, values in CHANGES:
        if any(each[0] == name for each in fields):
            return [[key, values[tab] if key == name else value] for key, value in fields], values[tab]
    raise AssertionError([each[0] for each in fields])


async def post(app: Starlette, walker: Walker, route: Route, fields: list[list[str]]) -> RawResponse:
    headers = {**walker.seeded.headers(route, "admin"), "content-type": "application/x-www-form-urlencoded"}
    body = urlencode([(key, value) for key, value in fields]).encode()
    return await ask(app, "POST", address(route, walker.seeded.mine), headers, body)


async def test_no_form_of_the_settings_writes_over_what_somebody_else_saved_unsaid(walker: Walker) -> None:
    wrong, tried = [], 0
    async with walker.app() as app:
        for route, path in known_forms():
            page, action = address(Route(path, told), walker.seeded.mine), address(route, walker.seeded.mine)
            fields = typed(await ask(app, "GET", page, walker.seeded.headers(route, "admin")), action)
            if not any(each[0] in dict(CHANGES) for each in fields):
                wrong.append(f"{route.path}: its page has no such form, or say in CHANGES what is typed of {fields}")
                continue
            first, _value = changed(fields, 0)
            second, value = changed(fields, 1)
            answers = [await post(app, walker, route, first), await post(app, walker, route, second)]
            kept = typed(answers[1], action)
            answers.append(await post(app, walker, route, kept))
            statuses = [answer.status for answer in answers]
            told_so = "Somebody" in answers[1].text and any(value == each[1] for each in kept)
            if statuses[::2] != [HTTPStatus.SEE_OTHER] * 2 or not told_so or statuses[1] not in {409, 422}:
                wrong.append(f"{route.path}: {statuses}, told and kept: {told_so}")
            tried += 1
    assert tried >= 15
    assert not wrong, "\n".join(wrong)
