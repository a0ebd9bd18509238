"""A number that grows whenever something is changed that every decision needs and nobody changes often: people, lines, stages.

Whoever keeps such rows in memory (``pbxcrm.calls.world``) reads this number in the transaction of the decision, instead
of the rows themselves. Models are marked with ``@configuration``; the number grows in the transaction that changes one.
"""

from itertools import chain
from typing import TypeVar

from sqlalchemy import Executable, event, text
from sqlalchemy.orm import ORMExecuteState, Session
from sqlmodel import Field, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

Model = TypeVar("Model", bound=SQLModel)
_models: set[type[SQLModel]] = set()
_GROW: Executable = text(
    "INSERT INTO configuration_version (id, version) VALUES (1, 1)"
    " ON CONFLICT (id) DO UPDATE SET version = configuration_version.version + 1"
)


class ConfigurationVersion(SQLModel, table=True):
    """The one row ``id`` 1; none before the first change."""

    __tablename__ = "configuration_version"

    id: int = Field(primary_key=True)
    version: int


_VERSION = select(ConfigurationVersion.version)


def configuration(model: type[Model]) -> type[Model]:
    """Decorator of a model whose rows are configuration."""
    _models.add(model)
    return model


async def configuration_version(session: AsyncSession) -> int:
    return (await session.exec(_VERSION)).first() or 0


@event.listens_for(Session, "after_flush")
def _flushed(session: Session, _context: object) -> None:
    if any(type(row) in _models for row in chain(session.new, session.dirty, session.deleted)):
        session.connection().execute(_GROW)


@event.listens_for(Session, "do_orm_execute")
def _executed(state: ORMExecuteState) -> None:
    """A statement that changes many rows at once passes no flush."""
    if not state.is_select and state.bind_mapper is not None and state.bind_mapper.class_ in _models:
        state.session.connection().execute(_GROW)
