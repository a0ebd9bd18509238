"""Texts of which it is known that many rows match: then nobody counts them again.

A text that matched more rows than a search looks at as a whole still does a while later, for everybody. To find that out takes longer
than the rest of the search: first names stand in thousands of rows. It decides only how a list is read.
"""

import asyncio

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.shared.db import DATABASE

REMEMBERED = 600.0  # seconds
_MOST = 1_000  # texts that are remembered
_KEPT = "frequent_texts"  # key in ``Database.kept``


def is_known_frequent(session: AsyncSession, rows: str, text: str, most: int) -> bool:
    """Whether more than ``most`` of ``rows`` (a table) are known to match ``text``."""
    known = session.info[DATABASE].kept.get(_KEPT, {})
    until: float = known.get((rows, text, most), 0.0)
    return until > asyncio.get_running_loop().time()


def note_frequent(session: AsyncSession, rows: str, text: str, most: int) -> None:
    """Remember that more than ``most`` of ``rows`` match ``text``."""
    known = session.info[DATABASE].kept.setdefault(_KEPT, {})
    if len(known) >= _MOST:
        known.clear()
    known[rows, text, most] = asyncio.get_running_loop().time() + REMEMBERED
