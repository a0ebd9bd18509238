"""Every route of the application, asked by every role and by nobody: who gets in, and whose rows come out.

What is expected is derived from what the route itself declares (``web.routing.rule_of``) and from ``pbxcrm.access``; a route that
declares nothing, or whose path has a parameter this test knows nothing of, fails it. Two teams live in the database;
everything of team Other carries ``SECRET`` in its texts, and no answer to a seller of team Sales may contain it.
"""

from pathlib import Path

import pytest
from redis.asyncio import Redis
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pbxcrm.access import GRANTS, Role
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.integration.walking import (
    GONE,
    MAY_BE_UNREADY,
    NOT_SEEN_AT_ONCE,
    OTHERS,
    OWNED,
    PEOPLE,
    ROUTES,
    SECRET,
    SHARED,
    SHOW_EVERYTHING,
    STREAMS,
    RawResponse,
    Walker,
    address,
    ask,
    lets_in,
    method_of,
    owned_by,
    tells_secrets,
    told,
)
from web.app import create_app
from web.doors import Door
from web.routing import UndeclaredRoute, rule_of


async def test_doors_open_for_those_they_are_for(walker: Walker) -> None:
    wrong = []
    async for route, app in walker.apps(ROUTES):
        for role, login in [(None, None), *PEOPLE.items()]:
            path = address(route, walker.seeded.mine)
            answer = await ask(app, method_of(route), path, walker.seeded.headers(route, login))
            why = misfit(route, role, answer)
            if why:
                wrong.append(f"{told(route)} as {login}: {answer.status}, not {why}: {answer.text[:200]}")
    assert not wrong, "\n".join(wrong)


def misfit(route: Route, role: Role | None, answer: RawResponse) -> str:
    """What the answer should have been; empty when it is as the route declares."""
    rule, status = rule_of(route), answer.status
    if status >= 500 and told(route) not in MAY_BE_UNREADY:
        return "a fault"
    if rule.door in {Door.OPEN, Door.OUTSIDE}:
        return "open to all" if status in {401, 403} else ""
    if role is None and rule.door is Door.TOKEN:
        return "" if status == 401 and answer.headers["www-authenticate"].startswith("Bearer") else "401"
    if role is None:
        return "" if status == 303 and answer.headers["location"].startswith("/login") else "sent to log in"
    if rule.needs is not None and rule.needs not in GRANTS[role]:
        return "" if status == 403 else "403"
    if method_of(route) == "GET":
        right = NOT_SEEN_AT_ONCE.get(told(route), {200, 303})
        return "" if status in right else f"one of {right}"
    return "let in" if status in {401, 403, 405} else ""


async def test_neither_a_cookie_nor_a_wrong_token_opens_the_api(walker: Walker) -> None:
    programs = [route for route in ROUTES if rule_of(route).door is Door.TOKEN]
    assert programs
    async for route, app in walker.apps(programs):
        path = address(route, walker.seeded.mine)
        for headers in (walker.seeded.cookies["admin"], {"authorization": "Bearer pbx_wrong"}):
            assert (await ask(app, method_of(route), path, headers)).status == 401, told(route)


async def test_what_is_another_team_s_is_not_there(walker: Walker) -> None:
    wrong, asked = [], 0
    async for route, app in walker.apps(route for route in ROUTES if owned_by(route)):
        for role in (Role.SELLER, Role.MANAGER):
            if not lets_in(route, role):
                continue
            for name in owned_by(route):
                path = address(route, {**walker.seeded.mine, name: walker.seeded.theirs[name]})
                headers = walker.seeded.headers(route, PEOPLE[role])
                answer = await ask(app, method_of(route), path, headers, b"{}")
                asked += 1
                # A change may first be refused for what was sent with it.
                right = {404} | GONE.get(told(route), set()) | (set() if method_of(route) == "GET" else {422})
                if answer.status not in right or tells_secrets(answer):
                    wrong.append(f"{told(route)} as {role} with another's {name}: {answer.status} {answer.text[:200]}")
    assert asked > 30
    assert not wrong, "\n".join(wrong)


async def test_but_it_is_there_for_its_own(walker: Walker) -> None:
    wrong = []
    async for route, app in walker.apps(route for route in ROUTES if owned_by(route) and method_of(route) == "GET"):
        owner = next(login for role, login in OTHERS.items() if lets_in(route, role))
        answer = await ask(app, "GET", address(route, walker.seeded.theirs), walker.seeded.headers(route, owner))
        if answer.status not in NOT_SEEN_AT_ONCE.get(told(route), {200}):
            wrong.append(f"{told(route)} as {owner}: {answer.status} {answer.text[:200]}")
    assert not wrong, "\n".join(wrong)


async def test_lists_hold_nothing_of_another_team(walker: Walker) -> None:
    wrong = []
    lists = [r for r in ROUTES if method_of(r) == "GET" and not owned_by(r) and r.path not in STREAMS]
    async for route, app in walker.apps(lists):
        path = address(route, walker.seeded.mine)
        for query in ("", f"?q={SECRET[:5]}", f"?text={SECRET[:5]}"):
            for login in ("ivan", "maria", None):
                answer = await ask(app, "GET", path + query, walker.seeded.headers(route, login))
                if tells_secrets(answer):
                    wrong.append(f"{told(route)}{query} as {login}")
    assert not wrong, "\n".join(wrong)


async def test_whoever_sees_everything_finds_it_there(walker: Walker) -> None:
    """The other half of the test above: were the secret nowhere, it would prove nothing."""
    lists = [route for route in ROUTES if told(route).removeprefix("GET ") in SHOW_EVERYTHING]
    assert len(lists) == len(SHOW_EVERYTHING)
    async for route, app in walker.apps(lists):
        for login in ("kira", "admin"):
            answer = await ask(app, "GET", route.path, walker.seeded.headers(route, login))
            assert tells_secrets(answer), (route.path, login, answer.status)


def test_a_route_that_declares_nothing_stops_the_application(tmp_path: Path) -> None:
    async def open_to_all(_request: Request) -> Response:
        return PlainTextResponse("everything")

    settings = Settings(data_dir=tmp_path)
    db = Database(settings.database_url)
    with pytest.raises(UndeclaredRoute):
        create_app(settings, db, Redis(), more_routes=[Route("/secret", open_to_all)])


def test_every_route_is_walked() -> None:
    unknown = {name for route in ROUTES for name in route.param_convertors} - OWNED - SHARED
    assert not unknown, "say whose these are: OWNED or SHARED"
