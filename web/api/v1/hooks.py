"""Incoming webhooks: secret addresses whose calls rules hear."""

from typing import Annotated, Literal

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.automation.hook_actions import MOST_A_MINUTE, create_hook, revoke_hook
from pbxcrm.automation.hook_queries import access_hook, calls_of, fields_of, list_hooks
from pbxcrm.automation.hook_rules import LONGEST_KEY, LONGEST_PATH, MOST_FIELDS, HookField, HookValue
from pbxcrm.automation.models import HookCall, HookCallState, IncomingHook
from web.api.fields import ApiAnswer, ApiRequest, Moment, ShortListQuery, needed_text
from web.api.resource import Ask, Page, Resource

hooks = Resource(
    "hooks",
    "Incoming webhooks, for administrators. Another program sends a JSON object of up to 64 kB to `POST /hooks/SECRET` (202; 200 for a "
    "repetition within a day, by `Idempotency-Key`, else by the body; 404, 422, 429). Rules hear it (`when` `webhook`, `webhook_client`).",
)


class HookFieldJson(ApiRequest):
    """A value that rules may use."""

    key: str = Field(
        min_length=1,
        max_length=LONGEST_KEY,
        description="Its name: small Latin letters, digits and `_`. By `deal_id`, `client_id`, `number`, `email` the deal or the client is found.",
    )
    path: str = Field(
        "", max_length=LONGEST_PATH, description="Where it stands in the body: `order.total`; empty: as `key`."
    )
    kind: HookValue = HookValue.TEXT


class NewHook(ApiRequest):
    """A new webhook."""

    name: Annotated[str, needed_text(IncomingHook.name)]
    fields: list[HookFieldJson] = Field(min_length=1, max_length=MOST_FIELDS)
    per_minute: int = Field(60, ge=1, le=MOST_A_MINUTE, description="Calls in a minute, at most.")


class HookFieldOut(ApiAnswer):
    """A value that rules may use."""

    key: str
    path: str
    kind: HookValue


class HookOut(ApiAnswer):
    """A webhook."""

    id: int
    name: str
    fields: list[HookFieldOut]
    per_minute: int
    created_at: Moment
    revoked: bool
    path: str | None = Field(description="`/hooks/SECRET`, only in the answer that makes it.")


class HookCallOut(ApiAnswer):
    """A call."""

    id: int
    at: Moment
    state: Literal[HookCallState.HEARD, HookCallState.NOBODY]
    deal_id: int | None
    contact_id: int | None
    sent: dict[str, str]


@hooks.get("/hooks", needs=Permission.RULES_EDIT, summary="All webhooks")
async def read_hooks(ask: Ask, query: ShortListQuery) -> Page[HookOut]:
    """The newest first, also revoked ones."""
    return Page[HookOut].part_of([_hook(each) for each in await list_hooks(ask.session, ask.viewer)], query)


@hooks.get("/hooks/{hook_id}", needs=Permission.RULES_EDIT, summary="One webhook")
async def read_hook(ask: Ask, hook_id: int) -> HookOut:
    return _hook(await access_hook(ask.session, ask.viewer, hook_id))


@hooks.post("/hooks", needs=Permission.RULES_EDIT, summary="Make a webhook", location=lambda made: f"/hooks/{made.id}")
async def post_hook(ask: Ask, body: NewHook) -> HookOut:
    """Its address is in this answer only."""
    fields = [HookField(each.key, each.path, each.kind.value) for each in body.fields]
    made, secret = await create_hook(
        ask.session, ask.viewer, name=body.name, fields=fields, per_minute=body.per_minute, now=ask.now
    )
    return _hook(made, f"/hooks/{secret}")


@hooks.delete("/hooks/{hook_id}", needs=Permission.RULES_EDIT, summary="Revoke a webhook")
async def delete_hook(ask: Ask, hook_id: int) -> None:
    """Its address takes nothing any more; what it told stays."""
    await revoke_hook(ask.session, ask.viewer, hook_id, ask.now)


@hooks.get("/hooks/{hook_id}/calls", needs=Permission.RULES_EDIT, summary="Its latest calls")
async def read_hook_calls(ask: Ask, hook_id: int, query: ShortListQuery) -> Page[HookCallOut]:
    """Up to a hundred, the newest first; kept for thirty days. Where nobody was found, nothing is kept of what was sent."""
    return Page[HookCallOut].part_of([_call(each) for each in await calls_of(ask.session, ask.viewer, hook_id)], query)


def _hook(hook: IncomingHook, path: str | None = None) -> HookOut:
    return HookOut(
        id=hook.id or 0,
        name=hook.name,
        fields=[HookFieldOut(key=each.key, path=each.path, kind=HookValue(each.kind)) for each in fields_of(hook)],
        per_minute=hook.per_minute,
        created_at=hook.created_at,
        revoked=hook.revoked_at is not None,
        path=path,
    )


def _call(call: HookCall) -> HookCallOut:
    state: Literal[HookCallState.HEARD, HookCallState.NOBODY] = (
        HookCallState.HEARD if call.state == HookCallState.HEARD else HookCallState.NOBODY
    )
    return HookCallOut(
        id=call.id or 0, at=call.at, state=state, deal_id=call.deal_id, contact_id=call.contact_id, sent=call.sent
    )
