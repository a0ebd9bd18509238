"""What conditions may ask of a deal: its own columns and what stands beside it here, its custom fields from ``fields.terms``."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, false, func, or_
from sqlmodel import col, select

from pbxcrm.access.owners import there_is
from pbxcrm.contacts.models import Phone
from pbxcrm.contacts.rules import check_asked_number
from pbxcrm.deals.fields import FIELDS, TITLE, DealField, FieldKind
from pbxcrm.deals.filters import LAMPS, STATUSES, has_words, matches_text, tag_key
from pbxcrm.deals.lamp_queries import lamp_rank
from pbxcrm.deals.models import CLOSED_KINDS, Deal, DealTag, Stage, StageKind, Tag
from pbxcrm.deals.rules import check_amount
from pbxcrm.deals.term_facts import DealWithFacts
from pbxcrm.fields import rules
from pbxcrm.fields.conditions import Op, Shape, Term, WordSearch, row_id_of
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import FieldSet
from pbxcrm.fields.rules import Checking, Stored, moment_text
from pbxcrm.fields.terms import custom_terms
from pbxcrm.people.directory import Directory
from pbxcrm.people.models import User
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import N_
from pbxcrm.shared.search_keys import readings, search_key
from pbxcrm.shared.text_match import part_of
from pbxcrm.tasks.models import Task, is_next_step, is_open

_REFERENCES = (
    ("pipeline", N_("Pipeline"), "pipeline_id"),
    ("stage", N_("Stage"), "stage_id"),
    ("contact", N_("Client"), "contact_id"),
    ("company", N_("Company"), "company_id"),
)
_MOMENTS = (
    ("created_at", N_("Made"), "created_at"),
    ("stage_since", N_("In this stage since"), "stage_since"),
    ("closed_at", N_("Closed"), "closed_at"),
)


def deal_terms(fields: FieldSet, checking: Checking, *, filterable: bool = True) -> dict[str, Term]:
    """Every term of a deal by name; in Python they are asked of ``DealWithFacts``. ``filterable``: custom fields only if they have an
    index, for lists.
    """
    own = (
        *(_reference(name, title, column) for name, title, column in _REFERENCES),
        *(_moment(name, title, column) for name, title, column in _MOMENTS),
        *(_of_field(field) for field in FIELDS),
        _text("lost_reason", N_("Lost because"), None),
        _responsible(checking.people),
        _team(checking.people),
        _one_of("status", N_("Status"), STATUSES, _has_status, lambda facts: _statuses(facts.stage)),
        _one_of("stage_kind", N_("Kind of stage"), tuple(StageKind), _of_kind, lambda facts: (facts.stage.kind,)),
        _one_of("lamp", N_("Lamp"), LAMPS, _burns, lambda facts: _said_of_lamp(facts.lamp)),
        _tag(),
        _next_task(),
        _number(checking.region),
        Term(
            "words",
            N_("Words"),
            Shape.TEXT,
            _column("title_folded"),
            lambda facts: facts.searched,
            str,
            blank=false(),
            words=WordSearch(matches_text, has_words, any_length=True),
            only=(Op.CONTAINS,),
        ),
    )
    return {term.name: term for term in own} | custom_terms(
        fields, FieldEntity.DEAL, Deal, checking, filterable=filterable
    )


def _of_field(field: DealField) -> Term:
    """The term of a field that people fill in, by its kind."""
    if field.kind is FieldKind.AMOUNT:
        return _amount(field.key, field.name)
    if field.kind is FieldKind.MOMENT:
        return _moment(field.key, field.name, field.key)
    return _text(field.key, field.name, _WORDS.get(field.key))


def _amount(name: str, title: str) -> Term:
    """Asked of in hundredths."""

    def read(facts: DealWithFacts) -> Stored:
        found: Decimal | None = getattr(facts.deal, name)
        return None if found is None else int(found * 100)

    def check(entered: Any) -> Stored:
        found = check_amount(entered if isinstance(entered, str | Decimal | None) else str(entered), name)
        return None if found is None else int(found * 100)

    return Term(
        name, title, Shape.INTEGER, _column(name), read, check, bind=lambda hundredths: Decimal(hundredths) / 100
    )


def _column(name: str) -> ColumnElement[Any]:
    return getattr(Deal, name)  # type: ignore[no-any-return]


def _reference(name: str, title: str, column: str) -> Term:
    def read(facts: DealWithFacts) -> Stored:
        return getattr(facts.deal, column)  # type: ignore[no-any-return]

    return Term(name, title, Shape.REFERENCE, _column(column), read, row_id_of(name))


def _responsible(people: Directory) -> Term:
    """An id, or a login."""

    def check(entered: Any) -> Stored:
        wanted = entered.lower() if isinstance(entered, str) else None
        found = next((user_id for user_id, user in people.users.items() if user.login == wanted), None)
        return found if found is not None else row_id_of("responsible")(entered)

    return replace(_reference("responsible", N_("Responsible"), "responsible_id"), check=check)


def _team(people: Directory) -> Term:
    """The team of the responsible: an id, or its name."""

    def check(entered: Any) -> Stored:
        found = next((team_id for team_id, team in people.teams.items() if team.name == entered), None)
        return found if found is not None else row_id_of("team")(entered)

    def has(team_id: int) -> ColumnElement[bool]:
        return col(Deal.responsible_id).in_(select(User.id).where(User.team_id == team_id))

    in_one = exists().where(col(User.id) == col(Deal.responsible_id), col(User.team_id).is_not(None)).correlate(Deal)
    column = _column("responsible_id")
    return Term("team", N_("Team"), Shape.REFERENCE, column, lambda facts: facts.team_id, check, blank=~in_one, has=has)


def _one_of(
    name: str,
    title: str,
    known: tuple[str, ...],
    has: Callable[[str], ColumnElement[bool]],
    read: Callable[[DealWithFacts], tuple[str, ...]],
) -> Term:
    """A list of words that hold for a deal at once, such as *closed* and *won*."""

    def check(entered: Any) -> Stored:
        if entered not in known:
            raise Invalid(name, "conditions.word", "Choose one of: {words}", words=", ".join(known))
        return str(entered)

    return Term(name, title, Shape.LIST, _column("id"), read, check, blank=false(), has=has, only=(Op.HAS, Op.IN))


def _has_status(status: str) -> ColumnElement[bool]:
    if status == "open":
        return col(Deal.closed_at).is_(None)
    kinds = CLOSED_KINDS if status == "closed" else (StageKind(status),)
    return col(Deal.stage_id).in_(select(Stage.id).where(col(Stage.kind).in_(kinds)))


def _statuses(stage: Stage) -> tuple[str, ...]:
    return ("closed", stage.kind) if stage.kind in CLOSED_KINDS else ("open",)


def _of_kind(kind: str) -> ColumnElement[bool]:
    return col(Deal.stage_id).in_(select(Stage.id).where(Stage.kind == kind))


def _burns(lamp: str) -> ColumnElement[bool]:
    rank = lamp_rank()
    return {"any": rank > 0, "first": rank == 1, "second": rank == 2}.get(lamp, rank == 0)


def _said_of_lamp(level: str) -> tuple[str, ...]:
    return (level,) if level == "none" else ("any", level)


def _tag() -> Term:
    def has(key: str) -> ColumnElement[bool]:
        tagged = select(DealTag.deal_id).join(Tag, col(Tag.id) == col(DealTag.tag_id))
        return col(Deal.id).in_(tagged.where(Tag.key == key))

    blank = ~exists().where(col(DealTag.deal_id) == col(Deal.id)).correlate(Deal)
    column = _column("id")
    return Term("tag", N_("Tag"), Shape.LIST, column, lambda facts: facts.tags, _check_tag, blank=blank, has=has)


def _check_tag(entered: Any) -> Stored:
    return (tag_key(entered) or None) if isinstance(entered, str) else None


def _next_task() -> Term:
    """When the earliest open task is due; empty: there is none."""
    mine = (col(Task.deal_id) == col(Deal.id), is_open(), is_next_step())
    due_at = select(func.min(col(Task.due_at))).where(*mine).correlate(Deal).scalar_subquery()
    term = _moment("next_task", N_("Next task"), "created_at")

    def read(facts: DealWithFacts) -> Stored:
        return None if facts.next_task_at is None else moment_text(facts.next_task_at)

    return replace(term, sql=due_at, read=read, blank=~exists().where(*mine).correlate(Deal))


def _number(region: str) -> Term:
    """The number of the deal, and those of its client."""

    def check(entered: Any) -> Stored:
        if not isinstance(entered, str):
            raise Invalid("number", "conditions.number", "Write a telephone number.")
        return check_asked_number(entered, region, "number")

    def has(number: str) -> ColumnElement[bool]:
        of_contact = select(Phone.contact_id).where(Phone.number == number)
        own, client = col(Deal.client_number), col(Deal.contact_id)
        # Neither part is ever NULL: the condition may stand in a *none*.
        return or_(and_(own.is_not(None), own == number), and_(client.is_not(None), client.in_(of_contact)))

    of_client = there_is(Deal, col(Phone.contact_id) == col(Deal.contact_id))
    blank = ~or_(func.coalesce(col(Deal.client_number), "") != "", of_client)
    column = _column("id")
    return Term("number", N_("Number"), Shape.LIST, column, lambda facts: facts.numbers, check, blank=blank, has=has)


def _moment(name: str, title: str, column: str) -> Term:
    def read(facts: DealWithFacts) -> Stored:
        found: datetime | None = getattr(facts.deal, column)
        return None if found is None else moment_text(found)

    def check(entered: Any) -> Stored:
        found = rules.check_moment(entered, name)
        return None if found is None else moment_text(found)

    return Term(name, title, Shape.MOMENT, _column(column), read, check, bind=datetime.fromisoformat)


def _text(name: str, title: str, words: WordSearch | None) -> Term:
    def check(entered: Any) -> Stored:
        if not isinstance(entered, str):
            raise Invalid(name, "conditions.text_only", "Write a text.")
        return entered.strip() or None

    column = _column(name)
    return Term(
        name,
        title,
        Shape.TEXT,
        column,
        lambda facts: getattr(facts.deal, name) or None,
        check,
        blank=column == "",
        words=words,
    )


def _part_of(value: str, asked: str) -> bool:
    key = search_key(value)
    return any(all(word in key for word in words) for words in readings(asked))


#: How a part of a text is found, where it is not read letter by letter.
_WORDS = {TITLE.key: WordSearch(lambda asked: part_of(col(Deal.title_folded), asked), _part_of)}
