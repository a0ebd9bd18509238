"""The routes of messages to clients."""

from starlette.routing import Route

from pbxcrm.access import Permission
from pbxcrm.messages.mail import UNSUBSCRIBE
from web.pages import deal_messages, message_stops, messages, sms_gateway
from web.routing import POST, outside, page


def unsubscribe_routes() -> list[Route]:
    """What the readers of our e-mails reach."""
    path = f"{UNSUBSCRIBE}/{{message_secret:str}}"
    return [
        outside(path, message_stops.ask, name="ask_unsubscribe"),
        outside(path, message_stops.end, methods=POST, name="unsubscribe"),
    ]


def message_routes() -> list[Route]:
    """Everything below ``/settings/messages``, the message of a deal, and what a person decides about one."""
    edit, write, path = Permission.SETTINGS_EDIT, Permission.DEALS_EDIT, "/settings/messages"
    one, send = f"{path}/{{message_template_id:int}}", "/deals/{deal_id:int}/message"
    return [
        page(path, messages.listed, needs=edit, name="messages"),
        page(f"{path}/options", messages.options, needs=edit, methods=POST, name="message_options"),
        page(f"{path}/stop", messages.stop, needs=edit, methods=POST, name="add_message_stop"),
        page(
            f"{path}/stop/{{message_stop_id:int}}/remove",
            messages.unstop,
            needs=edit,
            methods=POST,
            name="remove_message_stop",
        ),
        page(f"{path}/check", messages.check, needs=edit, methods=POST, name="check_message_template"),
        page(f"{path}/sms", sms_gateway.one, needs=edit, name="sms_gateway"),
        page(f"{path}/sms", sms_gateway.save, needs=edit, methods=POST, name="save_sms_gateway"),
        page(f"{path}/sms/try", sms_gateway.send_test, needs=edit, methods=POST, name="try_sms_gateway"),
        page(f"{path}/new", messages.new, needs=edit, name="new_message_template"),
        page(f"{path}/new", messages.save, needs=edit, methods=POST, name="add_message_template"),
        page(one, messages.one, needs=edit, name="message_template"),
        page(one, messages.save, needs=edit, methods=POST, name="save_message_template"),
        page(f"{one}/archive", messages.archive, needs=edit, methods=POST, name="archive_message_template"),
        page(send, deal_messages.ask, needs=write, name="message_of_deal"),
        page(send, deal_messages.send, needs=write, methods=POST, name="send_message_of_deal"),
        page(
            "/contacts/{contact_id:int}/no-messages",
            message_stops.stop,
            needs=Permission.CONTACTS_EDIT,
            methods=POST,
            name="stop_messages",
        ),
        page(
            "/contacts/{contact_id:int}/messages-again",
            message_stops.welcome,
            needs=Permission.CONTACTS_EDIT,
            methods=POST,
            name="allow_messages",
        ),
        page(
            "/messages/{delivery_id:int}/decide",
            deal_messages.decide,
            needs=write,
            methods=POST,
            name="decide_message",
        ),
    ]
