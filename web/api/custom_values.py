"""Custom fields in requests and answers: ``fields: {key: value}``, and the filters ``field.KEY=`` of lists."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import Field, PrivateAttr
from sqlalchemy import ColumnElement

from pbxcrm.contacts.terms import asked_order, sort_terms
from pbxcrm.fields.conditions import LONGEST_LIST, Term, from_query, to_sql
from pbxcrm.fields.definition_rules import MOST_FIELDS
from pbxcrm.fields.models import FieldDefinition, FieldEntity, ValueKind
from pbxcrm.fields.queries import load_fields
from pbxcrm.fields.relative_times import AskedAt
from pbxcrm.fields.rules import LONGEST, Checking, Stored, as_entered, stored_in
from pbxcrm.fields.terms import custom_terms
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.lengths import longest
from pbxcrm.shared.listed import MOST_SORTED
from web.api.fields import NO_NUL, ListQuery, Word
from web.api.resource import Ask
from web.client_filters import terms_of_list

PREFIX = "field."
_Text = Annotated[str, Field(max_length=max(LONGEST.values()), pattern=NO_NUL)]
_Number = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
_One = _Text | bool | _Number | Annotated[float, Field(allow_inf_nan=False)]
Value = _One | Annotated[list[Annotated[_Text | _Number, Field()]], Field(max_length=LONGEST_LIST)] | None
#: What requests send.
Values = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=longest(FieldDefinition.key), pattern=NO_NUL)], Value],
    Field(
        max_length=MOST_FIELDS,
        description="Custom fields by key (`GET /fields`). Fields that are left out stay unchanged; null takes a value away.",
    ),
]
#: What answers hold.
ValuesOut = Annotated[
    dict[str, Any],
    Field(
        description="Custom fields by key, those that have a value: a number and money are decimal strings, a date `2026-11-28`, a moment"
        " RFC 3339, a choice the id of its option, several a list of them, a person a login, a link an address or an id, files ids."
    ),
]


class FilteredQuery(ListQuery):
    """A list that also takes ``field.KEY=``, ``field.KEY.min= .max= .not= .begins= .contains= .empty= .filled=``."""

    _filters: tuple[tuple[str, str], ...] = PrivateAttr(default=())

    @classmethod
    def takes(cls, name: str) -> bool:
        """Whether this may be a further filter."""
        return name.startswith(PREFIX)

    @property
    def further(self) -> tuple[tuple[str, str], ...]:
        """The further filters, as they were sent."""
        return self._filters

    def filtered_by(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Keep the further filters."""
        self._filters = tuple(pairs)

    async def custom_conditions(self, ask: Ask, entity: FieldEntity, table: Any) -> list[ColumnElement[bool]]:
        """Their condition. Raises Invalid at the parameter for one that is not there or not for filtering."""
        if not self._filters:
            return []
        checking = Checking(ask.settings.region, await load_directory(ask.session))
        terms: Mapping[str, Term] = custom_terms(await load_fields(ask.session), entity, table, checking)
        # A program has no time zone of its own: days are those of UTC, as all times of the API.
        return [to_sql(from_query(self._filters, terms), AskedAt(ask.now, ZoneInfo("UTC")))]


class SortedQuery(FilteredQuery):
    """A list of clients or companies that may be sorted."""

    sort: Word | None = Field(
        None,
        description="`name` (the order of the alphabet), `created_at`, `birthday` (of clients) or `field.KEY` of a field that lists are sorted by; `-created_at`: descending. "
        f"Rows without a value come last. Of rows that filters find, the newest {MOST_SORTED:,} are sorted. Left out: the newest first.",
    )

    async def order(self, ask: Ask, entity: FieldEntity) -> tuple[Term, bool] | None:
        """By which term it is sorted, and whether descending. Raises Invalid for one that there is not."""
        if self.sort is None:
            return None
        orders = sort_terms(entity, await terms_of_list(ask.session, ask.settings.region, entity))
        return asked_order(orders, self.sort), self.sort.startswith("-")


async def values_out(ask: Ask, entity: FieldEntity, customs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The values of rows as answers hold them, in the same order."""
    definitions = (await load_fields(ask.session)).of(entity)
    people = await load_directory(ask.session) if definitions else None
    return [
        {
            definition.key: _told(definition, value, people)
            for definition in definitions
            if people is not None and (value := stored_in(custom, definition)) is not None
        }
        for custom in customs
    ]


def _told(definition: FieldDefinition, value: Stored, people: Directory) -> Any:
    if isinstance(value, int):
        if definition.kind == ValueKind.YES_NO:
            return bool(value)
        if definition.kind == ValueKind.PERSON:
            user = people.users.get(value)
            return user.login if user is not None else None
    return as_entered(definition, value)
