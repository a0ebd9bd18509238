"""Every id that comes in from outside, on every act: another's, a missing one, and what is no id at all.

The fields are not listed here. Those of the API come from its models; those of forms are what each handler reads, noted
while it reads them; those of addresses likewise. A new field fails this test until it is checked, or until ``PLAIN`` or
``FILTERS`` says that it names no row. Each act is first done with ids of one's own: were that refused, the test would
prove nothing.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, TypeVar
from urllib.parse import urlencode

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.routing import Route

from pbxcrm.access import Role
from tests.integration.walking import (
    GONE,
    PEOPLE,
    ROUTES,
    RawResponse,
    Seeded,
    Walker,
    address,
    ask,
    lets_in,
    method_of,
    tells_secrets,
    told,
)  # fmt: skip
from web import forms
from web.api.serving import PREFIX
from web.api.table import RESOURCES
from web.doors import Door
from web.routing import rule_of

#: The field, and which of the things in ``Seeded`` it names.
NAMES_A_ROW = {
    "contact_id": "contact_id", "into": "other_id", "other": "other_id", "into_company": "other_company_id", "into_company_id": "other_company_id", "other_company": "other_company_id", "other_company_id": "other_company_id", "company_id": "company_id", "deal_id": "deal_id", "into_deal_id": "other_deal_id",
    "attempts_stage_id": "stage_id", "call_id": "call_id", "task_id": "task_id", "episode_id": "episode_id",
    "responsible_id": "user_id", "assignee_id": "user_id", "owner_id": "user_id", "user_id": "user_id",
    "manager_id": "manager_id", "team": "team_id", "stage_id": "stage_id", "pipeline_id": "pipeline_id",
    "responsible": "login", "assignee": "login", "owner": "login", "claimed_by": "login", "login": "login", "people": "login",
    "deputy": "deputy", "person": "user_id", "team_ids": "team_id", "ids": "escalation_id", "callback_id": "callback_id", "checkpoint_id": "checkpoint_id", "next_pipeline_id": "pipeline_id", "move_to": "other_stage_id",
    "pipelines": "pipeline_id", "stages": "stage_id", "stages_required": "other_stage_id", "section_id": "section_id", "range_id": "range_id", "stages_shown": "stage_id",
    "line": "line_id", "pipeline": "pipeline_id", "rule": "rule_id", "form_id": "form_id", "rule_id": "automation_id", "automation": "automation_id", "product_id": "product_id", "template_id": "line_template_id", "message_template_id": "message_template_id", "deal_line_id": "deal_line_id",
}  # fmt: skip
#: The same for parameters of addresses.
ASKED_FOR = {
    "assignee_id": "user_id",
    "contact": "contact_id",
    "contact_id": "contact_id",
    "deal_id": "deal_id",
    "rule_id": "automation_id",
    "deal": "deal_id",
    "into_deal_id": "other_deal_id",
    "call": "call_id",
    "company": "company_id",
    "company_id": "other_company_id",
    "person": "user_id",
    "deputy": "deputy",
    "for": "user_id",
    "template_id": "line_template_id",
    "message_template_id": "message_template_id",
}
#: Names that all teams share; of these there is no foreign one, only a missing one.
SHARED = {
    "stage_id", "checkpoint_id", "pipeline_id", "line_id", "next_pipeline_id", "move_to", "pipelines", "stages", "stages_required", "section_id", "stages_shown", "line", "pipeline", "rule", "form_id", "rule_id", "automation", "product_id", "template_id", "message_template_id",
}  # fmt: skip
#: What names no row, with a value that lets the act go on. A field a handler reads must stand here or above.
PLAIN: dict[str, str] = {
    "files": "", "contact": "", "title": "Call about the offer", "name": "Somebody New", "text": "They liked it.", "note": "A note.", "why": "Too dear.",
    "due_at": "2026-11-19T10:00", "next_title": "Call again", "next_due_at": "2026-11-19T10:00", "quick": "10m", "version": "1",
    "number": "+380501239999", "first": "+380445550010", "last": "+380445550019", "range_kind": "own", "range_note": "", "phones": "", "emails": "", "company_name": "", "source": "", "amount": "", "client_number": "",
    "lost_reason": "Too dear", "undo": "", "board": "", "back": "", "result": "reached", "cancelled": "", "disposition": "done", "next": "",
    "next_at": "", "target": "", "attended": "", "extension": "", "kind": "spam", "to": "up",
    "role": "seller", "person_role": "pays", "extensions": "", "password": "correct horse battery", "is_active": "1",
    "did": "", "trunk": "", "queue": "", "pbx": "", "region": "", "makes_deals": "1", "makes_callbacks": "1",
    "anonymous_makes_deals": "1", "short_seconds": "0", "language": "", "theme": "", "popup": "ringing", "sound": "1", "notify": "1",
    "old": "", "new": "", "again": "", "timezone": "Europe/Kyiv", "retry_minutes": "10", "retry_outbound": "1", "attempt_minutes": "10", "attempts_then": "mornings", "callback_due_minutes": "15",
    "callback_pause_minutes": "15", "claim_minutes": "15", "click_to_call_expiry_seconds": "15", "owner_0": "responsible",
    "owner_1": "", "owner_2": "", "owner_3": "", "owner_4": "", "day_0": "09:00-18:00", "day_1": "", "day_2": "", "day_3": "", "day_4": "", "day_5": "",
    "day_6": "", "from": "2027-05-01", "until": "2027-05-02", "date": "", "hours": "", "day": "", "country": "UA", "year": "2027", "usual": "", "mobiles": "", "without": "1", "by_call": "",
    "template": "b2b", "carries": "client", "asks_why_lost": "", "is_default": "", "norm": "", "norm_unit": "h", "probability": "10",
    "instruction": "", "colour": "", "waits_for_client": "", "extra_control": "", "fields": "", "lost_reason_asked": "", "next_task": "", "position": "1",
    "anyway": "", "second": "1", "confirm": "Somebody", "birthday": "31.12.1990", "given": "1", "phone_way": "", "phone_kind": "", "email_way": "", "email_kind": "",
    "main_phone": "", "main_email": "", "take_birthday": "", "same_name": "", "monday": "", "tuesday": "", "wednesday": "", "thursday": "", "friday": "", "saturday": "", "sunday": "", "deal": "", "asked": "next_task", "without_call": "1",
    "step": "hours", "away": "1", "token_name": "A program", "days": "30",
    "word": "Done.", "reason": "Too slow.", "checklist": "", "repeat": "", "done": "1", "verdict": "good", "seen": "", "auto_title": "Call", "auto_whom": "responsible", "auto_after": "2", "auto_unit": "h", "auto_keep": "cancel", "auto_instruction": "", "auto_checklist": "", "by": "1",
    "into_version": "2", "take_name": "into", "take_company": "into", "take_responsible": "into", "take_note": "into", "take_title": "into", "take_amount": "into", "take_source": "into", "take_proposal_until": "", "take_invoice_until": "", "take_event_at": "", "take_survey_at": "",
    "email": "", "digest_at": "", "quiet_desktop": "", "quiet_digest": "",
    "bulk_act": "move", "for_team": "", "column": "tags", "as_first": "", "stay": "", "all": "1", "chosen": "1:1", "query": "", "tag": "x",
    "entity": "deal", "field_kind": "text", "formula": "", "own_key": "", "key": "", "hint": "", "option_id": "", "option_name": "", "retired": "", "is_unique": "", "filterable": "1", "fields.walked": "Another value",
    "act": "", "begin": "now", "trigger": "silence", "work": "talked", "talked_seconds": "30", "longest_plan_days": "90", "filled_field": "", "date_field": "next_task_at", "offset": "1", "proposal_until": "", "invoice_until": "", "event_at": "", "survey_at": "",
    "members": "user:1", "since_of": "user:1", "since": "", "method": "turns", "otherwise": "nobody", "most_open": "", "most_per_day": "", "on_shift": "1", "is_on": "1", "more": "",
    "amount.min": "", "amount.max": "", "number.begins": "", "field.walked.contains": "", "client.field.walked.contains": "", "form": "",
    "field_target": "phone", "field_asked": "phone", "field_required": "", "field_label": "", "field_name": "", "field_hint": "", "intro": "", "button": "", "thanks": "", "thanks_url": "", "consent": "", "origins": "", "asks_proof": "", "per_minute": "10", "mailbox": "",
    "page": "", "referrer": "", "phone": "+380501239998", "consent_version": "", "homepage": "", "proof": "", "proof_answer": "",
    "state": "off", "mode": "once", "most_per_hour": "20", "waiting": "keep", "when.kind": "deal_created", "then.0.kind": "stop",    "product": "Work", "quantity": "1", "price": "10", "discount": "", "unit": "", "sku": "", "group": "", "vat_rate": "", "up": "1", "same_product": "sum", "inputs": "", "values": "", "lines": "Work | 1 | 10", "discount_limit_seller": "10", "discount_limit_manager": "100", "amount_by_lines": "",
    "channel": "email", "texts.uk": "Hello", "subjects.uk": "Hi", "texts.ru": "", "subjects.ru": "", "texts.en": "", "subjects.en": "", "address": "walk@stop.example", "take_language": "",
    "was": "", "heard": "", "headers": "", "body": "", "body_format": "json", "sender": "", "secret": "", "taken_path": "", "error_path": "", "taken_words": "", "knows_repeats": "",
    "message_own_name": "", "message_own_phone": "", "message_own_site": "", "message_language": "", "message_quiet": "", "message_most_a_day": "1", "message_needs_consent": "", "message_test_email": "", "message_test_number": "",
    "offset_unit": "h", "offset_side": "after", "step_after": "5", "step_unit": "h", "step_whom": "responsible", "step_what": "task", "step_text": "", "step_checklist": "",
}  # fmt: skip
#: Parameters of addresses that narrow or steer a page and open nothing; ids among them match no row one may not see.
FILTERS = {
    "q", "birthday", "anonymous", "entity", "field_kind", "formula", "own_key", "quantity", "company_name", "sort", "view", "week", "column", "row", "by", "until", "from", "text", "kind", "state", "mine", "who", "line", "rows", "show", "apply", "cursor", "after", "edit", "what", "version", "period",
    "due_at", "next_due_at", "direction", "outcome", "download", "pipeline", "number", "name", "extension", "country", "year", "next", "back", "at", "did", "format", "team", "phones", "emails", "mobiles", "meant", "job", "hour", "day", "of", "shown", "form", "group", "retired", "product", "like",
}  # fmt: skip
#: Refused before they look at what else was sent: without a handset that talks, and for a call that has a number.
NOT_ON_A_CALL = {
    "POST /phone/transfer", "POST /phone/hangup", "POST /calls/{call_id:int}/client", "POST /api/v1/calls/{call_id:int}/client",
}  # fmt: skip
#: What is read and does not count: it stands in the path, too, and that is what is taken; or it is looked for as text.
NEW_NAMES = {("POST /people/new", "login"), ("POST /login", "login")}
IN_THE_PATH = {("POST /callbacks/{episode_id:int}/call", "episode_id")}
AS_TEXT = {("GET /contacts/find", "contact")}
#: An id that only leaves a row out of what is found among one's own, or only says that there is one.
LEAVES_OUT = {
    ("GET /contacts/whose", "without"),
    ("GET /contacts/whose", "contact_id"),
    ("GET /companies/alike", "without"),
}
#: They change nothing and say in words what is wrong with what is typed.
PREVIEWS = {
    "POST /settings/lines/preview",
    "POST /settings/distribution/preview",
    "POST /automation/shape",
    "POST /automation/try",
    "POST /settings/products/templates/check",
    "POST /settings/messages/check",
}
#: What is no id: tried on every field, for these are what breaks a handler that reads it by itself …
NO_ID = [str(2**63), "9" * 30, "x"]
#: … and of these one after the other. All of them are tried on ``Form.id`` in tests/unit/web/test_forms.py.
RARELY = cycle(["0", "-1", str(2**31), str(2**63 - 1), "1.5"])
MISSING = 2**31 - 1
pytestmark = pytest.mark.timeout(900)  # it asks for each route many times
ACTS = [route for route in ROUTES if method_of(route) == "POST" and rule_of(route).door is Door.SESSION]
PAGES = [
    route
    for route in ROUTES
    if method_of(route) == "GET" and rule_of(route).door is Door.SESSION and route.path != "/live"
]
Value = TypeVar("Value")


class Noted(dict[str, Value]):
    """Notes the names it is asked for."""

    def __init__(self, read: set[str]) -> None:
        super().__init__()
        self.read = read

    def get(self, name: str, default: Any = None) -> Any:
        self._note(name)
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self._note(str(name))
        return super().__contains__(name)

    def _note(self, name: str) -> None:
        """A template that shows the form again reads all of it; what counts is what the handler reads."""
        frame = sys._getframe(2)
        for _ in range(4):
            if frame.f_code.co_filename.endswith(".html"):
                return
            if frame.f_back is None:
                break
            frame = frame.f_back
        self.read.add(name)


@dataclass
class Reading:
    """The names of fields and of parameters that the handlers have asked for since ``clear``."""

    fields: set[str] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)

    def clear(self) -> None:
        self.fields.clear()
        self.parameters.clear()


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Reading:
    found = Reading()

    class NotedForm(forms.Form):
        def __init__(self) -> None:
            super().__init__(values=Noted(found.fields), lists=Noted(found.fields))

    class NotedParams(QueryParams):
        def get(self, key: Any, default: Any = None) -> Any:
            found.parameters.add(key)
            return super().get(key, default)

        def __contains__(self, key: Any) -> bool:
            found.parameters.add(key)
            return super().__contains__(key)

    monkeypatch.setattr(forms, "Form", NotedForm)
    monkeypatch.setattr(Request, "query_params", property(lambda request: NotedParams(request.scope["query_string"])))
    return found


_ROWS = {**NAMES_A_ROW, **ASKED_FOR}


def own(seeded: Seeded, name: str, *, as_login: bool = False) -> str:
    if name == "manager_id":
        return str(seeded.ids["maria"])
    if name == "deputy":
        return "olena" if as_login else str(seeded.ids["olena"])
    if name == "login" and not as_login:
        return "newcomer"
    return str(seeded.mine[_ROWS[name]])


def foreign(seeded: Seeded, name: str, *, as_login: bool = False) -> list[str]:
    if name in SHARED or name in {"team", "team_ids"}:
        return []
    if name == "deputy":
        return ["petro" if as_login else str(seeded.ids["petro"])]
    if name == "manager_id":
        return [str(seeded.ids["petro"])]  # nobody who could lead a team
    return [str(seeded.theirs[_ROWS[name]])]


def who_may(route: Route) -> Role:
    return next(role for role in (Role.SELLER, Role.MANAGER, Role.ADMIN) if lets_in(route, role))


def bad_values(seeded: Seeded, name: str, role: Role, *, as_login: bool = False) -> Iterator[str]:
    if role is not Role.ADMIN:
        yield from foreign(seeded, name, as_login=as_login)
    yield from (str(MISSING), *NO_ID, next(RARELY))


def said(answer: RawResponse) -> str:
    """The words of the page, for the message of a failed test."""
    return " ".join(
        re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", answer.text.partition("<main")[2] or answer.text).split()
    )[:200]


async def post(app: Starlette, seeded: Seeded, route: Route, role: Role, fields: dict[str, str]) -> RawResponse:
    headers = {**seeded.headers(route, PEOPLE[role]), "content-type": "application/x-www-form-urlencoded"}
    return await ask(app, "POST", address(route, seeded.mine), headers, urlencode(fields).encode())


async def fields_of(walker: Walker, reading: Reading, route: Route, role: Role) -> tuple[dict[str, str], RawResponse]:
    """What the handler reads, filled in with what is one's own, and the answer to that."""
    filled: dict[str, str] = {}
    answer = RawResponse()
    for _ in range(8):  # a handler may read on once it is content with what it read first
        reading.clear()
        async with walker.app() as app:
            answer = await post(app, walker.seeded, route, role, filled)
        new = reading.fields - filled.keys()
        unknown = {name for name in new if name not in NAMES_A_ROW and name not in PLAIN}
        assert not unknown, f"{told(route)} reads {unknown}: say in NAMES_A_ROW or PLAIN what these are"
        if not new:
            break
        filled |= {name: own(walker.seeded, name) if name in NAMES_A_ROW else PLAIN[name] for name in new}
        filled = {name: value for name, value in filled.items() if value or name in NAMES_A_ROW} | dict.fromkeys(
            (name for name in filled if not filled[name]), ""
        )
    return filled, answer


async def test_no_form_takes_an_id_that_is_not_one_s_own(walker: Walker, reading: Reading) -> None:
    wrong, tried = [], 0
    for route in ACTS:
        role = who_may(route)
        fields, answer = await fields_of(walker, reading, route, role)
        fields = {name: value for name, value in fields.items() if value}
        ids = [name for name in fields if name in NAMES_A_ROW]
        if not ids or told(route) in PREVIEWS:
            continue
        async with walker.app() as app:
            answer = await post(app, walker.seeded, route, role, fields)
        if answer.status >= 400 and told(route) not in NOT_ON_A_CALL:
            wrong.append(f"{told(route)} with one's own {ids}: {answer.status} {said(answer)}")
        async with walker.app() as app:
            for name in ids:
                if (told(route), name) in IN_THE_PATH | NEW_NAMES:
                    continue
                for value in bad_values(walker.seeded, name, role):
                    answer = await post(app, walker.seeded, route, role, {**fields, name: value})
                    tried += 1
                    if answer.status not in {404, 422} or tells_secrets(answer):
                        wrong.append(f"{told(route)} {name}={value}: {answer.status} {said(answer)}")
    assert tried > 100
    assert not wrong, "\n".join(wrong)


async def test_no_address_opens_what_is_not_one_s_own(walker: Walker, reading: Reading) -> None:
    wrong, tried = [], 0
    async with walker.app() as app:
        for route in PAGES:
            for role in (Role.SELLER, Role.MANAGER):
                if not lets_in(route, role):
                    continue
                path, headers = address(route, walker.seeded.mine), walker.seeded.headers(route, PEOPLE[role])
                reading.clear()
                await ask(app, "GET", path, headers)
                left = {name for name in reading.parameters if (told(route), name) not in LEAVES_OUT}
                unknown = left - ASKED_FOR.keys() - FILTERS
                assert not unknown, f"{told(route)} reads {unknown}: say in ASKED_FOR or FILTERS what these are"
                for name in sorted(reading.parameters):
                    opens = name in ASKED_FOR and (told(route), name) not in AS_TEXT | LEAVES_OUT
                    if opens:
                        values = bad_values(walker.seeded, name, role)
                    elif role is who_may(route):  # nonsense is read before anybody asks who sends it
                        values = iter([*NO_ID, next(RARELY)])
                    else:
                        continue
                    for value in values:
                        answer = await ask(app, "GET", f"{path}?{urlencode({name: value})}", headers)
                        tried += 1
                        right = {404, 422} if opens else {200, 204, 303, 404, 422}  # or it is said at the field
                        if answer.status not in right or tells_secrets(answer):
                            wrong.append(f"{told(route)}?{name}={value}: {answer.status} {said(answer)}")
    assert tried > 100
    assert not wrong, "\n".join(wrong)


ENDPOINTS = [endpoint for resource in RESOURCES for endpoint in resource.endpoints]
BODIES: dict[str, object] = {
    "title": "Call about the offer", "due_at": "2026-11-19T10:00:00Z", "text": "They liked it.", "name": "Somebody New", "why": "Too dear.", "reason": "Too slow.", "word": "Done.",
    "entity": "deal", "act": "move", "result": "reached", "number": "+380501239999", "kind": "spam", "since": "2027-05-01", "until": "2027-05-02",
    "timezone": "Europe/Kyiv", "week": ["09:00-18:00"] * 5 + [""] * 2, "op": "add", "from": "2027-05-01T09:00:00Z", "steps": [{"after_minutes": 60}],
    "when": {"kind": "deal_created"}, "then": [{"kind": "stop"}], "approve": True, "key": "walk",
}  # fmt: skip


#: What an act wants besides what its model requires.
BESIDES: dict[str, dict[str, object]] = {
    "POST /api/v1/deals": {"second": True},
    "POST /api/v1/pipelines": {"name": "Another funnel"},
    "POST /api/v1/fields": {"kind": "text"},
    "POST /api/v1/checkpoints": {"talked_seconds": 7},  # another clock than that of the stage's own
    "POST /api/v1/distribution/rules": {"members": [{"login": "ivan"}]},
    "POST /api/v1/distribution/rules/{rule_id:int}/move": {"up": True},
}
#: Ids of which the answer names those that were refused, each with its reason; the others are done.
REFUSED_ONE_BY_ONE = {("POST /api/v1/deals/bulk", "ids")}
#: Acts that take one id or another, never both: each is tried alone.
ONE_OF = {"POST /api/v1/flags"}


def names_a_row(name: str, seeded: Seeded) -> bool:
    assert not name.endswith("_id") or name in NAMES_A_ROW, f"say in NAMES_A_ROW what {name} names"
    return name in NAMES_A_ROW and NAMES_A_ROW[name] in {*seeded.mine, "manager_id", "deputy"}


def is_a_choice(known: FieldInfo) -> bool:
    """Whether the field takes one of a few words: whose side of a merge, and no id."""
    return "Literal" in str(known.annotation)


def as_json(model: type[BaseModel], seeded: Seeded, name: str, value: str) -> object:
    is_login = NAMES_A_ROW[name] in {"login", "deputy"}
    found: object = value if is_login else int(value) if value.lstrip("-").isdigit() else value
    return [found] if "list" in str(model.model_fields[name].annotation) else found


async def test_no_body_takes_an_id_that_is_not_one_s_own(walker: Walker) -> None:
    """One field after the other, beside ids of one's own in all others: a reference beside a checked one is checked, too."""
    wrong: list[str] = []
    tried = 0
    for endpoint in ENDPOINTS:
        fields = endpoint.body.model_fields if endpoint.body else {}
        ids = [n for n, known in fields.items() if names_a_row(n, walker.seeded) and not is_a_choice(known)]
        if endpoint.body is None or not ids:
            continue
        route = next(r for r in ROUTES if r.name == f"api_{endpoint.name}")
        for together in [[name] for name in ids] if told(route) in ONE_OF else [ids]:
            tried += await _try_ids(walker, route, endpoint.body, together, wrong)
    assert tried > 50
    assert not wrong, "\n".join(wrong)


async def _try_ids(walker: Walker, route: Route, model: type[BaseModel], ids: list[str], wrong: list[str]) -> int:
    """How many bad ids were sent; what was answered wrongly is added to ``wrong``."""
    seeded, role, tried = walker.seeded, who_may(route), 0
    body: dict[str, object] = {
        name: BODIES[name]
        for name, known in model.model_fields.items()
        if known.default is PydanticUndefined and known.default_factory is None and name not in ids
    }
    body |= BESIDES.get(told(route), {})
    body |= {name: as_json(model, seeded, name, own(seeded, name, as_login=True)) for name in ids}
    path, headers = address(route, seeded.mine), seeded.headers(route, PEOPLE[role])
    async with walker.app() as app:
        answer = await ask(app, method_of(route), path, headers, json.dumps(body).encode())
        if answer.status >= 300 and told(route) not in NOT_ON_A_CALL:
            wrong.append(f"{told(route)} with one's own {body}: {answer.status} {answer.text}")
    async with walker.app() as app:
        for name in ids:
            if (told(route), name) in REFUSED_ONE_BY_ONE:
                continue
            for value in bad_values(seeded, name, role, as_login=True):
                sent = {**body, name: as_json(model, seeded, name, value)}
                answer = await ask(app, method_of(route), path, headers, json.dumps(sent).encode())
                tried += 1
                if answer.status not in {404, 422} or tells_secrets(answer):
                    wrong.append(f"{told(route)} {name}={value}: {answer.status} {answer.text[:200]}")
    return tried


async def test_no_filter_finds_what_is_not_one_s_own(walker: Walker) -> None:
    wrong, tried = [], 0
    seeded = walker.seeded
    async with walker.app() as app:
        for endpoint in ENDPOINTS:
            for name in endpoint.query.model_fields if endpoint.query else ():
                if not names_a_row(name, seeded):
                    continue
                route = next(r for r in ROUTES if r.name == f"api_{endpoint.name}")
                role = who_may(route)
                headers = seeded.headers(route, PEOPLE[role])
                for value in bad_values(seeded, name, role):
                    answer = await ask(app, "GET", f"{address(route, seeded.mine)}?{urlencode({name: value})}", headers)
                    tried += 1
                    if answer.status not in {200, 422} or tells_secrets(answer):
                        wrong.append(f"{told(route)}?{name}={value}: {answer.status} {answer.text[:200]}")
                    elif answer.status == 200 and json.loads(answer.text).get("items"):  # a report has figures, no rows
                        wrong.append(f"{told(route)}?{name}={value} finds {answer.text[:200]}")
    assert tried > 50
    assert not wrong, "\n".join(wrong)


async def test_no_number_in_a_path_is_too_large(walker: Walker) -> None:
    async with walker.app() as app:
        await _too_large(app, walker.seeded)


async def _too_large(app: Starlette, seeded: Seeded) -> None:
    wrong = []
    for route in ROUTES:
        for name in route.param_convertors:
            for value in (2**31, 10**17, 2**63, 10**30):
                if f"{{{name}:int}}" not in route.path:
                    continue
                path = address(route, {**seeded.mine, name: value})
                body = b"{}" if route.path.startswith(PREFIX) else b""
                answer = await ask(app, method_of(route), path, seeded.headers(route, "admin"), body)
                if answer.status not in {404, 422, 405} | GONE.get(told(route), set()):
                    wrong.append(f"{told(route)} {name}={value}: {answer.status} {said(answer)}")
    assert not wrong, "\n".join(wrong)
