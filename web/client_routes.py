"""The routes of clients, companies, their merges and the lists of numbers that are no client's."""

from starlette.routing import Route

from pbxcrm.access import Permission
from web.pages import (
    client_lists,
    companies,
    company_merges,
    consents,
    contacts,
    merges,
    privacy,
    special_numbers,
    views,
)
from web.routing import POST, page


def client_routes() -> list[Route]:
    """Clients and companies: lists, cards, merges, consents and personal data."""
    read, write, lists = Permission.CONTACTS_READ, Permission.CONTACTS_EDIT, Permission.NUMBERS_LIST_EDIT
    return [
        page("/contacts", client_lists.listed, needs=read),
        *(
            route
            for path in ("/contacts", "/companies")
            for route in (
                page(f"{path}/filters", client_lists.filters, needs=read, name=f"filters_of_{path[1:]}"),
                page(f"{path}/columns", client_lists.columns, needs=read, name=f"columns_of_{path[1:]}"),
                page(
                    f"{path}/columns",
                    client_lists.save_columns,
                    needs=read,
                    methods=POST,
                    name=f"save_columns_of_{path[1:]}",
                ),
                page(f"{path}/views", views.views, needs=read, name=f"views_of_{path[1:]}"),
                page(f"{path}/views", views.save, needs=read, methods=POST, name=f"save_view_of_{path[1:]}"),
            )
        ),
        page("/contacts/whose", contacts.whose, needs=read, name="whose_number"),
        page("/contacts/find", contacts.find, needs=read, name="find_contact"),
        page("/contacts/new", contacts.new, needs=write, name="new_contact"),
        page("/contacts/new", contacts.create, needs=write, methods=POST, name="create_contact"),
        page("/contacts/{contact_id:int}", contacts.contact, needs=read),
        page("/contacts/{contact_id:int}/add", contacts.add, needs=write, methods=POST, name="add_to_contact"),
        page("/contacts/{contact_id:int}/edit", contacts.edit, needs=write, name="edit_contact"),
        page("/contacts/{contact_id:int}/edit", contacts.save, needs=write, methods=POST, name="save_contact"),
        page("/contacts/duplicates", merges.duplicates, needs=write),
        page("/contacts/{contact_id:int}/merge", merges.merge_page, needs=write),
        page("/contacts/{contact_id:int}/merge", merges.merge, needs=write, methods=POST, name="merge_contacts"),
        page("/contacts/{contact_id:int}/not-same", merges.not_same, needs=write, methods=POST),
        page(
            "/contacts/{contact_id:int}/not-same/{other_id:int}/undo", merges.undo_not_same, needs=write, methods=POST
        ),
        page("/merges/{merge_id:int}", merges.merged, needs=read),
        page("/merges/{merge_id:int}/undo", merges.undo, needs=write, methods=POST, name="undo_merge"),
        page(
            "/contacts/{contact_id:int}/personal-data",
            privacy.export,
            needs=Permission.PERSONAL_DATA_EXPORT,
            methods=POST,
            name="export_contact",
        ),
        page("/contacts/{contact_id:int}/erase", privacy.ask, needs=Permission.PERSONAL_DATA_ERASE, name="ask_erase"),
        page(
            "/contacts/{contact_id:int}/erase",
            privacy.erase,
            needs=Permission.PERSONAL_DATA_ERASE,
            methods=POST,
            name="erase_contact",
        ),
        page("/contacts/{contact_id:int}/consent", consents.keep, needs=write, methods=POST, name="keep_consent"),
        page("/consents/{consent_id:int}", consents.text, needs=read, name="consent_text"),
        page("/contacts/{contact_id:int}/numbers", contacts.link_number, needs=write, methods=POST),
        page(
            "/contacts/{contact_id:int}/note",
            contacts.note,
            needs=Permission.NOTES_WRITE,
            methods=POST,
            name="contact_note",
        ),
        page("/companies", client_lists.listed, needs=read, name="companies"),
        page("/companies/new", companies.new_company, needs=write),
        page("/companies/new", companies.create_company, needs=write, methods=POST),
        page("/companies/duplicates", company_merges.duplicates, needs=write, name="company_duplicates"),
        page("/companies/alike", company_merges.alike, needs=read, name="companies_alike"),
        page("/companies/{company_id:int}/merge", company_merges.merge_page, needs=write, name="merge_company"),
        page(
            "/companies/{company_id:int}/merge",
            company_merges.merge,
            needs=write,
            methods=POST,
            name="merge_companies",
        ),
        page(
            "/companies/{company_id:int}/not-same",
            company_merges.not_same,
            needs=write,
            methods=POST,
            name="companies_differ",
        ),
        page(
            "/companies/{company_id:int}/not-same/{other_company_id:int}/undo",
            company_merges.undo_not_same,
            needs=write,
            methods=POST,
            name="undo_companies_differ",
        ),
        page("/company-merges/{company_merge_id:int}", company_merges.merged, needs=read, name="company_merge"),
        page(
            "/company-merges/{company_merge_id:int}/undo",
            company_merges.undo,
            needs=write,
            methods=POST,
            name="undo_company_merge",
        ),
        page("/companies/{company_id:int}", companies.company, needs=read),
        page("/companies/{company_id:int}", companies.save_company, needs=write, methods=POST),
        page("/numbers", special_numbers.numbers, needs=lists),
        page("/numbers", special_numbers.mark_number, needs=lists, methods=POST),
        page("/numbers/ranges", special_numbers.add_range, needs=Permission.SETTINGS_EDIT, methods=POST),
        page("/numbers/ranges/remove", special_numbers.remove_range, needs=Permission.SETTINGS_EDIT, methods=POST),
        page("/numbers/remove", special_numbers.unmark_number, needs=Permission.CALLBACKS_WORK, methods=POST),
    ]
