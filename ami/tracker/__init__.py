"""From AMI messages to facts about calls, as telephone people think of them.

``places`` where a channel's other end stands · ``channel`` channels and bridges · ``switchboard`` which channels are one call ·
``legs`` one phone's part · ``roles`` who calls whom · ``talk`` who talks to whom and what was handed on · ``events`` what each
AMI event means · ``desk`` what is told of a call, and when · ``verdict`` what became of it · ``reconciling`` after a gap.
The numbered rules are those of docs/architecture.md, "Ten rules of telephony".
"""

from ami.tracker.config import TrackerConfig
from ami.tracker.tracker import Tracker

__all__ = ["Tracker", "TrackerConfig"]
