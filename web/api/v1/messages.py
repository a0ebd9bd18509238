"""Templates of messages to clients, messages about a deal, and the stop list."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.fields.queries import load_fields
from pbxcrm.messages.actions import decide_delivery, preview_message, send_message
from pbxcrm.messages.models import Delivery, DeliveryState, MessageChannel, MessageStop, MessageTemplate
from pbxcrm.messages.option_actions import add_stop, remove_stop
from pbxcrm.messages.queries import (
    access_message_template,
    deliveries_of_deal,
    list_message_templates,
    list_stops,
    stops_of_client,
)
from pbxcrm.messages.sms_rules import size_of
from pbxcrm.messages.stop_actions import stop_client, welcome_client
from pbxcrm.messages.template_actions import MessageDraft, archive_message_template, save_message_template
from pbxcrm.messages.template_rules import LONGEST_SUBJECT, LONGEST_TEXT
from pbxcrm.messages.values import field_titles
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.reasons import text
from web.api.fields import (
    NO_NUL,
    ApiAnswer,
    ApiRequest,
    Id,
    Moment,
    ShortListQuery,
    Version,
    needed_text,
    optional_text,
)
from web.api.resource import Ask, Page, Resource
from web.message_words import shown_body

messages = Resource("messages", "Messages to clients: templates, what was sent about a deal, and the stop list.")

Code = Literal["uk", "ru", "en"]
TextBody = Annotated[str, Field(max_length=LONGEST_TEXT, pattern=NO_NUL)]
SubjectBody = Annotated[str, Field(max_length=LONGEST_SUBJECT, pattern=NO_NUL)]
LONGEST_KEY = 100
KEY = "Of your own making: sent again with the same one, nothing more is sent."


class MessageTemplateBody(ApiRequest):
    """A whole template. Texts name fields in braces: `{client.name}`, `{client.name|friend}`; `GET /message-templates/fields` lists them.
    `{= amount / 2}` is a formula: it reads the fields of the deal by their keys, `stage`, `responsible`, and the client's as `client_name`,
    `client_KEY`.
    """

    name: Annotated[str, needed_text(MessageTemplate.name)]
    channel: MessageChannel = MessageChannel.EMAIL
    subjects: dict[Code, SubjectBody] = Field(default_factory=dict, description="By language; of e-mail.")
    texts: dict[Code, TextBody] = Field(description="By language; at least one.")


class MessageTemplateChange(MessageTemplateBody):
    """The whole template as it shall be."""

    archived: bool = False
    version: Version | None = Field(None, description="The version you saw: a newer one is not overwritten (409).")


class MessageTemplateOut(ApiAnswer):
    """A template of messages."""

    id: int
    name: str
    channel: MessageChannel
    subjects: dict[str, str]
    texts: dict[str, str]
    archived: bool
    version: int


class MessageFieldOut(ApiAnswer):
    """A field that texts may name."""

    name: str
    title: str


class MessagePreviewOut(ApiAnswer):
    """A message as it would be sent now."""

    address: str = Field(description="Empty: the client has none.")
    language: str
    subject: str
    body: str
    refused: str | None = Field(description="Why it would not be sent, or only later.")
    sms: int | None = Field(description="How many SMS the text needs; null for e-mail.")
    due_at: Moment | None = Field(description="When quiet hours are over, if that is what it waits for.")


class NewMessage(ApiRequest):
    """A template is sent to the client of the deal."""

    message_template_id: Id
    key: Annotated[str, Field(min_length=1, max_length=LONGEST_KEY, pattern=NO_NUL)] = Field(description=KEY)


class MessageDecision(ApiRequest):
    """What becomes of a message that may have been sent, or could not be."""

    again: bool = Field(description="It is sent again; false: it is left as it is.")


class DeliveryOut(ApiAnswer):
    """A message, and what became of it."""

    id: int
    channel: str
    state: DeliveryState = Field(
        description="`queued sending sent failed refused unknown watch left`. `unknown`: a sender stopped in the midst, and a person decides."
    )
    message_template_id: int | None
    deal_id: int | None
    contact_id: int | None
    rule_id: int | None = Field(description="The rule that sent it.")
    by: str | None = Field(description="The login of who sent it.")
    test: bool
    address: str
    subject: str
    body: str
    said: str = Field(description="The last error, or why it was refused.")
    answer: str = Field(description="What the server answered.")
    tries: int
    created_at: Moment
    due_at: Moment
    sent_at: Moment | None


class NewStop(ApiRequest):
    """An address or a number that shall get nothing."""

    address: Annotated[str, needed_text(MessageStop.address)]
    note: Annotated[str, optional_text(MessageStop.note)] = ""


class StopOut(ApiAnswer):
    """An address or a number to which nothing is sent."""

    id: int
    address: str
    note: str
    by: str | None = Field(description="Null: whoever got a message pressed the link in it; `why` says which.")
    why: str
    at: Moment


@messages.get("/message-templates/fields", needs=Permission.DEALS_READ, summary="What texts of messages may name")
async def read_message_fields(ask: Ask, query: ShortListQuery) -> Page[MessageFieldOut]:
    titles = field_titles(await load_fields(ask.session))
    return Page[MessageFieldOut].part_of(
        [MessageFieldOut(name=name, title=each) for name, each in titles.items()], query
    )


@messages.get("/message-templates", needs=Permission.DEALS_READ, summary="Templates of messages in use, by name")
async def read_message_templates(ask: Ask, query: ShortListQuery) -> Page[MessageTemplateOut]:
    rows = await list_message_templates(ask.session)
    return Page[MessageTemplateOut].part_of([_template(row) for row in rows], query)


@messages.get("/message-templates/{message_template_id}", needs=Permission.DEALS_READ, summary="One template")
async def read_message_template(ask: Ask, message_template_id: int) -> MessageTemplateOut:
    return _template(await access_message_template(ask.session, message_template_id))


@messages.post(
    "/message-templates",
    needs=Permission.SETTINGS_EDIT,
    summary="Add a template of messages",
    location=lambda template: f"/message-templates/{template.id}",
)
async def create_message_template(ask: Ask, body: MessageTemplateBody) -> MessageTemplateOut:
    return _template(await save_message_template(ask.session, ask.viewer, None, _draft(body), ask.now))


@messages.put(
    "/message-templates/{message_template_id}", needs=Permission.SETTINGS_EDIT, summary="Replace a template of messages"
)
async def replace_message_template(
    ask: Ask, message_template_id: int, body: MessageTemplateChange
) -> MessageTemplateOut:
    """What was sent stays as it was."""
    draft = _draft(body)
    await save_message_template(ask.session, ask.viewer, message_template_id, draft, ask.now, version=body.version)
    row = await archive_message_template(
        ask.session, ask.viewer, message_template_id, ask.now, is_archived=body.archived
    )
    return _template(row)


@messages.get(
    "/deals/{deal_id}/messages", needs=Permission.DEALS_READ, summary="Messages about a deal, the newest first"
)
async def read_messages_of_deal(ask: Ask, deal_id: int, query: ShortListQuery) -> Page[DeliveryOut]:
    people = await load_directory(ask.session)
    rows = await deliveries_of_deal(ask.session, ask.viewer, deal_id)
    return Page[DeliveryOut].part_of([_delivery(ask, row, people) for row in rows], query)


@messages.get(
    "/deals/{deal_id}/messages/preview/{message_template_id}",
    needs=Permission.DEALS_EDIT,
    summary="What a template would say",
)
async def read_message_preview(ask: Ask, deal_id: int, message_template_id: int) -> MessagePreviewOut:
    """Nothing is sent."""
    template = await access_message_template(ask.session, message_template_id)
    found = await preview_message(ask.session, ask.viewer, deal_id, template, ask.now)
    return MessagePreviewOut(
        address=found.composed.address,
        language=found.composed.language,
        subject=found.composed.subject,
        body=shown_body(found.composed.body, ask.settings.public_url),
        refused=text(found.why_not) if found.why_not is not None else None,
        sms=size_of(found.composed.body).parts if template.channel == MessageChannel.SMS else None,
        due_at=found.until,
    )


@messages.post(
    "/deals/{deal_id}/messages",
    needs=Permission.DEALS_EDIT,
    summary="Send a template to the client of a deal",
    status=200,
    conflicts=True,
)
async def send_message_of_deal(ask: Ask, deal_id: int, body: NewMessage) -> DeliveryOut:
    """It is sent a moment later, or after quiet hours; `state` tells. What speaks against it for good is 409."""
    row = await send_message(ask.session, ask.viewer, deal_id, body.message_template_id, body.key, ask.now)
    return _delivery(ask, row, await load_directory(ask.session))


@messages.post(
    "/messages/{delivery_id}/decide",
    needs=Permission.DEALS_EDIT,
    summary="Decide about a message that may have been sent",
    status=200,
    conflicts=True,
)
async def decide_message(ask: Ask, delivery_id: int, body: MessageDecision) -> DeliveryOut:
    row = await decide_delivery(ask.session, ask.viewer, delivery_id, ask.now, again=body.again)
    return _delivery(ask, row, await load_directory(ask.session))


@messages.get("/message-stops", needs=Permission.SETTINGS_EDIT, summary="The stop list")
async def read_message_stops(ask: Ask, query: ShortListQuery) -> Page[StopOut]:
    people = await load_directory(ask.session)
    return Page[StopOut].part_of([_stop(row, people) for row in await list_stops(ask.session, ask.viewer)], query)


@messages.post("/message-stops", needs=Permission.SETTINGS_EDIT, summary="Put an address on the stop list", status=200)
async def post_message_stop(ask: Ask, body: NewStop) -> StopOut:
    row = await add_stop(ask.session, ask.viewer, body.address, body.note, ask.settings.region, ask.now)
    return _stop(row, await load_directory(ask.session))


@messages.delete(
    "/message-stops/{message_stop_id}", needs=Permission.SETTINGS_EDIT, summary="Take an address off the stop list"
)
async def delete_message_stop(ask: Ask, message_stop_id: int) -> None:
    await remove_stop(ask.session, ask.viewer, message_stop_id, ask.now)


@messages.get(
    "/contacts/{contact_id}/message-stops",
    needs=Permission.CONTACTS_READ,
    summary="What of a client is on the stop list",
)
async def read_stops_of_client(ask: Ask, contact_id: int, query: ShortListQuery) -> Page[StopOut]:
    """While one address or number is there, the client gets no message at all."""
    people = await load_directory(ask.session)
    rows = await stops_of_client(ask.session, ask.viewer, contact_id)
    return Page[StopOut].part_of([_stop(row, people) for row in rows], query)


@messages.post(
    "/contacts/{contact_id}/message-stops",
    needs=Permission.CONTACTS_EDIT,
    summary="The client wants no messages",
    status=200,
    conflicts=True,
)
async def stop_messages_to_client(ask: Ask, contact_id: int) -> None:
    """Their addresses and numbers are on the stop list. 409 if they have none."""
    await stop_client(ask.session, ask.viewer, contact_id, ask.now)


@messages.delete(
    "/contacts/{contact_id}/message-stops", needs=Permission.CONTACTS_EDIT, summary="The client wants messages again"
)
async def allow_messages_to_client(ask: Ask, contact_id: int) -> None:
    await welcome_client(ask.session, ask.viewer, contact_id, ask.now)


def _draft(body: MessageTemplateBody) -> MessageDraft:
    texts: Mapping[Any, str] = body.texts
    subjects: Mapping[Any, str] = body.subjects
    return MessageDraft(body.name, body.channel.value, dict(texts), dict(subjects))


def _template(row: MessageTemplate) -> MessageTemplateOut:
    return MessageTemplateOut(
        id=row.id or 0,
        name=row.name,
        channel=MessageChannel(row.channel),
        subjects=row.subjects,
        texts=row.texts,
        archived=row.archived_at is not None,
        version=row.version,
    )


def _delivery(ask: Ask, row: Delivery, people: Directory) -> DeliveryOut:
    return DeliveryOut(
        id=row.id or 0,
        channel=row.channel,
        state=DeliveryState(row.state),
        message_template_id=row.template_id,
        deal_id=row.deal_id,
        contact_id=row.contact_id,
        rule_id=row.rule_id,
        by=people.login(row.by_id),
        test=row.is_test,
        address=row.address,
        subject=row.subject,
        body=shown_body(row.body, ask.settings.public_url),
        said=text(row.said),
        answer=row.answer,
        tries=row.tries,
        created_at=row.created_at,
        due_at=row.due_at,
        sent_at=row.sent_at,
    )


def _stop(row: MessageStop, people: Directory) -> StopOut:
    return StopOut(
        id=row.id or 0, address=row.address, note=row.note, by=people.login(row.by_id), why=text(row.why), at=row.at
    )
