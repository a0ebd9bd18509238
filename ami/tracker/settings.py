"""The settings the tracker needs for a PBX."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """Which channels are the outside world and which are our phones.

    ``trunks`` are shell patterns of endpoints (``provider*``) or channels (``IAX2/provider*``). ``extension_pattern`` is a
    regular expression that must match the whole endpoint of an extension (for DAHDI and similar ports with its technology:
    ``DAHDI/33``); if it has a group, the group is the extension. ``region`` (ISO 3166, ``UA``) is the country of national numbers.
    An invalid pattern raises ``re.error`` when the tracker is made.
    """

    pbx: str = "default"
    trunks: tuple[str, ...] = ()
    extension_pattern: str = r"\d{2,5}"
    region: str = "UA"
