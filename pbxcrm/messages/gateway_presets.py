"""Gateways of Ukraine, as their own documentation describes them; the form is filled with one and needs its secret and sender only."""

from collections.abc import Mapping

from pbxcrm.messages.gateway_actions import GatewayDraft

#: By code: the name of the gateway, and its form.
PRESETS: Mapping[str, tuple[str, GatewayDraft]] = {
    # https://turbosms.ua/ua/api.html
    "turbosms": (
        "TurboSMS",
        GatewayDraft(
            address="https://api.turbosms.ua/message/send.json",
            headers="Authorization: Bearer {secret}",
            body='{"recipients": ["{digits}"], "sms": {"sender": "{sender}", "text": "{text}"}}',
            taken_path="response_result.0.message_id",
            error_path="response_result.0.response_status, response_status",
        ),
    ),
    # https://docs.alphasms.net/api/json
    "alphasms": (
        "AlphaSMS",
        GatewayDraft(
            address="https://alphasms.net/api/json.php",
            body='{"auth": "{secret}", "data": [{"type": "sms", "id": {id}, "phone": {digits}, "sms_signature": "{sender}", "sms_message": "{text}"}]}',
            taken_path="data.0.data.msg_id",
            error_path="data.0.error, error",
        ),
    ),
}
