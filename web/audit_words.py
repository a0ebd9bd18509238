"""The codes of the audit log in plain words: actions, things, and values before and after."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pbxcrm.audit.models import AuditEntry
from pbxcrm.deals.fields import FIELDS as DEAL_FIELDS
from pbxcrm.deals.fields import MOMENTS
from pbxcrm.deals.models import Stage
from pbxcrm.people.directory import Directory
from pbxcrm.shared.reasons import sentences
from web import formats, words
from web.i18n import N_
from web.i18n import gettext as _

#: What happened, by the entry's action. One that is missing here is shown as its code.
ACTIONS: dict[str, str] = {
    "deal.created": N_("Deal made"),
    "deal.moved": N_("Deal moved to another stage"),
    "deal.assigned": N_("Deal given to somebody"),
    "deal.edited": N_("Deal changed"),
    "deal.tagged": N_("Tags of a deal changed"),
    "deal.lines": N_("Lines of a deal changed"),
    "product.created": N_("Product added"),
    "product.changed": N_("Product changed"),
    "product.retired": N_("Product retired"),
    "product.restored": N_("Product offered again"),
    "line_template.created": N_("Template of lines added"),
    "line_template.changed": N_("Template of lines changed"),
    "line_template.archived": N_("Template of lines put into the archive"),
    "line_template.restored": N_("Template of lines taken out of the archive"),
    "deal.answered": N_("The client answered a message"),
    "deal.message": N_("Message to the client"),
    "deal.message_decided": N_("Decided about a message to the client"),
    "message_template.created": N_("Template of messages added"),
    "message_template.changed": N_("Template of messages changed"),
    "message_template.archived": N_("Template of messages put into the archive"),
    "message_template.restored": N_("Template of messages taken out of the archive"),
    "sms_gateway.created": N_("Gateway of SMS described"),
    "sms_gateway.changed": N_("Gateway of SMS changed"),
    "sms_gateway.tried": N_("Test of SMS sent"),
    "message_stop.added": N_("Address put on the stop list"),
    "message_stop.removed": N_("Address taken off the stop list"),
    "deal.person_added": N_("Person put on a deal"),
    "deal.person_role": N_("Role of a person on a deal changed"),
    "deal.person_removed": N_("Person taken off a deal"),
    "deal.watched": N_("Somebody watches a deal"),
    "deal.unwatched": N_("Somebody no longer watches a deal"),
    "note.pinned": N_("Note pinned"),
    "note.unpinned": N_("Note no longer pinned"),
    "view.saved": N_("View of the board saved"),
    "view.deleted": N_("View of the board deleted"),
    "view.restored": N_("View of the board restored"),
    "deal.lost_by_callback": N_("Deal lost by the result of a callback"),
    "deal.not_followed": N_("No next deal made after a won one"),
    "task.created": N_("Task made"),
    "task.closed": N_("Task closed"),
    "task.edited": N_("Task changed"),
    "task.restored": N_("Task put back as it was"),
    "task.taken_back": N_("Task taken back"),
    "task.reopened": N_("Task opened again"),
    "task.ticked": N_("Item of a checklist ticked"),
    "task.snoozed": N_("Task put off"),
    "task.planned": N_("Task moved to another time"),
    "task.accepted": N_("Assignment accepted"),
    "task.checked": N_("Assignment checked"),
    "task.returned": N_("Assignment returned"),
    "deals.exported": N_("Deals taken out as a file"),
    "field.created": N_("Field added"),
    "field.changed": N_("Field changed"),
    "field.archived": N_("Field put into the archive"),
    "field.restored": N_("Field taken out of the archive"),
    "field.moved": N_("Field moved in the order"),
    "field.section": N_("Section of fields saved"),
    "field.section_deleted": N_("Section of fields taken away"),
    "distribution.saved": N_("Rule of distribution saved"),
    "distribution.moved": N_("Rule of distribution moved in the order"),
    "distribution.switched_on": N_("Rule of distribution switched on"),
    "distribution.switched_off": N_("Rule of distribution switched off"),
    "distribution.deleted": N_("Rule of distribution deleted"),
    "distribution.restored": N_("Rule of distribution brought back"),
    "form.created": N_("Form added"),
    "form.edited": N_("Form changed"),
    "form.archived": N_("Form put into the archive"),
    "form.restored": N_("Form taken out of the archive"),
    "request.aside": N_("Request set aside"),
    "request.accepted": N_("Request taken in"),
    "deal.request": N_("Request came with a deal"),
    "hook.created": N_("Incoming webhook made"),
    "hook.revoked": N_("Incoming webhook revoked"),
    "webhook.created": N_("Outgoing webhook made"),
    "webhook.changed": N_("Outgoing webhook changed"),
    "webhook.secret_renewed": N_("Secret of an outgoing webhook renewed"),
    "webhook.deleted": N_("Outgoing webhook deleted"),
    "webhook.sent_again": N_("Message of a webhook sent again"),
    "rule.created": N_("Rule added"),
    "rule.changed": N_("Rule changed"),
    "rule.archived": N_("Rule put into the archive"),
    "rule.restored": N_("Rule taken out of the archive"),
    "run.undone": N_("What a rule did was taken back"),
    "line.saved": N_("Line saved"),
    "line.moved": N_("Line moved in the order"),
    "line.deleted": N_("Line deleted"),
    "recording.listened": N_("Recording listened to"),
    "contact.created": N_("Client added"),
    "contact.edited": N_("Client changed"),
    "contact.exported": N_("Personal data of a client taken out"),
    "contact.erased": N_("Client erased on request"),
    "contact.no_messages": N_("Client wants no messages"),
    "contact.messages_again": N_("Client gets messages again"),
    "contact.consent": N_("Consent of a client kept"),
    "contact.merged": N_("Clients merged"),
    "contact.unmerged": N_("Merge of clients undone"),
    "deal.attached": N_("Deal given to another client"),
    "deal.detached": N_("Deal given back to its client"),
    "deal.merged": N_("Deals merged"),
    "deal.unmerged": N_("Merge of deals undone"),
    "contact.not_same": N_("Said that two clients are not the same"),
    "contact.may_be_same": N_("Said that two clients may be the same after all"),
    "contact.number_linked": N_("Number linked to a client"),
    "contact.number_unlinked": N_("Number taken from a client again"),
    "company.created": N_("Company added"),
    "company.edited": N_("Company changed"),
    "contacts.exported": N_("Clients exported to a file"),
    "companies.exported": N_("Companies exported to a file"),
    "company.merged": N_("Companies merged"),
    "company.unmerged": N_("Merge of companies undone"),
    "company.not_same": N_("Said that two companies are not the same"),
    "company.may_be_same": N_("Said that two companies may be the same after all"),
    "number.marked": N_("Number put on the list of those that are not clients"),
    "number.unmarked": N_("Number taken off the list of those that are not clients"),
    "range.added": N_("Range of numbers put on the list of those that are not clients"),
    "range.removed": N_("Range of numbers taken off the list of those that are not clients"),
    "callback.opened": N_("Callback opened"),
    "callback.reopened": N_("Callback opened again"),
    "callback.attempt": N_("Next attempt planned"),
    "callback.reached": N_("Callback closed: the client was reached"),
    "callback.recovered": N_("Callback closed: the client got through"),
    "callback.done": N_("Callback done"),
    "callback.dismissed": N_("Callback dismissed"),
    "callback.lamp": N_("Lamp lit"),
    "callback.escalated": N_("Callback escalated to the manager"),
    "escalation.accepted": N_("Manager took it off control"),
    "escalation.reassigned": N_("Manager gave it to somebody else"),
    "escalation.given_back": N_("Manager took back that it was given to somebody else"),
    "escalation.closed": N_("Escalation ended by work"),
    "escalation.commented": N_("Manager said something to the seller"),
    "escalation.joint": N_("Made a joint task"),
    "callback.passed_on": N_("Result of a callback passed on"),
    "callback.released": N_("Callback released"),
    "callback.undone": N_("Result of a callback taken back"),
    "options.changed": N_("Options changed"),
    "first_run.kept": N_("First steps: kept as it is"),
    "first_run.put_away": N_("First steps put away or brought back"),
    "call.contact_chosen": N_("Client of a call chosen"),
    "call.attached": N_("Call attached to a deal"),
    "call.wrapped_up": N_("Result of a call noted"),
    "phone.originate": N_("Call ordered by a click"),
    "phone.transfer": N_("Transfer ordered"),
    "phone.attended": N_("Transfer after a word with the colleague ordered"),
    "phone.hangup": N_("Hang-up ordered"),
    "calendar.created": N_("Calendar added"),
    "calendar.changed": N_("Working hours changed"),
    "calendar.deleted": N_("Calendar deleted"),
    "leave.created": N_("Leave entered"),
    "leave.changed": N_("Leave changed"),
    "leave.deleted": N_("Leave deleted"),
    "token.created": N_("API token made"),
    "token.revoked": N_("API token revoked"),
    "user.added": N_("Person added"),
    "user.edited": N_("Person changed"),
    "user.profile": N_("Own profile changed"),
    "user.notices": N_("Own profile changed"),
    "user.feed": N_("Address of one's calendar made or ended"),
    "user.password": N_("Own password changed"),
    "team.saved": N_("Team saved"),
    "pipeline.created": N_("Pipeline added"),
    "pipeline.changed": N_("Pipeline changed"),
    "pipeline.archived": N_("Pipeline archived"),
    "stage.created": N_("Stage added"),
    "stage.changed": N_("Stage changed"),
    "stage.tasks": N_("Automatic tasks of a stage changed"),
    "stage.archived": N_("Stage archived"),
    "stage.restored": N_("Stage brought back"),
    "deal.lamp_lit": N_("A lamp of the deal lit"),
    "deal.lamp_out": N_("A lamp of the deal went out"),
    "lamp.retried": N_("A lamp that could not be lit is tried again"),
    "deal.paused": N_("Deal paused"),
    "deal.pause_approved": N_("Pause of a deal approved"),
    "deal.pause_ended": N_("Pause of a deal ended"),
    "checkpoint.created": N_("Checkpoint added"),
    "checkpoint.changed": N_("Checkpoint changed"),
    "checkpoint.deleted": N_("Checkpoint taken away"),
    "file.added": N_("File attached"),
    "file.removed": N_("File removed"),
    "file.put_back": N_("Removed file put back"),
    "flag.raised": N_("Flag raised"),
    "flag.resolved": N_("Flag resolved"),
}
#: Kind of thing -> its name, and the path that shows it by its id (None: no page shows it).
ENTITIES: dict[str, tuple[str, str | None]] = {
    "deal": (N_("deal"), "/deals/{id}"),
    "view": (N_("view of the board"), None),
    "task": (N_("task"), "/tasks/{id}"),
    "callback": (N_("callback"), "/callbacks/{id}"),
    "call": (N_("call"), "/calls/{id}"),
    "contact": (N_("client"), "/contacts/{id}"),
    "company": (N_("company"), "/companies/{id}"),
    "number": (N_("number"), None),
    "range": (N_("range of numbers"), "/numbers"),
    "user": (N_("person"), "/people/{id}"),
    "team": (N_("team"), "/teams/{id}"),
    "product": (N_("product"), "/settings/products/{id}"),
    "line_template": (N_("template of lines"), "/settings/products"),
    "message_template": (N_("template of messages"), "/settings/messages/{id}"),
    "message_stop": (N_("stop list"), None),
    "sms_gateway": (N_("gateway of SMS"), "/settings/messages/sms"),
    "field": (N_("field"), "/settings/fields/{id}"),
    "form": (N_("form"), "/settings/forms/{id}"),
    "request": (N_("request"), None),
    "line": (N_("line"), "/settings/lines/{id}"),
    "distribution_rule": (N_("rule of distribution"), "/settings/distribution/{id}"),
    "rule": (N_("rule"), None),
    "hook": (N_("incoming webhook"), None),
    "webhook": (N_("outgoing webhook"), None),
    "run": (N_("firing of a rule"), None),
    "calendar": (N_("calendar"), "/settings/calendars/{id}"),
    "pipeline": (N_("pipeline"), "/settings/pipelines/{id}"),
    "stage": (N_("stage"), None),
    "checkpoint": (N_("checkpoint"), None),
    "options": (N_("options"), None),
}
_GONE = (".deleted", ".taken_back")  # actions after which the thing does not exist any more
FACTS: dict[str, str] = {
    **{field.key: field.name for field in DEAL_FIELDS},
    "name": N_("Name"),
    "note": N_("Note"),
    "reason": N_("Reason"),
    "new_secret": N_("New secret"),
    "word": N_("What was done"),
    "number": N_("Number"),
    "phones": N_("Numbers"),
    "emails": N_("E-mail"),
    "birthday": N_("Birthday"),
    "language": N_("Language"),
    "company_id": N_("Company"),
    "given": N_("Consent given"),
    "calls": N_("Calls"),
    "recordings": N_("Recordings deleted"),
    "kept": N_("Recordings that stayed on the disk"),
    "consent_id": N_("Number of the consent"),
    "extension": N_("Extension"),
    "extensions": N_("Extensions"),
    "mobiles": N_("Mobile numbers"),
    "login": N_("Login"),
    "role": N_("Role"),
    "is_active": N_("May log in"),
    "team_id": N_("Team"),
    "manager_id": N_("Manager"),
    "assignee_id": N_("Assigned to"),
    "responsible_id": N_("Responsible"),
    "owner_id": N_("Responsible"),
    "deputy": N_("Stands in"),
    "starts_at": N_("From"),
    "ends_at": N_("Until"),
    "by": N_("By"),
    "due_at": N_("Due"),
    "result": N_("Result"),
    "disposition": N_("Result"),
    "kind": N_("Kind"),
    "query": N_("Filters"),
    "state": N_("State"),
    "status": N_("Status"),
    "stay": N_("Steps not undone"),
    "days": N_("Days"),
    "week": N_("Week"),
    "timezone": N_("Time zone"),
    "teams": N_("Teams"),
    "people": N_("People"),
    "norm_minutes": N_("Norm, working minutes"),
    "probability": N_("Probability, %"),
    "position": N_("Place in the order"),
    "instruction": N_("Instruction"),
    "planned": N_("Planned for"),
    "deal_id": N_("Deal"),
    "contact_id": N_("Client"),
    "person": N_("Person"),
    "person_role": N_("Role on the deal"),
    "who": N_("Who"),
    "call_id": N_("The call"),
    "task_id": N_("Task"),
    "owner_order": N_("Whose callback it is, in this order"),
    "callback_due_minutes": N_("Call back within, working minutes"),
    "callback_pause_minutes": N_("Then escalate after, working minutes"),
    "retry_minutes": N_("Next attempts after, working minutes"),
    "retry_outbound": N_("Our own calls plan the next attempt"),
    "attempt_schedule": N_("Next attempts"),
    "amount_by_lines": N_("The amount of a deal with lines is their sum"),
    "discount_limit_seller": N_("Discount that a seller gives on their own, %"),
    "discount_limit_manager": N_("Discount that a manager gives on their own, %"),
    "same_product": N_("A product that the deal has already"),
    "quantity": N_("Quantity"),
    "price": N_("Price"),
    "unit": N_("Unit"),
    "sku": N_("SKU"),
    "group": N_("Group"),
    "vat_rate": N_("VAT, %"),
    "total": N_("Total"),
    "discount_percent": N_("Discount, %"),
    "discount_money": N_("Discount"),
    "asked_percent": N_("Asked discount, %"),
    "asked_money": N_("Asked discount"),
    "longest_plan_days": N_("A next task counts as work for at most so many days"),
    "click_to_call_expiry_seconds": N_("A call by a click waits at most, seconds"),
    "claim_minutes": N_("A claim holds, minutes"),
    "added": N_("Added"),
    "removed": N_("Taken away"),
    "away": N_("Put away"),
    "deals": N_("Deals"),
    "moved_to": N_("Moved to"),
    "error": N_("What went wrong"),
    "file": N_("File name"),
    "size": N_("Size, bytes"),
    "first": N_("First number"),
    "last": N_("Last number"),
    "follows_id": N_("After task"),
    "from_id": N_("Merged"),
    "into_id": N_("Into"),
    "other": N_("The other one"),
    "step": N_("Step of the checkpoint"),
    "template": N_("Template"),
    "text": N_("Text"),
    "titles": N_("Tasks"),
    "until": N_("Until"),
    "up": N_("Further up"),
    "waits": N_("Waits for the manager"),
    "why": N_("Reason"),
    "on": N_("Switched on"),
    "again": N_("Sent again"),
}
_PEOPLE = {"assignee_id", "responsible_id", "owner_id", "manager_id", "deputy", "by"}
_STAGES = {"from_stage", "to_stage", "moved_to", "stage_id"}


def is_told(name: str) -> bool:
    """Whether a detail of this name is shown to people."""
    return name not in _FOR_THE_PRODUCT


def action(code: str) -> str:
    """What happened, in words."""
    return _(ACTIONS.get(code, code))


def entity(entry: AuditEntry) -> str:
    """``deal 12``."""
    word, _path = ENTITIES.get(entry.entity, (entry.entity, None))
    return f"{_(word)} {entry.entity_id}" if entry.entity != "options" else _(word)


def path(entry: AuditEntry) -> str:
    """The path that shows the thing; empty if there is none, or if the thing was deleted."""
    _word, where = ENTITIES.get(entry.entity, ("", None))
    if where is None or entry.action.endswith(_GONE) or not entry.entity_id.isdecimal():
        return ""
    return where.format(id=entry.entity_id)


def details(entry: AuditEntry, people: Directory, stages: Mapping[int | None, Stage]) -> list[str]:
    """``Name: before → after`` for each value that changed, if it was recorded; else the details of the action."""
    told = _Told(people, stages)
    data = dict(entry.data)
    if "from_stage" in data or "to_stage" in data:
        return [f"{told.value('to_stage', data.get('from_stage'))} → {told.value('to_stage', data.get('to_stage'))}"]
    if entry.reason:
        data.pop("result", None)  # the reason as English text; it is told beside, in the reader's language
    lines: list[str] = []
    changed = data.pop("changed", None)
    if isinstance(changed, Mapping):
        lines += [told.change(name, each.get("before"), each.get("after")) for name, each in changed.items()]
    elif changed:
        lines.append(", ".join(told.name(name) for name in changed))
    if "before" in data or "after" in data:
        before, after = data.pop("before", None), data.pop("after", None)
        if isinstance(before, Mapping) or isinstance(after, Mapping):
            was, now = before or {}, after or {}
            lines += [
                told.change(name, was.get(name), now.get(name), known="after" in entry.data)
                for name in {**was, **now}
                if is_told(name)
            ]
        else:
            lines.append(told.change("responsible_id", before, after))
    lines += [
        f"{told.name(name)}: {told.value(name, value)}"
        for name, value in data.items()
        if value not in (None, "", []) and is_told(name)
    ]
    return lines


#: What no person reads: the translated title has its own line, the key that keeps one task open, ids of rows without a page, versions.
_FOR_THE_PRODUCT = frozenset(
    {
        "delivery_id",
        "form_id",
        "request_id",
        "title_code",
        "about",
        "lamp",
        "escalation",
        "leave",
        "merge",
        "file_id",
        "note_id",
        "adopted",
        "version",
        "undo",
        "lines",
    }
)
_TIMES = {*MOMENTS, "due_at", "planned", "until", "starts_at", "ends_at"}


class _Told:
    def __init__(self, people: Directory, stages: Mapping[int | None, Stage]) -> None:
        self._people = people
        self._stages = stages

    def name(self, key: str) -> str:
        return _(FACTS.get(key, key))

    def change(self, key: str, before: Any, after: Any, *, known: bool = True) -> str:
        if not known:
            return _("{name}: was {before}").format(name=self.name(key), before=self.value(key, before))
        return f"{self.name(key)}: {self.value(key, before)} → {self.value(key, after)}"

    def value(self, key: str, value: Any) -> str:
        """A stored value in words."""
        if value is None or value in ("", [], {}):
            return "—"
        if isinstance(value, bool):
            return _("yes") if value else _("no")
        if isinstance(value, int) and key in _PEOPLE:
            return self._people.name(value) or str(value)
        if isinstance(value, int) and key in _STAGES:
            return words.stage(self._stages.get(value))
        if isinstance(value, int) and key == "step":
            return str(value + 1)
        if isinstance(value, int) and key == "team_id":
            team = self._people.teams.get(value)
            return team.name if team is not None else str(value)
        if isinstance(value, str) and key in _TIMES:
            return formats.day_time(datetime.fromisoformat(value))
        if isinstance(value, list | tuple):
            return ", ".join(self.value(key, each) for each in value)
        if isinstance(value, Mapping) and key == "reason":
            return " ".join(sentences(dict(value), _))
        if isinstance(value, Mapping):
            return ", ".join(f"{self.name(name)} {self.value(name, each)}" for name, each in value.items())
        return str(value)[:500]
