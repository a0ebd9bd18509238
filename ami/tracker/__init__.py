"""From AMI messages to facts about calls, as telephone people think of them.

The modules, from the wire upwards: ``places`` where a channel's other end stands · ``channel`` channels and bridges ·
``switchboard`` which channels are one call · ``legs`` one phone's part · ``roles`` who calls whom · ``talk`` who talks to whom and
what was handed on · ``events``, ``transfers``, ``voicemail`` what each AMI event means · ``desk`` what is told of a call, and when ·
``verdict`` what became of it · ``ending``, ``reconciling`` calls that end unheard.

The rules they cite:

1. *Answered by X*: the client and X's phone are in the same bridge, followed through Local pairs, and it is no holding bridge.
   Neither ``DialEnd ANSWER`` nor ``Newstate Up`` nor one ``BridgeEnter`` nor a CDR proves it.
2. A leg's ``Hangup`` always ends its ringing; ``DialEnd`` may be missing, doubled, or late.
3. Channels are known by ``Uniqueid`` and grouped by Linkedid, dial and bridge; a Linkedid changes without an event.
4. One pop-up for each call and extension, not for each channel: queues ring again with fresh channels.
5. *Missed* is decided when the caller's last channel hangs up and no human was ever connected.
6. A transfer can happen without a transfer event (AMI Redirect, parking, dialplan): it is seen from the bridges.
7. After a gap: compare and recover; what cannot be known is "unknown", never "missed".
"""

from ami.tracker.config import TrackerConfig
from ami.tracker.tracker import Tracker

__all__ = ["Tracker", "TrackerConfig"]
