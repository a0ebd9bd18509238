"""Answers that are no page: redirects after a change, and toasts with undo."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from web.i18n import N_
from web.i18n import gettext as _
from web.parts import parts
from web.untrusted import ascii_address, whole_number

FLASH = "pbxcrm_done"
FLASH_SECONDS = 20

#: Messages for the page after a redirect. The cookie carries only the code, so nobody can make us show other text.
DONE: dict[str, str] = {
    "saved": N_("Saved."),
    "added": N_("Added."),
    "deleted": N_("Deleted."),
    "rule_there": N_("This rule is there already, so no second one was made."),
    "given_away": N_("Added. By the rules of distribution it is not yours."),
    "stage_removed": N_("The stage has been removed. Its history stays, and it can be brought back below."),
    "stage_restored": N_("The stage is back. Deals that had left it stay where they are."),
    "off_list": N_("The number is off the list."),
    "range_off_list": N_("The range is off the list: calls from its numbers make deals again."),
    "reopened": N_("The number is off the list; the callbacks that were closed for it are open again: {count}."),
    "no_messages": N_("Nothing is sent to this client any more. It can be taken back on the card."),
    "message_queued": N_("The message is on its way. The timeline shows what becomes of it."),
    "merged": N_("Merged. It can be undone where it stands in the history of the client."),
    "unmerged": N_("They are two clients again."),
    "companies_merged": N_("Merged. It can be undone on the page of the company, under Merging."),
    "companies_unmerged": N_("They are two companies again."),
    "deals_merged": N_("Merged. It can be undone where it stands in the history of the deal."),
    "deals_unmerged": N_("They are two deals again."),
    "password": N_(
        "Your password has been changed. Other browsers have been logged out; your API tokens and the address of your"
        " calendar have ended."
    ),
    "logged_out": N_("You have been logged out."),
    "logged_out_everywhere": N_("Every other browser has been logged out."),
    "token_revoked": N_("The token has been revoked."),
    "browser_logged_out": N_("That browser has been logged out."),
}


def redirect(request: Request, path: str, *, done: str = "", count: int = 0) -> Response:
    """Redirect to one of our pages after a change. ``done``: a code of ``DONE``, shown there with the ``count`` that it names.

    Works with and without htmx.
    """
    response: Response
    path = ascii_address(path)
    if request.headers.get("hx-request") == "true":
        response = Response(headers={"HX-Redirect": path})
    else:
        response = RedirectResponse(path, HTTPStatus.SEE_OTHER)
    if done:
        DONE[done]
        said = f"{done}.{count}" if count else done
        response.set_cookie(FLASH, said, max_age=FLASH_SECONDS, path="/", httponly=True, samesite="lax")
    return response


def done_word(request: Request) -> str:
    """The message of the previous page, translated; usually empty."""
    code, _dot, count = request.cookies.get(FLASH, "").partition(".")
    message = DONE.get(code)
    return _(message).format(count=whole_number(count) or 0) if message else ""


def forget_done(request: Request, response: Response) -> None:
    """Delete the cookie of the message, so that it is shown once."""
    if FLASH in request.cookies:
        response.delete_cookie(FLASH, path="/", httponly=True, samesite="lax")


def toast(request: Request, text: str, *, tone: str = "green", undo: str = "", status: int = 200) -> HTMLResponse:
    """An answer to htmx that only shows a toast and changes nothing on the page.

    ``text`` is already translated; ``undo``: a path whose POST takes the act back; ``tone``: green, red or empty.
    """
    html = parts(request).templates.text("partials/_toast.html", text=text, tone=tone, undo=undo)
    return HTMLResponse(html, status, {"HX-Retarget": "#toasts", "HX-Reswap": "beforeend"})


def with_toast(
    request: Request, response: HTMLResponse, text: str, *, tone: str = "green", undo: str = ""
) -> HTMLResponse:
    """The same answer with a toast added."""
    html = parts(request).templates.text("partials/_toast.html", text=text, tone=tone, undo=undo)
    partial = f'<hx-partial hx-target="#toasts" hx-swap="beforeend">{html}</hx-partial>'
    headers = {key: value for key, value in response.headers.items() if key != "content-length"}
    return HTMLResponse(bytes(response.body) + partial.encode(), response.status_code, headers)
