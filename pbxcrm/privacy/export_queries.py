"""All that is kept about a client, in sections that a person and a program can read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, true
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Role, Viewer
from pbxcrm.audit.actions import record
from pbxcrm.callbacks.access import visible_episodes
from pbxcrm.callbacks.models import Episode
from pbxcrm.calls.access import visible_calls
from pbxcrm.calls.models import Call
from pbxcrm.contacts.birthday_rules import iso_birthday
from pbxcrm.contacts.hooks import Held
from pbxcrm.contacts.models import Company, Consent, Contact, Email, Phone
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal, Note
from pbxcrm.deals.queries import load_funnel
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import load_fields
from pbxcrm.files.access import visible_files
from pbxcrm.files.models import AttachedFile
from pbxcrm.forms.access import visible_requests
from pbxcrm.forms.models import FormRequest
from pbxcrm.messages.access import visible_messages
from pbxcrm.messages.models import Delivery
from pbxcrm.notes.access import visible_notes
from pbxcrm.people.directory import load_directory
from pbxcrm.privacy.access import access_to_export
from pbxcrm.privacy.queries import held_of
from pbxcrm.shared.core_sql import one_of
from pbxcrm.shared.reasons import N_
from pbxcrm.tasks.access import visible_tasks
from pbxcrm.tasks.models import Task

Row = dict[str, Any]
#: The sections of an export in their order, with their headings.
HEADINGS = {
    "client": N_("Client"),
    "phones": N_("Numbers"),
    "emails": N_("E-mail"),
    "consents": N_("Consent"),
    "deals": N_("Deals"),
    "calls": N_("Calls"),
    "callbacks": N_("Callbacks"),
    "tasks": N_("Tasks"),
    "notes": N_("Notes"),
    "requests": N_("Requests"),
    "messages": N_("Messages"),
    "files": N_("Files"),
}
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class PersonalData:
    """``sections``: by a key of ``HEADINGS`` the rows, each with plain names and values as in JSON.

    ``is_complete``: whether they are all rows, not only those that the viewer sees. It follows from the role alone, so that it tells
    nothing of other teams.
    """

    contact_id: int
    at: datetime
    is_complete: bool
    sections: dict[str, list[Row]]

    def as_json(self) -> dict[str, Any]:
        """The whole as JSON."""
        return {"contact_id": self.contact_id, "at": _plain(self.at), "is_complete": self.is_complete, **self.sections}


async def export_client(session: AsyncSession, viewer: Viewer, contact_id: int, *, now: datetime) -> PersonalData:
    """What the viewer sees about a client; the audit log keeps who took it out. Raises NotAllowed, NotFound.

    An administrator takes out everything. A manager has the rows of their teams and nobody's: what another team has with the same
    number is as if there were none.
    """
    contact = await access_to_export(session, viewer, contact_id)
    held, is_complete = await held_of(session, contact), viewer.role is Role.ADMIN
    people, funnel, fields = await load_directory(session), await load_funnel(session), await load_fields(session)
    named = {
        entity: {str(each.id): each.name for each in fields.of(entity)}
        for entity in (FieldEntity.CONTACT, FieldEntity.DEAL)
    }

    def client(row: Contact) -> Row:
        born = iso_birthday(row.birth_year, row.birth_day)
        return {
            "id": row.id, "name": row.name, "birthday": born, "language": row.language, "responsible": people.name(row.responsible_id),
            "note": row.note, "since": row.created_at, "merged_into": row.merged_into_id,
            "fields": _custom(row.custom, named[FieldEntity.CONTACT]),
        }  # fmt: skip

    def deal(row: Deal) -> Row:
        stage = funnel.stages.get(row.stage_id)
        return {
            "id": row.id, "title": row.title, "stage": stage.name if stage is not None else "", "amount": row.amount,
            "currency": row.currency, "source": row.source, "number": row.client_number, "created_at": row.created_at,
            "closed_at": row.closed_at, "lost_reason": row.lost_reason, "responsible": people.name(row.responsible_id),
            "fields": _custom(row.custom, named[FieldEntity.DEAL]),
        }  # fmt: skip

    def call(row: Call) -> Row:
        return {
            "id": row.id, "at": row.started_at, "direction": row.direction, "outcome": row.outcome,
            "number": row.client_number, "name": row.client_name, "talk_seconds": row.talk_seconds,
            "recorded": row.recording is not None,
        }  # fmt: skip

    def callback(row: Episode) -> Row:
        return {
            "id": row.id, "number": row.client_number, "missed_count": row.missed_count, "status": row.status,
            "first_missed_at": row.first_missed_at, "closed_at": row.closed_at,
        }  # fmt: skip

    def task(row: Task) -> Row:
        return {
            "id": row.id, "title": row.title, "note": row.note, "due_at": row.due_at, "status": row.status,
            "result": row.result, "assignee": people.name(row.assignee_id),
        }  # fmt: skip

    def note(row: Note) -> Row:
        return {"id": row.id, "at": row.at, "author": people.name(row.author_id), "text": row.text}

    def request(row: FormRequest) -> Row:
        return {
            "id": row.id, "at": row.at, "name": row.name, "number": row.number, "email": row.email,
            "subject": row.subject, "text": row.text, "answers": row.answers, "source": row.source, "page": row.page,
            "referrer": row.referrer, "utm": row.utm, "consent_version": row.consent_version,
        }  # fmt: skip

    def message(row: Delivery) -> Row:
        return {
            "id": row.id, "at": row.created_at, "channel": row.channel, "state": row.state, "address": row.address,
            "subject": row.subject, "text": row.body, "sent_at": row.sent_at, "by": people.name(row.by_id),
        }  # fmt: skip

    def file(row: AttachedFile) -> Row:
        return {"id": row.id, "name": row.name, "size": row.size, "at": row.at}

    async def shown(
        table: type[SQLModel], ids: Sequence[int], told: Callable[[Any], Row], seen: ColumnElement[bool]
    ) -> list[Row]:
        return await _rows(session, table, ids, told, None if is_complete else seen)

    clients = await _rows(session, Contact, held.contacts, client)
    companies = await session.exec(select(Company.name).where(Company.id == contact.company_id))
    clients[0]["company"] = companies.first() or ""
    phones = await session.exec(select(Phone).where(col(Phone.contact_id).in_(held.contacts)))
    emails = await session.exec(select(Email).where(col(Email.contact_id).in_(held.contacts)))
    consents = await session.exec(
        select(Consent).where(col(Consent.contact_id).in_(held.contacts)).order_by(col(Consent.id))
    )
    sections: dict[str, list[Row]] = {
        "client": clients,
        "phones": [
            {
                "number": each.number,
                "extension": each.extension,
                "kind": each.kind,
                "label": each.label,
                "main": each.is_main,
            }
            for each in phones.all()
        ],
        "emails": [
            {"address": each.address, "kind": each.kind, "label": each.label, "main": each.is_main}
            for each in emails.all()
        ],
        "consents": [{"given": each.is_given, "at": _plain(each.at), "source": each.source} for each in consents.all()],
        "deals": await shown(Deal, held.deals, deal, visible_deals(viewer)),
        "calls": await shown(Call, held.calls, call, visible_calls(viewer)),
        "callbacks": await shown(Episode, held.callbacks, callback, visible_episodes(viewer)),
        "tasks": await shown(Task, held.tasks, task, visible_tasks(viewer)),
        "notes": await shown(Note, held.notes, note, visible_notes(viewer)),
        "requests": await shown(FormRequest, held.requests, request, visible_requests(viewer)),
        "messages": await shown(Delivery, await _messages(session, held), message, visible_messages(viewer)),
        "files": await shown(AttachedFile, held.files, file, visible_files(viewer)),
    }
    record(session, now, "contact.exported", "contact", contact.id, actor=viewer)
    return PersonalData(contact.id or 0, now, is_complete, sections)


async def _messages(session: AsyncSession, held: Held) -> Sequence[int]:
    found: list[int] = []
    for column, ids in ((col(Delivery.contact_id), held.contacts), (col(Delivery.deal_id), held.deals)):
        rows = await session.exec(select(Delivery.id).where(one_of(session, column, ids)))
        found += [row_id for row_id in rows.all() if row_id is not None]
    return sorted(set(found))


async def _rows(
    session: AsyncSession,
    table: type[SQLModel],
    ids: Sequence[int],
    told: Callable[[Any], Row],
    seen: ColumnElement[bool] | None = None,
) -> list[Row]:
    """Rows by their ids; only the ``seen`` ones, if that is given."""
    condition = true() if seen is None else seen
    found: list[Row] = []
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        query = select(table).where(table.id.in_(some), condition).order_by(table.id)  # type: ignore[attr-defined]
        found += [_plain(told(row)) for row in (await session.exec(query)).all()]
    return found


def _custom(stored: Mapping[str, Any], names: Mapping[str, str]) -> Row:
    """Custom fields by name; of a definition that is gone by its number."""
    return {names.get(key, key): value for key, value in stored.items()}


def _plain(value: Any) -> Any:
    """As JSON has it: times in RFC 3339, UTC; amounts as text."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return str(value) if isinstance(value, Decimal) else value
