"""The routes of the catalogue and of templates of lines."""

from starlette.routing import Route

from pbxcrm.access import Permission
from web.pages import line_templates, products
from web.routing import POST, page


def product_routes() -> list[Route]:
    """Every route below ``/settings/products``."""
    edit = Permission.SETTINGS_EDIT
    return [
        page("/settings/products", products.listed, needs=edit, name="products"),
        page("/settings/products/options", products.options, needs=edit, methods=POST, name="line_options"),
        page("/settings/products/new", products.new, needs=edit, name="new_product"),
        page("/settings/products/new", products.create, needs=edit, methods=POST, name="add_product"),
        page("/settings/products/{product_id:int}", products.one, needs=edit, name="product"),
        page("/settings/products/{product_id:int}", products.save, needs=edit, methods=POST, name="save_product"),
        page(
            "/settings/products/{product_id:int}/retire",
            products.retire,
            needs=edit,
            methods=POST,
            name="retire_product",
        ),
        page(
            "/settings/products/templates/check",
            line_templates.check,
            needs=edit,
            methods=POST,
            name="check_line_template",
        ),
        page("/settings/products/templates/new", line_templates.new, needs=edit, name="new_line_template"),
        page(
            "/settings/products/templates/new",
            line_templates.save,
            needs=edit,
            methods=POST,
            name="add_line_template",
        ),
        page(
            "/settings/products/templates/{line_template_id:int}", line_templates.one, needs=edit, name="line_template"
        ),
        page(
            "/settings/products/templates/{line_template_id:int}",
            line_templates.save,
            needs=edit,
            methods=POST,
            name="save_line_template",
        ),
        page(
            "/settings/products/templates/{line_template_id:int}/archive",
            line_templates.archive,
            needs=edit,
            methods=POST,
            name="archive_line_template",
        ),
    ]
