"""Routes: each declares who may use it.

Every route is made by ``page``, ``public`` or ``api``; the application does not start with any other route. So
the test that walks all routes as all roles misses none.
"""

from collections.abc import Sequence

from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.routing import BaseRoute, Route

from pbxcrm.access import Permission
from web.auth import guarded
from web.doors import Door, Handler, Rule


class UndeclaredRoute(RuntimeError):
    """A route was built without saying who may use it."""


RULE = "_pbxcrm_rule"
GET = ("GET",)
POST = ("POST",)
STRANGERS_BODY = 64 * 1024  # bytes; the largest form of a person who is not logged in


class RowId(IntegerConvertor):
    """``{…:int}`` in a path: at most 18 digits, so that it fits a database id. Other addresses answer 404."""

    regex = "[0-9]{1,18}"


register_url_convertor("int", RowId())


def page(
    path: str, handler: Handler, *, needs: Permission | None, methods: Sequence[str] = GET, name: str | None = None
) -> Route:
    """A page or fragment for people who are logged in and hold ``needs``."""
    return _declared(path, handler, Rule(Door.SESSION, needs), methods, name)


def api(
    path: str, handler: Handler, *, needs: Permission | None, methods: Sequence[str] = GET, name: str | None = None
) -> Route:
    """A REST route for programs with a token. Cookies are ignored."""
    return _declared(path, handler, Rule(Door.TOKEN, needs), methods, name)


def public(path: str, handler: Handler, *, methods: Sequence[str] = GET, name: str | None = None) -> Route:
    """A route without log-in (login page, health). Changes must still come from our own pages."""
    return _declared(path, handler, Rule(Door.OPEN, None), methods, name)


def outside(
    path: str, handler: Handler, *, methods: Sequence[str] = GET, name: str | None = None, large: bool = False
) -> Route:
    """A route for strangers on other sites: a form of ours there, a site's own form. Nobody is logged in here, whatever cookies say.

    ``large``: a body with files, of which the handler decides before it reads it.
    """
    return _declared(path, handler, Rule(Door.OUTSIDE, None), methods, name, large=large)


def _declared(
    path: str, handler: Handler, rule: Rule, methods: Sequence[str], name: str | None, *, large: bool = False
) -> Route:
    largest = STRANGERS_BODY if rule.door in {Door.OPEN, Door.OUTSIDE} and not large else None
    route = Route(
        path, guarded(rule, handler), methods=list(methods), name=name or handler.__name__, max_body_size=largest
    )
    setattr(route, RULE, rule)
    return route


def rule_of(route: BaseRoute) -> Rule:
    """Who may use the route. Raises UndeclaredRoute."""
    rule: Rule | None = getattr(route, RULE, None)
    if rule is None:
        raise UndeclaredRoute(f"{route!r} does not say who may use it: make it with page(), api() or public()")
    return rule
