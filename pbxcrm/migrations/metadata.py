"""Every table of the product, for Alembic and for the test that compares models with migrations."""

import importlib
import pkgutil

from sqlalchemy import MetaData
from sqlmodel import SQLModel

import pbxcrm


def every_table() -> MetaData:
    """Import whatever declares tables: ``models.py`` of each context and the modules of the shared ground."""
    for module in pkgutil.iter_modules(pbxcrm.__path__, "pbxcrm."):
        if module.ispkg:
            _import_if_there(f"{module.name}.models")
    for shared in ("models", "timers", "events", "audit", "access"):
        _import_if_there(f"pbxcrm.{shared}")
    return SQLModel.metadata


def _import_if_there(name: str) -> None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
