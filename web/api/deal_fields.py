"""The fields of a deal in the models of the API, derived from ``pbxcrm.deals.fields``."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, create_model

from pbxcrm.deals.fields import FIELDS, SHARED_TEXTS, DealField, FieldKind, Value
from web.api.fields import NO_NUL, SOMETHING, Amount, AmountText, Moment, When, Word

Model = TypeVar("Model", bound=BaseModel)


class Use(StrEnum):
    """The kind of API model that holds the fields of a deal."""

    ANSWER = "answer"  # every field is there
    NEW = "new"
    CHANGE = "change"  # a field that is left out stays unchanged


def with_deal_fields(use: Use) -> Callable[[type[Model]], type[Model]]:
    """A decorator that adds every field of a deal to a model, with the type that answers or requests use."""

    def add(model: type[Model]) -> type[Model]:
        added: dict[str, Any] = {field.key: _typed(field, use) for field in FIELDS}
        return create_model(model.__name__, __base__=model, __module__=model.__module__, __doc__=model.__doc__, **added)

    return add


def with_shared_texts(model: type[Model]) -> type[Model]:
    """A decorator that adds a filter for each text that many deals share."""
    added: dict[str, Any] = {field.key: (Word | None, None) for field in SHARED_TEXTS}
    return create_model(model.__name__, __base__=model, __module__=model.__module__, __doc__=model.__doc__, **added)


def with_choices(model: type[Model]) -> type[Model]:
    """A decorator that adds to a merge which of the two values of each field stays: ``take_KEY``."""
    added: dict[str, Any] = {
        f"take_{field.key}": (
            Literal["this", "into"] | None,
            Field(None, description="With its currency." if field.kind is FieldKind.AMOUNT else None),
        )
        for field in FIELDS
    }
    return create_model(model.__name__, __base__=model, __module__=model.__module__, __doc__=model.__doc__, **added)


def chosen_values(body: BaseModel) -> dict[str, str]:
    """Which of the two values stays, by field, where the request says so."""
    sent = {field.key: getattr(body, f"take_{field.key}") for field in FIELDS}
    return {key: which for key, which in sent.items() if which is not None}


def sent_values(body: BaseModel) -> dict[str, Value]:
    """The fields of the deal that a request sent. null removes an amount or a date; for a text it changes nothing."""
    return {
        field.key: getattr(body, field.key)
        for field in FIELDS
        if field.key in body.model_fields_set
        and (field.kind is not FieldKind.TEXT or getattr(body, field.key) is not None)
    }


def _typed(field: DealField, use: Use) -> tuple[Any, Any]:
    if field.kind is FieldKind.AMOUNT:
        if use is Use.ANSWER:
            return (Amount | None, ...)
        return (AmountText | None, Field(None, description="null takes it away." if use is Use.CHANGE else None))
    if field.kind is FieldKind.MOMENT:
        if use is Use.ANSWER:
            return (Moment | None, ...)
        return (When | None, Field(None, description="null takes it away." if use is Use.CHANGE else None))
    if use is Use.ANSWER:
        return (str, ...)
    if field.required:
        title = Field(min_length=1, max_length=field.max_length, pattern=SOMETHING)
        return (Annotated[str, title], ...) if use is Use.NEW else (Annotated[str, title] | None, None)
    text = Field("" if use is Use.NEW else None, max_length=field.max_length, pattern=NO_NUL)
    return (str, text) if use is Use.NEW else (str | None, text)
