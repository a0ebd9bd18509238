"""Rows by their ids, for what is shown beside other rows; and statements that are built once."""

from collections.abc import Iterable
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import bindparam
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

Model = TypeVar("Model", bound=SQLModel)


async def load_by_id(session: AsyncSession, model: type[Model], ids: Iterable[int | None]) -> dict[int | None, Model]:
    """Rows of ``model`` by id; nothing is asked where there is nothing to ask for."""
    wanted = list(set(ids) - {None})
    if not wanted:
        return {}
    found = await session.exec(_by_id(model), params={"ids": wanted})
    return {row.id: row for row in found.all()}


def several(name: str) -> Any:
    """A parameter that is a list, for statements that are built once."""
    return bindparam(name, expanding=True)


@cache
def _by_id(model: type[SQLModel]) -> Any:  # Select[model]
    """Built once a model: on a page of small questions that takes as long as asking them."""
    return select(model).where(col(model.id).in_(several("ids")))  # type: ignore[attr-defined]  # all have one
