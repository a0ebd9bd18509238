"""Pushed HTML: an outline with a marker where each part belongs. A stream sends a part only if it has not sent the same before.

A dock has one part per call card. When a phone rings, only its card is sent, and not the others (12 kB on the average).
``js/regions.js`` puts the parts together again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_MARKER = re.compile(r"<!--part ([\w-]+)-->")


@dataclass(frozen=True, slots=True)
class RegionHtml:
    """The HTML of a region. ``outline`` has ``<!--part NAME-->`` where the part NAME belongs; it contains no text typed by people."""

    outline: str
    parts: Mapping[str, str] = field(default_factory=dict)

    def whole(self) -> str:
        """The outline with its parts. Markers within a part are left alone."""
        return _MARKER.sub(lambda found: self.parts[found[1]], self.outline)


class SentRegion:
    """What one stream has sent of one region. A stream arrives in order and whole or it ends, so the browser has the same.

    Messages are counted from 1, which is complete. A browser that misses a number opens a new stream.
    """

    def __init__(self) -> None:
        self._last: RegionHtml | None = None
        self._count = 0

    def changes(self, now: RegionHtml) -> dict[str, Any] | None:
        """The message that makes the region equal to ``now``; None if it is already."""
        before, self._last = self._last, now
        if before is None:
            parts, outline = dict(now.parts), True
        else:
            # Unchanged parts are the same objects, so comparing costs nothing.
            parts = {name: html for name, html in now.parts.items() if before.parts.get(name) != html}
            outline = before.outline != now.outline
            if not parts and not outline:
                return None
        self._count += 1
        message: dict[str, Any] = {"number": self._count, "parts": parts}
        return message | {"outline": now.outline} if outline else message
