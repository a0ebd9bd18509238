"""What the tracker must be told of a PBX."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Which channels are the outside world and which are our phones.

    ``trunks`` are shell patterns of endpoints (``provider*``) or channels (``IAX2/provider*``). ``extension_pattern`` is a
    regular expression that an extension's endpoint (of a DAHDI port and the like: ``DAHDI/33``, with its technology) matches as
    a whole; where it has a group, the group is the extension. ``region`` (ISO 3166, ``UA``) is where national numbers are read.
    Raises ``re.error`` at the first use when the pattern is no regular expression.
    """

    pbx: str = "default"
    trunks: tuple[str, ...] = ()
    extension_pattern: str = r"\d{2,5}"
    region: str = "UA"
