import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pbxcrm.access import Permission
from web.auth import local_path
from web.doors import Door
from web.routing import UndeclaredRoute, api, page, public, rule_of


async def hello(_request: Request) -> Response:
    return PlainTextResponse("hello")


def test_each_kind_of_route_declares_its_door() -> None:
    assert rule_of(page("/a", hello, needs=Permission.CALLS_READ)).needs is Permission.CALLS_READ
    assert rule_of(page("/b", hello, needs=None)).door is Door.SESSION
    assert rule_of(api("/c", hello, needs=Permission.CALLS_READ)).door is Door.TOKEN
    assert rule_of(public("/d", hello)).door is Door.OPEN


def test_a_route_that_declares_nothing_is_refused() -> None:
    with pytest.raises(UndeclaredRoute):
        rule_of(Route("/open", hello))


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/deals/12?tab=calls", "/deals/12?tab=calls"),
        (None, "/"),
        ("", "/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("/a\\b", "/"),
        ("/a\nSet-Cookie: x=y", "/"),
        ("javascript:alert(1)", "/"),
        ("/login?next=/login", "/"),
    ],
)
def test_after_login_one_stays_here(target: str | None, path: str) -> None:
    assert local_path(target) == path
