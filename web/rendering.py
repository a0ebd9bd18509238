"""Rendering a template as the answer to a request."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse

from web.answers import forget_done
from web.parts import parts, wants_fragment
from web.templating import Reader, facing


def render(
    request: Request,
    page: str,
    *,
    fragment: str | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,  # template contexts are of any shape
) -> HTMLResponse:
    """The page, or its ``fragment`` if htmx asks for a part. Templates also see ``request``, ``viewer`` and ``shell``."""
    name = fragment if fragment and wants_fragment(request) else page
    viewer = getattr(request.state, "viewer", None)
    shell = getattr(request.state, "shell", None)
    context = {"request": request, "viewer": viewer, "shell": shell, **context}
    with facing(Reader(viewer, getattr(request.state, "people", None))):
        html = parts(request).templates.text(name, **context)
    # The same address answers with a page or a part of it: caches and the back button must keep the two apart.
    response = HTMLResponse(html, status, {"vary": "HX-Request", **(headers or {})})
    if name == page:
        forget_done(request, response)
    return response
