"""Which failures are waited for, and which are a fault of ours."""

import asyncpg
import pytest
import sqlalchemy.exc
from sqlalchemy.exc import DBAPIError

from ami.fact_applier import describe, is_fault
from pbxcrm.shared.errors import Invalid, Unavailable


def wrapped(kind: type[DBAPIError], *, invalidated: bool = False) -> DBAPIError:
    return kind("INSERT …", {"number": "+380671112233"}, Exception("disk\nfull"), connection_invalidated=invalidated)


@pytest.mark.parametrize(
    "error",
    [
        wrapped(sqlalchemy.exc.OperationalError),
        wrapped(sqlalchemy.exc.InterfaceError),
        wrapped(sqlalchemy.exc.ProgrammingError),  # the tables are being migrated
        wrapped(sqlalchemy.exc.IntegrityError, invalidated=True),
        wrapped(DBAPIError),
        sqlalchemy.exc.TimeoutError("no connection free"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        asyncpg.TooManyConnectionsError("sorry"),
        asyncpg.InterfaceError("connection is closed"),
        ConnectionRefusedError("nobody there"),
        TimeoutError(),
        Unavailable("db", "The database is away."),
    ],
)
def test_a_database_that_is_unwell_is_waited_for(error: Exception) -> None:
    assert not is_fault(error)


@pytest.mark.parametrize(
    "error",
    [
        wrapped(sqlalchemy.exc.IntegrityError),
        wrapped(sqlalchemy.exc.DataError),
        sqlalchemy.exc.MissingGreenlet("lazy load"),
        Invalid("number", "x", "wrong"),
        KeyError("x"),
        TypeError("x"),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    ],
)
def test_a_fault_of_ours_is_not_waited_for_for_ever(error: Exception) -> None:
    assert is_fault(error)


def test_a_fault_is_told_in_one_line_without_anybodys_number() -> None:
    assert describe(wrapped(sqlalchemy.exc.OperationalError)) == "OperationalError: disk"
