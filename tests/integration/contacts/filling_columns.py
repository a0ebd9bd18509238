"""Puts a word into every text and JSON column of rows that refer to a client; tables and columns are found from the models."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import count
from typing import Any, get_origin

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    Float,
    ForeignKey,
    Numeric,
    String,
    Table,
    UniqueConstraint,
    insert,
    select,
)
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.money.models import Quantity
from pbxcrm.shared.columns import TableModel
from pbxcrm.shared.db import Money, UtcDateTime
from tests.calls import NOON

MODELS: dict[str, type[SQLModel]] = {
    str(model.__tablename__): model for model in TableModel.__subclasses__() if hasattr(model, "__table__")
}


def referring_to(target: str) -> list[Table]:
    """The tables whose rows refer to a row of ``target``, directly or over others, those first to which the others refer."""
    found = {target}
    while True:
        more = {
            table.name
            for table in SQLModel.metadata.sorted_tables
            for key in _keys(table)
            if key.column.table.name in found
        }
        if more <= found:
            return [table for table in SQLModel.metadata.sorted_tables if table.name in found]
        found |= more


def _keys(table: Table) -> Iterator[ForeignKey]:
    yield from sorted(table.foreign_keys, key=lambda key: key.parent.name)


def _unique(table: Table) -> Iterator[UniqueConstraint]:
    return (each for each in table.constraints if isinstance(each, UniqueConstraint))


def is_json(column: Column[Any]) -> bool:
    return isinstance(column.type, JSON)


def is_text(column: Column[Any]) -> bool:
    kind = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    return isinstance(kind, String)


@dataclass
class RowsOfClient:
    """Rows that refer to a client, and to another one.

    ``kept``: what stands in columns that are not about a client, by ``table.column``; ``not_theirs``: references that do not make a row
    the client's.
    """

    session: AsyncSession
    word: str
    kept: dict[str, Any]
    not_theirs: set[str]
    theirs: dict[str, Any] = field(default_factory=dict)  # table: the key of the first row of the client
    others: dict[str, Any] = field(default_factory=dict)  # table: the key of a row of another client, or of nobody
    numbers: Iterator[int] = field(default_factory=count)

    async def fill(self) -> None:
        """For every reference that makes a row the client's, a row that has it and no other."""
        self.tables = {table.name for table in referring_to("contacts")}
        self.theirs["contacts"] = await self._put(SQLModel.metadata.tables["contacts"], self.word, {})
        for table in referring_to("contacts"):
            for key in _keys(table):
                to, name = key.column.table.name, f"{table.name}.{key.parent.name}"
                if to not in self.tables or name in self.not_theirs:
                    continue
                row = await self._put(table, self.word, {key.parent.name: self.theirs[to]})
                self.theirs.setdefault(table.name, row)

    async def other(self, name: str) -> Any:
        """The key of a row of this table that is not the client's; it is made if there is none."""
        table = SQLModel.metadata.tables[name]
        if name not in self.others:
            found = None if name in self.tables else (await self._ask(select(*table.primary_key).limit(1)))
            self.others[name] = found[0][0] if found else await self._put(table, "nobody", {})
        return self.others[name]

    async def _put(self, table: Table, word: str, links: dict[str, Any]) -> Any:
        values = dict(links)
        for column in table.c:
            full = f"{table.name}.{column.name}"
            is_own_key = column.primary_key and not column.foreign_keys and not is_text(column)
            if column.name in links or is_own_key:
                continue
            if full in self.kept:
                said = self.kept[full]
                values[column.name] = f"key{next(self.numbers)}" if said is None and not column.nullable else said
            elif column.foreign_keys:
                key = next(iter(column.foreign_keys))
                values[column.name] = None if column.nullable else await self.other(key.column.table.name)
            else:
                values[column.name] = self._value(table, column, word)
        made = await self._ask(insert(table).values(values).returning(*table.primary_key))
        return made[0][0]

    def _value(self, table: Table, column: Column[Any], word: str) -> Any:
        if is_json(column):
            kind = MODELS[table.name].model_fields[column.name].annotation
            return [{word: word}] if get_origin(kind) is list else {word: word}
        if is_text(column):
            if word == self.word:
                return f"{word}{next(self.numbers)}"
            return f"{next(self.numbers)}{word}"[: column.type.length]  # type: ignore[attr-defined]
        if column.nullable:
            return None
        made = {
            Boolean: False,
            UtcDateTime: NOON,
            Float: 1.0,
            Date: date(2026, 1, 1),
            Numeric: Decimal(1),
            Money: Decimal(1),
            Quantity: Decimal(1),
        }
        number = next(self.numbers) if any(column.name in each.columns for each in _unique(table)) else 1
        return next((value for kind, value in made.items() if isinstance(column.type, kind)), number)

    async def _ask(self, statement: Any) -> Any:
        return (await (await self.session.connection()).execute(statement)).all()
