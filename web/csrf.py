"""Protection against CSRF without tokens in forms: the browser itself says which site a request comes from.

``Sec-Fetch-Site`` first (every current browser sends it over HTTPS and to localhost), then ``Origin`` (which browsers
send with every POST, also over plain HTTP on an office network). See Fetch Metadata, W3C, and RFC 6454.
"""

from collections.abc import Mapping

from pbxcrm.shared.errors import NotAllowed
from web.untrusted import split_address

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
OUR_OWN = frozenset({"same-origin", "none"})  # "none": the person typed the address or opened a bookmark


def is_ours(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a request may change something. ``headers`` has lower-case names.

    A request with neither header does not come from a current browser. It passes only without a cookie, so it has no
    session.
    """
    if method in SAFE_METHODS:
        return True
    site = headers.get("sec-fetch-site")
    if site:
        return site in OUR_OWN
    origin = headers.get("origin")
    if origin:
        split = split_address(origin)
        return split is not None and split.netloc.lower() == headers.get("host", "").lower() != ""
    return "cookie" not in headers


def check(method: str, headers: Mapping[str, str]) -> None:
    """Raise NotAllowed for a change that another site asks for."""
    if not is_ours(method, headers):
        raise NotAllowed(
            "web.untrusted", "This request came from another site and was refused. Open the page here and try again."
        )
