"""Requests that need no token because they come directly from a trusted network."""

from starlette.requests import Request

from pbxcrm.shared.networks import is_within, parse_networks
from web.parts import parts

FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


def is_near(request: Request, networks: str) -> bool:
    """Whether a program sent the request directly from one of ``networks`` (as written in the settings).

    A request that came through an unknown proxy does not count: its real sender could be anybody. Nor does one from a
    page in a browser: another site could send it.
    """
    settings, headers = parts(request).settings, request.headers
    if not settings.trusted_proxies and any(name in headers for name in FORWARDED):
        return False
    if headers.get("sec-fetch-site", "none") != "none" or "origin" in headers:
        return False
    return is_within(request.client.host if request.client else None, parse_networks(networks))
