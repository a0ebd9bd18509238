"""Turns AMI messages into facts about calls.

The modules, from the wire upwards: ``endpoints`` what a channel leads to · ``call`` channels, bridges and calls ·
``switchboard`` which channels are one call · ``legs`` one phone's part · ``roles`` who calls whom · ``talk`` who talks to whom,
and transfers · ``events``, ``transfers``, ``voicemail`` what each AMI event means · ``desk`` which facts are told, and when ·
``outcome_rules`` the outcome of a call that is over · ``lost_hangups``, ``reconciling`` calls that end without their own events ·
``state`` the state for a fact.

The rules that these modules cite:

1. *Answered by X*: the client and X's phone are in the same bridge, followed through Local pairs, and it is not a holding bridge.
   Neither ``DialEnd ANSWER`` nor ``Newstate Up`` nor one ``BridgeEnter`` nor a CDR proves it.
2. A leg's ``Hangup`` always ends its ringing; ``DialEnd`` may be missing, doubled, or late.
3. Channels are known by ``Uniqueid`` and grouped by Linkedid, dial and bridge; a Linkedid changes without an event.
4. One pop-up for each call and extension, not for each channel: queues ring again with fresh channels.
5. *Missed* is decided when the caller's last channel hangs up and no human was ever connected.
6. A transfer can happen without a transfer event (AMI Redirect, parking, dialplan): the bridges show it.
7. After a gap: compare and recover; what cannot be known is "unknown", never "missed".
"""

from ami.tracker.settings import TrackerSettings
from ami.tracker.tracker import Tracker

__all__ = ["Tracker", "TrackerSettings"]
