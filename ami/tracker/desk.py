"""Watches the switchboard and makes facts of what happens to each call.

After each message the desk looks once at every call it touched: who rings, who talks, is it over? Each difference from the facts
told before becomes a fact. Two facts are delayed on purpose: that a phone left a talk (a transfer or an optimised Local channel
reconnects it within milliseconds), and the verdict on an unanswered call (the PBX may be stopping).
"""

import heapq
from collections.abc import Iterator
from datetime import datetime, timedelta

from ami.messages import Message
from ami.tracker import outcome_rules, talk
from ami.tracker.call import Channel, Talker, TrackedCall
from ami.tracker.clock import DAWN
from ami.tracker.endpoints import EndpointKind
from ami.tracker.roles import introduce, orient
from ami.tracker.settings import TrackerSettings
from ami.tracker.state import state_of
from ami.tracker.switchboard import Switchboard
from pbxcrm.calls.facts import CallFact, Direction, FactKind, Outcome, Transfer, TransferKind

#: ``core restart now`` hangs up everything and sends Shutdown only afterwards: no verdict of "missed" before this has passed.
VERDICT_HELD = timedelta(seconds=2)
#: A phone that is connected again within this time never left the talk.
BLINK = timedelta(milliseconds=300)


class Desk:
    """State of one tracker. ``board`` is what the PBX shows; the rest is which facts were told and which are pending."""

    def __init__(self, settings: TrackerSettings) -> None:
        self.board = Switchboard(settings, self._absorbed)
        self.mailboxes: dict[str, int] = {}  # mailbox → new messages in it
        self.booted_at: datetime | None = None
        self.hears_hangup_requests = False  # whether the PBX sends us HangupRequest events
        self.at = DAWN  # when the message being worked on happened
        self.started_at: datetime | None = (
            None  # the PBX restarted at this time or before, by an event since the last snapshot
        )
        self.looked_at: datetime | None = None  # when ``ending.forgotten`` last looked at all calls
        self.asked_at = DAWN  # when the last snapshot was taken: events right before it may be missing
        self._facts: list[CallFact] = []
        self._due: list[tuple[datetime, int, TrackedCall]] = []
        self._appointments = 0

    # --- channels -------------------------------------------------------------------------------------------------

    def meet(self, message: Message, at: datetime, prefix: str = "") -> Channel | None:
        """The channel of a message, or None; a new channel also updates its call (``roles.introduce``, ``orient``)."""
        board = self.board
        known = len(board.channels)
        channel = board.find_or_adopt(message, at, prefix)
        if channel is not None and len(board.channels) != known:
            introduce(channel.call, channel, message, prefix)
            if channel.dialled and channel.place.kind is not EndpointKind.LOCAL:
                channel.call.leg_of(channel, at)
            orient(channel.call, board.places)
        return channel

    def open_calls(self) -> Iterator[TrackedCall]:
        """The calls that are not over."""
        return (call for call in self.board.calls if not call.is_over)

    # --- telling --------------------------------------------------------------------------------------------------

    def tell(self, call: TrackedCall, kind: FactKind, party: str, at: datetime) -> None:
        """Add a fact with the present state of the call."""
        ordinal = call.told[kind, party] = call.told.get((kind, party), 0) + 1
        call.untold_hangups.clear()
        self._facts.append(CallFact(kind, party, ordinal, at, state_of(call)))

    def take_facts(self) -> list[CallFact]:
        """Remove and return the facts made since the last call of this method."""
        facts, self._facts = self._facts, []
        return facts

    def settle(self, at: datetime, now: datetime) -> list[CallFact]:
        """Look at every call that was touched; return the facts."""
        touched = self.board.touched
        while touched:
            call = next(iter(touched))
            del touched[call]
            self._look_at(call, at, now)
        return self.take_facts()

    def _look_at(self, call: TrackedCall, at: datetime, now: datetime) -> None:
        if call.is_over:
            if not call.channels:
                self.board.forget(call)
            return
        call.quiet_since = now
        orient(call, self.board.places)
        told_before = len(self._facts)
        if not call.told:
            call.told_description = call.description()
            self.tell(call, FactKind.OPENED, "", at)
        self._look_at_talk(call, at, now)
        self._look_at_ringing(call, at)
        if call.queue is not None and call.told_queue != call.queue:
            call.told_queue = call.queue
            self.tell(call, FactKind.QUEUED, call.queue, at)
        description = call.description()
        if description != call.told_description:
            call.told_description = description
            if len(self._facts) == told_before:
                self.tell(call, FactKind.UPDATED, "", at)
        self._look_whether_over(call, at, now)
        if call.untold_hangups and call.release_at is None and not call.is_over:
            self._tell_late_hangup(call, at)

    def _look_at_ringing(self, call: TrackedCall, at: datetime) -> None:
        if not call.legs:
            return
        ringing: dict[str, None] = {}
        picked_up: set[str] = set()
        for leg in call.legs.values():
            if leg.extension is None:
                continue
            if leg.is_ringing:
                ringing[leg.extension] = None
            elif leg.picked_up and leg.is_waiting:
                picked_up.add(leg.extension)
        for extension in ringing:
            if extension not in call.told_ringing and extension not in call.talking:
                call.told_ringing[extension] = None
                self.tell(call, FactKind.RINGING, extension, at)
        for extension in [e for e in call.told_ringing if e not in ringing]:
            if extension in call.talking:
                del call.told_ringing[extension]
            elif extension not in picked_up:  # picked up: connected in a moment, or hung up again
                del call.told_ringing[extension]
                self.tell(call, FactKind.SILENCED, extension, at)

    def _look_at_talk(self, call: TrackedCall, at: datetime, now: datetime) -> None:
        if not call.talking and all(channel.bridge is None for channel in call.channels.values()):
            return  # the usual case: the call is ringing
        phones = talk.phones_in_talk(call)
        if not phones and call.originated and not call.has_line and talk.phones_among_themselves(call):
            call.is_among_phones = True
            orient(call, self.board.places)
            phones = talk.phones_in_talk(call)
        line = talk.outside_helper(call)
        if line is not None:
            talk.line_talks(call, line, at)
            extension = talk.forwarded_by(call, line) if call.direction is Direction.INBOUND else None
            if extension is None:
                talk.answered(call, None, at)
            else:
                phones.setdefault(extension, line)
        if phones or line is not None:
            for client in call.client_channels():
                if client.dialled and client.bridge is not None:
                    talk.line_talks(call, client, at)
        for extension, talker in call.talking.items():
            if extension not in phones and talker.left_at is None:
                self._stops_talking(call, talker, at, now)
        if call.made_by in phones and len(phones) > 1:
            phones = {call.made_by: phones[call.made_by], **phones}  # the maker of the call is named first
        for extension, channel in phones.items():
            had_talked = call.answered_at is not None
            if channel.hangs_up and extension not in call.talking:
                continue  # picked up and hung up before it was connected: nobody is there
            if not talk.joins(call, extension, channel, at):
                continue
            orient(call, self.board.places)  # if a program called the client, the phone that talks made the call
            transfer = talk.transfer_reaching(call, extension, channel, now)
            self.tell(call, FactKind.JOINED, extension, at)
            if transfer is not None and had_talked:
                self._tell_transfer_seen(call, transfer, at)
            if call.successor is not None:
                self.remind(call, call.successor.until)
        late = talk.late_transfer(call, phones, now)
        if late is not None:
            self._tell_transfer_seen(call, late, at)

    def _tell_transfer_seen(self, call: TrackedCall, transfer: Transfer, at: datetime) -> None:
        call.transfers.append(transfer)
        self.tell_transfer(call, transfer, at)

    def tell_transfer(self, call: TrackedCall, transfer: Transfer, at: datetime) -> None:
        """Tell that a transfer reached its target; the party is ``source>target``."""
        self.tell(call, FactKind.TRANSFERRED, f"{transfer.source}>{transfer.target}", at)

    def _tell_late_hangup(self, call: TrackedCall, at: datetime) -> None:
        """Tell that a phone hung up if no other fact will: it left the talk before, and that has been told.

        Else the phone would count as on the call until its end. The party keeps these facts apart from other updates: a standby
        that heard the Hangup a little earlier has none of them.
        """
        for extension in call.untold_hangups:
            talker = call.talking.get(extension)
            if talker is None or talker.left_at is None:
                self.tell(call, FactKind.UPDATED, extension, at)
                return

    def hung_up(self, channel: Channel, at: datetime, cause: int | None) -> None:
        """End the leg of a channel that is gone, if it has one."""
        leg = channel.call.legs.get(channel.id)
        if leg is None:
            return
        leg.hung_up(at, cause)
        if leg.extension is not None and leg.picked_up:
            channel.call.untold_hangups[leg.extension] = None

    def _stops_talking(self, call: TrackedCall, talker: Talker, at: datetime, now: datetime) -> None:
        talker.left_at = at
        talker.gone_for_good_at = now + BLINK
        call.last_talker = talker
        leg = call.legs.get(talker.channel.id)
        if leg is not None:
            leg.talking = False
        self.remind(call, talker.gone_for_good_at)

    # --- the end of a call ----------------------------------------------------------------------------------------

    def _look_whether_over(self, call: TrackedCall, at: datetime, now: datetime) -> None:
        if not call.caller_is_gone:
            call.ended_at = call.release_at = None
            return
        call.ended_at = call.ended_at or at
        if call.answered_at is not None and not call.channels:
            self.end(call, outcome_rules.outcome(call))
        elif call.release_at is None:
            call.release_at = now + VERDICT_HELD
            self.remind(call, call.release_at)

    def end(self, call: TrackedCall, outcome: Outcome) -> None:
        """Give the verdict. ``call.ended_at`` must be set. The call is forgotten when its last channel has hung up."""
        assert call.ended_at is not None
        transfer = talk.transfer_at_the_end(call)
        if transfer is not None:
            self._tell_transfer_seen(call, transfer, call.ended_at)
        call.outcome = outcome
        call.talking.clear()
        for leg in call.legs.values():
            leg.hung_up(call.ended_at, None)
        self.tell(call, FactKind.ENDED, "", call.ended_at)
        if not call.channels:
            self.board.forget(call)

    def give_verdict(self, call: TrackedCall) -> None:
        """End a call whose verdict was held. A stop of the PBX cut it off unless the PBX's own record says who hung up."""
        known = outcome_rules.outcome(call)
        is_cut_off = call.was_stopped and not call.was_hung_up and known not in {Outcome.ANSWERED, Outcome.VOICEMAIL}
        self.end(call, Outcome.INTERRUPTED if is_cut_off else known)

    def remind(self, call: TrackedCall, due: datetime) -> None:
        """Schedule another look at the call at ``due``, by the listener's clock."""
        self._appointments += 1
        heapq.heappush(self._due, (due, self._appointments, call))

    def release(self, now: datetime) -> list[CallFact]:
        """Tell the delayed facts that are due by ``now``; return the facts."""
        if not self._due or self._due[0][0] > now:
            return []
        while self._due and self._due[0][0] <= now:
            call = heapq.heappop(self._due)[2]
            if call.is_over or call not in self.board.calls:
                continue
            if call.release_at is not None:
                if call.release_at <= now:
                    self.give_verdict(call)
            else:
                self._tell_who_left(call, now)
                late = talk.late_transfer(
                    call, [e for e, talker in call.talking.items() if talker.left_at is None], now
                )
                if late is not None:
                    self._tell_transfer_seen(call, late, now)
        return self.take_facts()

    def _tell_who_left(self, call: TrackedCall, now: datetime) -> None:
        for extension, talker in list(call.talking.items()):
            left_at, due = talker.left_at, talker.gone_for_good_at
            if left_at is None or due is None or due > now:
                continue
            del call.talking[extension]
            self.tell(call, FactKind.LEFT, extension, left_at)
            if call.conferred_by == extension and len(call.talking) == 1:
                call.conferred_by = None
                transfer = Transfer(extension, next(iter(call.talking)), TransferKind.ATTENDED)
                self._tell_transfer_seen(call, transfer, left_at)

    # --- two calls become one -------------------------------------------------------------------------------------

    def _absorbed(self, absorbed: TrackedCall, kept: TrackedCall) -> None:
        """Copy the history of ``absorbed`` (a consultation, a pickup, a retrieved parked call) into ``kept``."""
        if absorbed.is_finished and kept.has_client:
            self.end(absorbed, outcome_rules.outcome(absorbed))
            return
        among_phones = kept.direction is Direction.INTERNAL and absorbed.direction is Direction.INTERNAL
        if not among_phones:  # they talked to each other, not to the client
            for leg in absorbed.legs.values():
                leg.answered_at, leg.talking = None, False
        else:
            kept.talked |= absorbed.talked
            kept.talked_channels |= absorbed.talked_channels
            answers = [t for t in (kept.answered_at, absorbed.answered_at) if t is not None]
            kept.answered_at = min(answers, default=None)
        kept.legs |= absorbed.legs
        kept.rang |= absorbed.rang
        kept.forwards |= absorbed.forwards
        kept.queue = kept.queue or absorbed.queue
        if (
            kept.direction is Direction.OUTBOUND and absorbed.direction is Direction.OUTBOUND
        ):  # each called by a program
            kept.asked_for = kept.asked_for or absorbed.asked_for
            kept.trunk = kept.trunk or absorbed.trunk
            if kept.sent is None:
                kept.sent, kept.dialled_first = absorbed.sent, absorbed.dialled_first
        if absorbed.told:
            self.tell(absorbed, FactKind.ABSORBED, kept.name, self.at)
