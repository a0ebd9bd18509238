"""Whether a request comes straight from a network that is let in without a token."""

from starlette.requests import Request

from pbxcrm.shared.networks import is_within, parse_networks
from web.parts import parts

FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


def is_near(request: Request, networks: str) -> bool:
    """Whether it comes straight from one of ``networks`` (as in the settings), and from a program.

    Behind a proxy of ours that we were not told of, the whole world would seem near; and a page of another site in a
    browser here must not ask for us.
    """
    settings, headers = parts(request).settings, request.headers
    if not settings.trusted_proxies and any(name in headers for name in FORWARDED):
        return False
    if headers.get("sec-fetch-site", "none") != "none" or "origin" in headers:
        return False
    return is_within(request.client.host if request.client else None, parse_networks(networks))
