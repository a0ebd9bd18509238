"""The routes of the rules of distribution."""

from starlette.routing import Route

from pbxcrm.access import Permission
from web.pages import distribution as pages
from web.routing import POST, page


def distribution_routes() -> list[Route]:
    """The list of rules, the form of each, and the dry run."""
    edit, path = Permission.SETTINGS_EDIT, "/settings/distribution"
    one = f"{path}/{{rule_id:int}}"
    return [
        page(path, pages.listed, needs=edit, name="distribution"),
        page(f"{path}/new", pages.new, needs=edit, name="new_rule"),
        page(f"{path}/new", pages.save, needs=edit, methods=POST, name="add_rule"),
        page(f"{path}/preview", pages.preview, needs=edit, methods=POST, name="preview_rule"),
        page(f"{path}/try", pages.try_typed, needs=edit, methods=POST, name="try_rule"),
        page(f"{path}/trial", pages.trial, needs=edit, name="rules_trial"),
        page(one, pages.one, needs=edit, name="rule"),
        page(one, pages.save, needs=edit, methods=POST, name="save_rule"),
        page(f"{one}/move", pages.move, needs=edit, methods=POST, name="move_rule"),
        page(f"{one}/switch", pages.switch, needs=edit, methods=POST, name="switch_rule"),
        page(f"{one}/delete", pages.delete, needs=edit, methods=POST, name="delete_rule"),
        page(f"{one}/restore", pages.restore, needs=edit, methods=POST, name="restore_rule"),
    ]
