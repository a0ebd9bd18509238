"""The routes of web forms and their requests; ``web/routes.py`` lists them with the others."""

from starlette.routing import Route

from pbxcrm.access import Permission
from web.pages import form_builder, public_forms, requests
from web.routing import POST, outside, page

KEY = "/f/{form_key:str}"


def public_form_routes() -> list[Route]:
    """What strangers reach: the form, its script, and what is sent."""
    return [
        outside("/f/form.js", public_forms.script, name="form_script"),
        outside("/f/form.css", public_forms.style, name="form_style"),
        outside(KEY, public_forms.page, name="public_form"),
        outside(KEY, public_forms.send, methods=POST, name="send_form"),
        outside(KEY, public_forms.preflight, methods=("OPTIONS",), name="form_preflight"),
        outside(f"{KEY}/part", public_forms.part, name="form_part"),
        outside(f"{KEY}/thanks", public_forms.thanks, name="form_thanks"),
        outside(f"{KEY}/files", public_forms.send_with_files, methods=POST, name="send_form_files", large=True),
        outside(f"{KEY}/files", public_forms.preflight, methods=("OPTIONS",), name="form_files_preflight"),
    ]


def form_routes() -> list[Route]:
    """The settings of forms, and the list of requests."""
    edit, read = Permission.SETTINGS_EDIT, Permission.DEALS_READ
    form = "/settings/forms/{form_id:int}"
    return [
        page("/settings/forms", form_builder.listed, needs=edit, name="forms"),
        page("/settings/forms/new", form_builder.new, needs=edit, name="new_form"),
        page("/settings/forms/new", form_builder.save, needs=edit, methods=POST, name="add_form"),
        page("/settings/forms/preview", form_builder.preview, needs=edit, methods=POST, name="preview_form"),
        page(form, form_builder.one, needs=edit, name="form"),
        page(form, form_builder.save, needs=edit, methods=POST, name="save_form"),
        page("/requests", requests.listed, needs=read, name="requests"),
        page("/requests/{request_id:int}/consent", requests.consent, needs=read, name="request_consent"),
        page("/requests/{request_id:int}/bell", requests.bell, needs=read, name="request_bell"),
        page(
            "/requests/{request_id:int}/accept",
            requests.accept,
            needs=Permission.REQUESTS_DECIDE,
            methods=POST,
            name="accept_request",
        ),
    ]
