"""Who changes lines: somebody, or a rule of automation, which gives no more than whoever answers for it."""

from dataclasses import dataclass

from pbxcrm.access import Viewer
from pbxcrm.shared.reasons import Reason


@dataclass(frozen=True, slots=True)
class LineAuthor:
    """``role``: whose limit counts for discounts; empty: none is given alone. ``asker_id``: who asks for what goes beyond it, and tells the
    client what was decided. ``actor`` None: a rule called ``name`` does it, because of ``why``.
    """

    name: str
    role: str
    asker_id: int | None
    actor: Viewer | None
    why: Reason | None = None


def by(viewer: Viewer) -> LineAuthor:
    """Somebody who changes lines by hand."""
    return LineAuthor(viewer.name, viewer.role, viewer.user_id, viewer)
