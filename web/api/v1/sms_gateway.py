"""The gateway of SMS, for administrators."""

from typing import Annotated, Literal

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.messages.gateway_actions import LONGEST_TEST, GatewayDraft, save_gateway, try_gateway
from pbxcrm.messages.gateway_queries import access_gateway
from pbxcrm.messages.gateway_rules import BodyFormat
from pbxcrm.messages.models import DeliveryState, SmsGateway
from web.api.fields import NO_NUL, ApiAnswer, ApiRequest, Id, Number, Version, needed_text, optional_text
from web.api.resource import Ask, Resource

sms_gateway = Resource(
    "sms-gateway",
    "The program that is asked to send SMS. In `address`, `headers` and `body` stand `{number} {digits} {text} {sender} {id} {key} {secret}`, in "
    "`headers` also `{signature}` (HMAC-SHA256 of the body by the secret), but no `{text}`.",
)


class SmsGatewayBody(ApiRequest):
    """The whole gateway."""

    address: Annotated[str, needed_text(SmsGateway.address)]
    method: Literal["POST", "GET"] = "POST"
    headers: Annotated[str, optional_text(SmsGateway.headers)] = Field("", description="One a line: `Name: value`.")
    body_format: BodyFormat = BodyFormat.JSON
    body: Annotated[str, optional_text(SmsGateway.body)] = ""
    sender: Annotated[str, optional_text(SmsGateway.sender)] = ""
    secret: Annotated[str, optional_text(SmsGateway.secret)] | None = Field(
        None, description="Never shown. Null: the known one stays."
    )
    taken_path: Annotated[str, optional_text(SmsGateway.taken_path)] = Field(
        "", description="The place of a JSON answer where an id, or `true`, says that it was taken: `data.0.id`."
    )
    error_path: Annotated[str, optional_text(SmsGateway.error_path)] = Field(
        "", description="Places of the error, with commas."
    )
    taken_words: Annotated[str, optional_text(SmsGateway.taken_words)] = Field(
        "", description="Words of an answer that took the message, where it is no JSON."
    )
    knows_repeats: bool = Field(False, description="It takes a message with a known `{id}` or `{key}` only once.")
    on: bool = True
    version: Version | None = Field(
        None, description="The version you saw, 0 for none: a newer one is not overwritten."
    )


class SmsGatewayOut(ApiAnswer):
    """The gateway; `version` 0: nobody has described one."""

    address: str
    method: str
    headers: str
    body_format: str
    body: str
    sender: str
    has_secret: bool
    taken_path: str
    error_path: str
    taken_words: str
    knows_repeats: bool
    on: bool
    version: int


class SmsTest(ApiRequest):
    """An SMS to try the gateway with; no guard holds it back."""

    number: Number
    text: Annotated[str, Field(min_length=1, max_length=LONGEST_TEST, pattern=NO_NUL)] = "This is a test of SMS."


class QueuedSmsOut(ApiAnswer):
    """It waits to be sent."""

    id: Id
    state: DeliveryState
    address: str


@sms_gateway.get("/sms-gateway", needs=Permission.SETTINGS_EDIT, summary="The gateway of SMS")
async def read_sms_gateway(ask: Ask) -> SmsGatewayOut:
    return _out(await access_gateway(ask.session, ask.viewer))


@sms_gateway.put("/sms-gateway", needs=Permission.SETTINGS_EDIT, summary="Describe the gateway of SMS")
async def put_sms_gateway(ask: Ask, body: SmsGatewayBody) -> SmsGatewayOut:
    """What waits is sent by it."""
    draft = GatewayDraft(
        address=body.address,
        method=body.method,
        headers=body.headers,
        body_format=body.body_format.value,
        body=body.body,
        sender=body.sender,
        secret=body.secret,
        taken_path=body.taken_path,
        error_path=body.error_path,
        taken_words=body.taken_words,
        knows_repeats=body.knows_repeats,
        is_on=body.on,
    )
    return _out(await save_gateway(ask.session, ask.viewer, draft, ask.now, version=body.version))


@sms_gateway.post(
    "/sms-gateway/test", needs=Permission.SETTINGS_EDIT, summary="Send a test", status=200, conflicts=True
)
async def post_sms_test(ask: Ask, body: SmsTest) -> QueuedSmsOut:
    """409 while no gateway is described."""
    row = await try_gateway(ask.session, ask.viewer, body.number, body.text, ask.settings.region, ask.now)
    return QueuedSmsOut(id=row.id or 0, state=DeliveryState(row.state), address=row.address)


def _out(gateway: SmsGateway | None) -> SmsGatewayOut:
    known = gateway or SmsGateway(address="", method="POST", body_format="json", is_on=False, version=0)
    return SmsGatewayOut(
        address=known.address,
        method=known.method,
        headers=known.headers,
        body_format=known.body_format,
        body=known.body,
        sender=known.sender,
        has_secret=bool(known.secret),
        taken_path=known.taken_path,
        error_path=known.error_path,
        taken_words=known.taken_words,
        knows_repeats=known.knows_repeats,
        on=known.is_on,
        version=known.version,
    )
