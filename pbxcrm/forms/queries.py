"""Queries on forms, their consent texts, requests and mailboxes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from sqlalchemy import bindparam, case, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.contacts.access import is_live
from pbxcrm.contacts.models import Consent, Contact, Email
from pbxcrm.contacts.name_likeness import address_key
from pbxcrm.contacts.queries import access_contact, load_numbers
from pbxcrm.deals.models import CLOSED_KINDS, Deal, StageKind, StageMove
from pbxcrm.deals.queries import load_funnel
from pbxcrm.files.store import Kept
from pbxcrm.forms.access import visible_requests
from pbxcrm.forms.models import FormConsent, FormKind, FormRequest, Mailbox, RequestState, WebForm
from pbxcrm.forms.repeat_rules import ClientDeal
from pbxcrm.shared.config_cache import cached_until_changed
from pbxcrm.shared.core_sql import fetch, load_by_id
from pbxcrm.shared.errors import NotFound
from pbxcrm.tasks.models import Task, TaskStatus


@dataclass(frozen=True)
class Forms:
    """All forms in memory, by name."""

    all: tuple[WebForm, ...]

    @cached_property
    def by_key(self) -> Mapping[str, WebForm]:
        """Forms that take requests, by their public key."""
        return {form.key: form for form in self.all if form.archived_at is None}

    @cached_property
    def by_id(self) -> Mapping[int, WebForm]:
        """Every form, also archived ones."""
        return {form.id or 0: form for form in self.all}

    def of_mailbox(self, name: str) -> WebForm | None:
        """The form that gets the e-mails of a mailbox; None if nobody made one."""
        kept = (each for each in self.by_key.values() if each.kind == FormKind.MAIL)
        return next((each for each in kept if each.mailbox == name), None)


async def load_forms(session: AsyncSession) -> Forms:
    """All forms, from memory until one changes."""
    return await cached_until_changed(session, _read_forms)


async def _read_forms(session: AsyncSession) -> Forms:
    return Forms(tuple((await session.exec(select(WebForm).order_by(col(WebForm.name), col(WebForm.id)))).all()))


async def load_form_names(session: AsyncSession) -> dict[int, str]:
    """The names of all forms by id, also of those that take no requests any more."""
    return {form.id or 0: form.name for form in (await load_forms(session)).all}


async def access_form(session: AsyncSession, form_id: int) -> WebForm:
    """The form, also an archived one. Raises NotFound."""
    found = await session.get(WebForm, form_id)
    if found is None:
        raise no_form()
    return found


def no_form() -> NotFound:
    """The error for a form that does not exist or takes no requests any more."""
    return NotFound("forms.not_found", "There is no such form, or it takes no requests any more.")


async def consent_of(session: AsyncSession, form: WebForm) -> FormConsent | None:
    """The text to which people consent now; None where the form asks for none."""
    return await consent_version(session, form.id or 0, form.consent_version) if form.consent_version else None


async def consent_version(session: AsyncSession, form_id: int, version: int) -> FormConsent | None:
    """The text of one version."""
    asked = select(FormConsent).where(FormConsent.form_id == form_id, FormConsent.version == version)
    return (await session.exec(asked)).first()


@dataclass(frozen=True, slots=True)
class ConsentRow:
    """A consent of a client, with the version of its text; 0: it is no form's."""

    consent: Consent
    version: int


async def consent_rows(session: AsyncSession, consents: Sequence[Consent]) -> list[ConsentRow]:
    """The consents with the versions of their texts, in one query."""
    texts = await load_by_id(session, FormConsent, (each.text_id for each in consents))
    return [ConsentRow(each, texts[each.text_id].version if each.text_id in texts else 0) for each in consents]


async def access_consent(session: AsyncSession, viewer: Viewer, consent_id: int) -> tuple[Consent, FormConsent]:
    """A consent of a client that the viewer sees, with its text. Raises NotFound."""
    consent = await session.get(Consent, consent_id)
    text = await session.get(FormConsent, consent.text_id) if consent is not None and consent.text_id else None
    if consent is None or text is None:
        raise NotFound("consents.not_found", "There is no such text, or it is of a colleague's client.")
    await access_contact(session, viewer, consent.contact_id)
    return consent, text


async def consents_of(session: AsyncSession, form_id: int) -> Sequence[FormConsent]:
    """All versions, the newest first."""
    asked = select(FormConsent).where(FormConsent.form_id == form_id).order_by(col(FormConsent.version).desc())
    return (await session.exec(asked)).all()


async def request_of_key(session: AsyncSession, form_id: int, key: str) -> FormRequest | None:
    """The request with this key."""
    asked = select(FormRequest).where(FormRequest.form_id == form_id, FormRequest.dedup_key == key)
    return (await session.exec(asked)).first()


# These two are asked by each post of a flood, so they are built once.
_SAME_CONTENT = (
    select(FormRequest)
    .where(
        FormRequest.form_id == bindparam("form_id"),
        FormRequest.content_hash == bindparam("content"),
        col(FormRequest.at) > bindparam("since"),
    )
    .order_by(col(FormRequest.at).desc())
    .limit(1)
)
_LAST_TIMES = (
    select(FormRequest.at)
    .where(
        FormRequest.form_id == bindparam("form_id"),
        FormRequest.address_hash == bindparam("address"),
        col(FormRequest.at) > bindparam("since"),
    )
    .order_by(col(FormRequest.at).desc())
    .limit(bindparam("most"))
)


async def same_content(session: AsyncSession, form_id: int, content: str, since: datetime) -> FormRequest | None:
    """A request with the same content that came after ``since``; the last of several."""
    params = {"form_id": form_id, "content": content, "since": since}
    return (await session.exec(_SAME_CONTENT, params=params)).first()


async def used_proof(session: AsyncSession, form_id: int, proof: str) -> bool:
    """Whether a request has used up this proof of work."""
    asked = select(FormRequest.id).where(FormRequest.form_id == form_id, FormRequest.proof == proof).limit(1)
    return (await session.exec(asked)).first() is not None


async def last_times(
    session: AsyncSession, form_id: int, address: str, since: datetime, most: int
) -> Sequence[datetime]:
    """When requests came from this address after ``since``, newest first, at most ``most``."""
    params = {"form_id": form_id, "address": address, "since": since, "most": most}
    return [at for (at,) in await fetch(session, _LAST_TIMES, params)]


async def contact_of(session: AsyncSession, numbers: Collection[str], emails: Collection[str]) -> Contact | None:
    """The client with one of these numbers, else with one of these addresses.

    Of several with a number whoever had it first; an address that several have names nobody.
    """
    having = (await load_numbers(session, numbers)).contacts
    for number in numbers:
        contacts = having.get(number, [])
        if contacts and all(each.responsible_id == contacts[0].responsible_id for each in contacts):
            return contacts[0]
    keys = [address_key(address) for address in emails]
    if not keys:
        return None
    found = await session.exec(
        select(Contact)
        .join(Email, col(Email.contact_id) == col(Contact.id))
        .where(col(Email.address_key).in_(keys), is_live())
        .distinct()
        .limit(2)
    )
    contacts = list(found.all())
    return contacts[0] if len(contacts) == 1 else None


async def open_deal_there(
    session: AsyncSession, pipeline_id: int, contact: Contact | None, number: str | None
) -> Deal | None:
    """The client's open deal in this pipeline, the one that entered its stage last."""
    if contact is not None:
        of_client = col(Deal.contact_id) == contact.id
    elif number is not None:
        of_client = (col(Deal.client_number) == number) & col(Deal.contact_id).is_(None)
    else:
        return None
    asked = select(Deal).where(
        of_client, Deal.pipeline_id == pipeline_id, col(Deal.closed_at).is_(None), col(Deal.merged_into_id).is_(None)
    )
    return (await session.exec(asked.order_by(col(Deal.stage_since).desc(), col(Deal.id).desc()).limit(1))).first()


async def deals_of_client(session: AsyncSession, contact_id: int) -> list[ClientDeal]:
    """All deals of a client that were not merged, with where they stand."""
    asked = select(Deal).where(col(Deal.contact_id) == contact_id, col(Deal.merged_into_id).is_(None))
    deals = (await session.exec(asked.order_by(col(Deal.id).desc()).limit(200))).all()
    funnel = await load_funnel(session)
    lost = [deal.id for deal in deals if funnel.stages[deal.stage_id].kind == StageKind.LOST]
    left: dict[int, str] = {}
    moves = await session.exec(
        select(StageMove.deal_id, StageMove.from_stage_id)
        .where(col(StageMove.deal_id).in_(lost), col(StageMove.from_stage_id).is_not(None))
        .order_by(col(StageMove.id))
    )
    for deal_id, stage_id in moves.all():
        stage = funnel.stages.get(stage_id)
        left[deal_id] = stage.name if stage is not None else ""
    stages = {deal.id: funnel.stages[deal.stage_id] for deal in deals}
    return [ClientDeal(deal, stages[deal.id].kind, stages[deal.id].name, left.get(deal.id or 0, "")) for deal in deals]


async def open_tasks_of(session: AsyncSession, deals: Collection[ClientDeal]) -> Sequence[Task]:
    """The open tasks of the open ones of these deals."""
    ids = [each.deal.id for each in deals if each.kind not in set(CLOSED_KINDS)]
    asked = select(Task).where(col(Task.deal_id).in_(ids), Task.status == TaskStatus.OPEN.value)
    return (await session.exec(asked)).all()


@dataclass(frozen=True, slots=True)
class ListedRequest:
    """A request with its deal, if it has one."""

    request: FormRequest
    deal: Deal | None


async def list_requests(
    session: AsyncSession,
    viewer: Viewer,
    *,
    state: RequestState | None = None,
    form_id: int | None = None,
    existing: bool = False,
    before: int | None = None,
    limit: int = 50,
) -> list[ListedRequest]:
    """The requests that the viewer sees, newest first. ``before``: only those with a smaller id. ``existing``: only of clients who
    had bought before.
    """
    asked = (
        select(FormRequest, Deal)
        .join(Deal, col(Deal.id) == col(FormRequest.deal_id), isouter=True)
        .where(visible_requests(viewer))
        .order_by(col(FormRequest.id).desc())
        .limit(limit)
    )
    if state is not None:
        asked = asked.where(FormRequest.state == state.value)
    if form_id is not None:
        asked = asked.where(FormRequest.form_id == form_id)
    if existing:
        asked = asked.where(col(FormRequest.is_existing))
    if before is not None:
        asked = asked.where(col(FormRequest.id) < before)
    return [ListedRequest(request, deal) for request, deal in (await session.exec(asked)).all()]


async def counts_of_forms(session: AsyncSession, since: datetime) -> dict[int, tuple[int, int, int]]:
    """Form id → (requests, of them from clients who had bought before, of them set aside) after ``since``; for the settings."""
    existing = func.sum(case((col(FormRequest.is_existing), 1), else_=0))
    asked = (
        select(FormRequest.form_id, FormRequest.state, func.count(), existing)
        .where(col(FormRequest.at) > since)
        .group_by(col(FormRequest.form_id), col(FormRequest.state))
    )
    found: dict[int, tuple[int, int, int]] = {}
    for form_id, state, count, bought in (await session.exec(asked)).all():
        all_of_them, known, aside = found.get(form_id, (0, 0, 0))
        found[form_id] = (
            all_of_them + count,
            known + int(bought or 0),
            aside + (count if state == RequestState.ASIDE else 0),
        )
    return found


async def load_mailboxes(session: AsyncSession) -> dict[str, Mailbox]:
    """How far each mailbox is read, by name."""
    return {row.name: row for row in (await session.exec(select(Mailbox))).all()}


HELD_FOR = timedelta(days=30)  # so long the files of a request that was set aside stay, in case somebody accepts it


def files_of(request: FormRequest) -> list[tuple[str, Kept]]:
    """The names and stored bytes of a request that was set aside."""
    return [(each["name"], Kept(each["size"], each["content_type"], each["sha256"])) for each in request.files]


async def held_hashes(session: AsyncSession, now: datetime) -> set[str]:
    """The hashes of files whose request was set aside in the last ``HELD_FOR`` and may be accepted."""
    query = select(FormRequest).where(
        FormRequest.state == RequestState.ASIDE.value, col(FormRequest.at) >= now - HELD_FOR
    )
    return {kept.sha256 for request in (await session.exec(query)).all() for _name, kept in files_of(request)}
