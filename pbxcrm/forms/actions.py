"""What comes in through a form or a mailbox: one request becomes one deal, or joins the client's open one.

``receive`` is the one door for the hosted page, the embedded form, a site's own form and e-mails. It checks no session: whoever can
reach a form may send it. What the sender gets to know is the same whether or not a client is known.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.contacts.actions import do_create_contact
from pbxcrm.contacts.consent_actions import do_keep_given
from pbxcrm.contacts.hints import say_contact_changed
from pbxcrm.contacts.models import Contact, NumberKind
from pbxcrm.contacts.queries import load_numbers
from pbxcrm.deals.actions import do_count_change, say_deal_changed
from pbxcrm.deals.creation_actions import DealDraft, do_create_by_itself
from pbxcrm.deals.models import Deal, Stage, StageKind
from pbxcrm.deals.queries import load_funnel
from pbxcrm.distribution.actions import NO_RULE, Choice, choose_owner, settle
from pbxcrm.distribution.cases import DealCase
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import as_stored
from pbxcrm.fields.value_actions import do_set_values
from pbxcrm.files.actions import do_attach
from pbxcrm.files.store import Kept
from pbxcrm.flags.actions import do_raise_flag
from pbxcrm.forms.answers import answered_message
from pbxcrm.forms.audience import say_request_changed
from pbxcrm.forms.models import FormKind, FormRequest, RequestState, WebForm
from pbxcrm.forms.queries import (
    consent_version,
    contact_of,
    deals_of_client,
    last_times,
    open_deal_there,
    open_tasks_of,
    request_of_key,
    same_content,
    used_proof,
)
from pbxcrm.forms.repeat_rules import has_bought, last_failed_step
from pbxcrm.forms.rules import Answers
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.people.models import User
from pbxcrm.people.queries import viewer_of
from pbxcrm.shared.core_sql import add_rows
from pbxcrm.shared.db import lock_all
from pbxcrm.shared.errors import Conflict, NotFound, PbxcrmError, TooManyAttempts
from pbxcrm.shared.events import emit
from pbxcrm.shared.lengths import cut
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.shared.savepoints import savepoint
from pbxcrm.tasks.actions import TaskDraft, do_create_task
from pbxcrm.tasks.models import TaskKind

SAME_WITHIN = timedelta(minutes=5)  # the same content without a key is one request
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that was read and checked. ``key``: the sender's own, else empty. ``aside``: why it is set aside, else None.

    ``files``: names and stored bytes. ``address``: a hash of the network address, empty for an e-mail.
    """

    answers: Answers
    content: str
    key: str = ""
    subject: str = ""
    source: str = ""
    page: str = ""
    referrer: str = ""
    utm: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    proof: str = ""
    consent_version: int = 0
    message_id: str = ""
    aside: Reason | None = None
    files: Sequence[tuple[str, Kept]] = ()
    answers_to: Sequence[str] = ()  # of an e-mail: ``ReadMail.answers``


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The settings that a request needs: the region of its numbers, the currency of its deal, the room for its files."""

    region: str
    currency: str
    total_gb: int


async def check_rate(session: AsyncSession, form: WebForm, address: str, now: datetime) -> None:
    """Raise TooManyAttempts where as many requests came from this address in the last minute as the form takes."""
    times = await last_times(session, form.id or 0, address, now - MINUTE, form.per_minute)
    if len(times) >= form.per_minute:
        wait = max(1, round((times[-1] + MINUTE - now).total_seconds()))
        raise TooManyAttempts(
            "forms.too_many", "Too many requests from here. Try again in {retry_after} s.", retry_after=wait
        )


async def known_request(session: AsyncSession, form: WebForm, arrival: Arrival, now: datetime) -> FormRequest | None:
    """The request that this one repeats: with its key, or with its content in the last five minutes.

    Raises Conflict for a key that was used for something else.
    """
    if arrival.key:
        known = await request_of_key(session, form.id or 0, _key(arrival))
        if known is not None and not arrival.message_id and known.content_hash != arrival.content:
            raise Conflict("forms.key_used", "This key was used for another request. Send a new one with a new key.")
        return known
    return await same_content(session, form.id or 0, arrival.content, now - SAME_WITHIN)


async def receive(
    session: AsyncSession, form: WebForm, arrival: Arrival, around: Surroundings, now: datetime
) -> FormRequest:
    """Store the request and do what follows from it, once: a repetition returns the first one. Raises Conflict, TooManyAttempts."""
    numbers = [one.number for one in arrival.answers.numbers]
    same = f"key:{_key(arrival)}" if arrival.key else arrival.content
    await lock_all(
        session,
        [f"form:{form.id}:{same}", f"from:{form.id}:{arrival.address}", *(f"client:{each}" for each in numbers)],
    )
    known = await known_request(session, form, arrival, now)
    if known is not None:
        return known
    if arrival.address:
        await check_rate(session, form, arrival.address, now)
    if arrival.proof and await used_proof(session, form.id or 0, arrival.proof):
        raise Conflict("forms.proof_used", "This form was sent already. Reload the page to send another one.")
    request = await _store(session, form, arrival, now)
    aside = arrival.aside or await _on_the_list(session, request)
    if aside is not None:
        request.state, request.reason = RequestState.ASIDE.value, aside.stored()
        request.files = [{"name": name, **asdict(kept)} for name, kept in arrival.files]
        record(session, now, "request.aside", "request", request.id, actor=None, reason=aside, form_id=form.id)
        await say_request_changed(session, request, now, await load_directory(session))
    else:
        await do_take_in(session, form, request, arrival, around, now)
    await session.flush()
    return request


async def _store(session: AsyncSession, form: WebForm, arrival: Arrival, now: datetime) -> FormRequest:
    answers = arrival.answers
    request = FormRequest(
        form_id=form.id or 0,
        dedup_key=_key(arrival)
        if arrival.key
        else hashlib.sha256(f"{arrival.content} {now.isoformat()}".encode("utf-8", "replace")).hexdigest(),
        content_hash=arrival.content,
        address_hash=arrival.address,
        proof=arrival.proof,
        at=now,
        name=answers.name,
        number=answers.numbers[0].number if answers.numbers else None,
        email=cut(answers.emails[0], FormRequest.email) if answers.emails else "",
        subject=cut(arrival.subject, FormRequest.subject),
        text=answers.message,
        answers=answers.told,
        source=cut(arrival.source, FormRequest.source),
        page=cut(arrival.page, FormRequest.page),
        referrer=cut(arrival.referrer, FormRequest.referrer),
        utm=dict(arrival.utm),
        consent_version=arrival.consent_version,
        message_id=cut(arrival.message_id, FormRequest.message_id),
        state=RequestState.ASIDE.value,
    )
    await add_rows(session, request)
    return request


def _key(arrival: Arrival) -> str:
    """The sender's key, in a form that fits the column whatever it is."""
    return hashlib.sha256(arrival.key.encode("utf-8", "replace")).hexdigest()


async def _on_the_list(session: AsyncSession, request: FormRequest) -> Reason | None:
    number = request.number
    if number is None or (await load_numbers(session, [number])).special.get(number) is not NumberKind.SPAM:
        return None
    return reason("form.spam", number=number)


async def do_take_in(
    session: AsyncSession,
    form: WebForm,
    request: FormRequest,
    arrival: Arrival,
    around: Surroundings,
    now: datetime,
    *,
    by: Viewer | None = None,
) -> None:
    """What follows from a stored request: its client, its deal, a flag, a task and the bell. ``by``: who said that it is a request."""
    answers = arrival.answers
    numbers, people = [one.number for one in answers.numbers], await load_directory(session)
    answered = await answered_message(session, arrival.answers_to)
    if (
        answered is not None
    ):  # it belongs to the deal that we wrote about, whoever sends it and however that deal stands
        deal: Deal | None = answered.deal
        contact = await session.get(Contact, answered.deal.contact_id) if answered.deal.contact_id else None
    else:
        contact = await contact_of(session, numbers, answers.emails)
        deal = await open_deal_there(session, form.pipeline_id, contact, request.number)
    who = contact.name if contact is not None and contact.name else _called(request)
    came = reason("form.deal_mail" if form.kind == FormKind.MAIL else "form.deal", name=who, form=form.name)
    if answered is not None:
        came = reason("form.answer", name=who, subject=answered.subject)
    elif contact is not None:
        await _look_at_chain(session, request, contact, people, now)
    stage = await _stage(session, form)
    custom = await as_stored(session, FieldEntity.DEAL, answers.custom, around.region)
    title = arrival.subject or who
    case = DealCase(
        stage.pipeline_id,
        stage.id,
        subject=f"request:{request.id}",
        form_id=form.id,
        source=request.source or form.name,
        title=title,
        client_number=request.number,
        custom=custom,
        client_custom=contact.custom if contact is not None else {},
    )
    owner, why_owner, choice = await _owner(session, form, case, deal, contact, people, now)
    who_writes = "bought" if request.is_existing else "new" if contact is None else "known"
    if contact is None:
        contact = await do_create_contact(
            session,
            name=answers.name or who,
            numbers=answers.numbers,
            addresses=answers.emails,
            company=answers.company,
            owner=await viewer_of(session, owner) if owner is not None else None,
            why=reason("form.client", name=who, form=form.name),
            now=now,
        )
    accepted = reason("form.accepted", by=by.name) if by is not None else None
    joins = deal is not None
    if deal is None:
        why = reason(came.code, accepted, why_owner, **came.params)
        new = DealDraft(
            title=title,
            stage=stage,
            responsible_id=owner.id if owner is not None else None,
            reason=why,
            currency=around.currency,
            contact_id=contact.id,
            company_id=contact.company_id,
            client_number=request.number,
            values={"source": request.source or form.name},
        )
        deal = await do_create_by_itself(
            session, new, now, people, lambda made: _fill_in(session, made, answers, around.region, now, why)
        )
        await settle(session, choice, deal, now, people)
        request.state, request.reason = RequestState.DEAL.value, why.stored()
    else:
        why = reason(came.code, accepted, None if answered else reason("form.joined", title=deal.title), **came.params)
        request.state, request.reason = RequestState.JOINED.value, why.stored()
        if await _fill_in(session, deal, answers, around.region, now, why):
            await do_count_change(session, deal, now, people)
        else:
            say_deal_changed(session, deal, now, people)
    came_with = {"request_id": request.id, "form_id": form.id, "joined": joins, "client": who_writes}
    if answered is not None:
        came_with["delivery_id"] = answered.delivery_id
    act = "deal.answered" if answered is not None else "deal.request"
    record(session, now, act, "deal", deal.id, actor=None, reason=why, **came_with)
    request.deal_id, request.contact_id = deal.id, contact.id
    if request.consent_version:
        text = await consent_version(session, form.id or 0, request.consent_version)
        await do_keep_given(session, contact, form.name, text.id if text is not None else None, request.at)
        await say_contact_changed(session, contact, now)  # ``request.at`` may be days ago: it was set aside
    await say_request_changed(session, request, now, people)
    for name, kept in arrival.files:
        try:
            async with savepoint(session):
                await do_attach(session, deal, name, kept, now, total_gb=around.total_gb, why=why)
        except PbxcrmError as error:
            request.answers = [*request.answers, [name, str(error)]]
    if request.is_existing:
        flag = reason("repeat.flag", Reason.load(request.fault), form=form.name)
        await do_raise_flag(session, deal, flag, now)
    await _ring(session, form, request, deal, who, people, now, told=choice.spoke)


async def _look_at_chain(
    session: AsyncSession, request: FormRequest, contact: Contact, people: Directory, now: datetime
) -> None:
    """Whether the client had bought before, and which step of the repeat sale failed last."""
    deals = await deals_of_client(session, contact.id or 0)
    if not has_bought(deals):
        return
    request.is_existing = True
    fault = last_failed_step(deals, await open_tasks_of(session, deals), people, now)
    request.fault = fault.stored() if fault is not None else {}


async def _owner(
    session: AsyncSession,
    form: WebForm,
    case: DealCase,
    deal: Deal | None,
    contact: Contact | None,
    people: Directory,
    now: datetime,
) -> tuple[User | None, Reason, Choice]:
    """Who gets the request: whoever has the open deal, else the client, else whom the form names, else whom the rules of distribution
    choose.
    """
    if deal is not None and (user := people.active(deal.responsible_id)) is not None:
        return user, reason("form.owner_deal", who=user.name), NO_RULE
    if contact is not None and (user := people.active(contact.responsible_id)) is not None:
        return user, reason("form.owner_client", who=user.name), NO_RULE
    if (user := people.active(form.responsible_id)) is not None:
        return user, reason("form.owner_form", who=user.name, form=form.name), NO_RULE
    nobody = reason("form.owner_nobody", form=form.name)
    if deal is not None:
        return None, nobody, NO_RULE
    choice = await choose_owner(session, case, now)
    return people.active(choice.user_id), choice.reason or nobody, choice


async def _stage(session: AsyncSession, form: WebForm) -> Stage:
    """Where a new deal of the form stands: in Unsorted of its pipeline, else in the first stage of work. An archived pipeline gives its
    requests to the default one, so that none is lost.
    """
    funnel = await load_funnel(session)
    for pipeline_id in (form.pipeline_id, funnel.default_id):
        pipeline = funnel.pipelines.get(pipeline_id)
        if pipeline is None or pipeline.archived_at is not None:
            continue
        for kind in (StageKind.UNSORTED, StageKind.OPEN):
            stage = funnel.stage_of_kind(pipeline_id, kind)
            if stage is not None:
                return stage
    raise NotFound("deals.no_pipeline", "There is no pipeline yet. Ask an administrator.")


async def _fill_in(
    session: AsyncSession, deal: Deal, answers: Answers, region: str, now: datetime, why: Reason
) -> dict[str, Any]:
    """Set the custom fields and return what changed. A value that cannot be stored (taken already, or its field was archived) stays among the answers."""
    changed: dict[str, Any] = {}
    for key, entered in answers.custom.items():
        try:
            async with savepoint(session):
                changed |= await do_set_values(session, None, FieldEntity.DEAL, deal, {key: entered}, region=region)
        except PbxcrmError:
            continue
    if changed:
        record(session, now, "deal.edited", "deal", deal.id, actor=None, reason=why, changed=changed)
    return changed


async def _ring(
    session: AsyncSession,
    form: WebForm,
    request: FormRequest,
    deal: Deal,
    who: str,
    people: Directory,
    now: datetime,
    *,
    told: bool,
) -> None:
    """A task, due at once in working time, and the bell of whoever got it; of a manager if nobody did. ``told``: the rules of
    distribution have given the manager a task already.
    """
    calendars = await load_calendars(session, people)
    owner = people.active(deal.responsible_id)
    asked = owner or people.manager_of(form.responsible_id)
    acting = calendars.acting(asked.id, now) if asked is not None and asked.id is not None else None
    rung = acting or (asked.id if asked is not None else None)
    emit(session, "bell", request.id, now, users=[rung], urgent=True)
    if owner is None and told:
        return
    new = TaskDraft(
        kind=TaskKind.TODO if owner is not None else TaskKind.CONTROL,
        title=reason("task.request" if owner is not None else "task.request_nobody", client=who),
        why=reason("task.request_why", form=form.name),
        due_at=calendars.of_user(rung).add_minutes(now, 0),
        assignee_id=rung,
        deal_id=deal.id,
        contact_id=request.contact_id,
        about=f"request:{deal.id}",
    )
    await do_create_task(session, new, now, people)


def _called(request: FormRequest) -> str:
    return request.name or request.email or request.number or "—"
