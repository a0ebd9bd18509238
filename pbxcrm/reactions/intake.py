"""Writes facts to the database: a batch and its journal position in one transaction (the listener's ``Sink``)."""

from datetime import timedelta

from sqlalchemy import or_
from sqlmodel import col, select

from pbxcrm.access import Role
from pbxcrm.calls.facts import Batch, Handover, Outcome, ToldCall
from pbxcrm.calls.models import Call, CallEvent
from pbxcrm.calls.queries import open_calls, told_of_open_calls
from pbxcrm.pbx import leases
from pbxcrm.pbx.models import PbxStatus
from pbxcrm.pbx.state import JournalPosition, Lease, PbxReport
from pbxcrm.reactions.apply_facts import apply_facts
from pbxcrm.reactions.call_context import load_call_context
from pbxcrm.shared.db import Database, database_now
from pbxcrm.shared.events import emit
from pbxcrm.shared.settings import Settings

EVERYBODY = [role.value for role in Role]


class Intake:
    """Applies the batches of listeners. Several may run at once: each batch is checked against the lease, facts have keys."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self.db = db
        self.settings = settings
        self._moved_to: dict[tuple[str, str], JournalPosition] = {}

    async def open_journal(
        self, pbx: str, journal: str, owner: str, *, is_new: bool, former: str = ""
    ) -> tuple[str, JournalPosition]:
        """The name of the journal from now on (a copied journal gets a new one), and how far it has been applied.

        ``former``: the owner who wrote this very folder before and is dead.
        """
        async with self.db.write() as session:
            return await leases.open_journal(session, pbx, journal, owner, is_new=is_new, former=former)

    async def handover(self, pbx: str) -> Handover:
        """What a listener needs at a takeover: until when the PBX was heard, the open calls, and their known facts."""
        async with self.db.read() as session:
            status = await session.get(PbxStatus, pbx)
            heard = status.last_event_at if status is not None else None
            if status is not None and heard is not None:
                heard -= timedelta(seconds=status.lag_seconds or 0.0)  # later messages may not have been applied
            return Handover(heard, await open_calls(session, pbx), await told_of_open_calls(session, pbx))

    async def apply(self, batch: Batch) -> None:
        """Apply the whole batch or nothing. Raises LeaseLost when another listener has taken over."""
        name = (batch.pbx, batch.journal)
        async with self.db.write() as session:
            await leases.check_lease(session, batch.pbx, batch.lease, batch.heard_until)
            if batch.facts:
                await apply_facts(session, await load_call_context(session, self.settings), batch.facts)
            if self._moved_to.get(name) != batch.cursor:
                await leases.move_cursor(session, batch.pbx, batch.journal, batch.cursor)
        self._moved_to[name] = batch.cursor

    async def already_told(self, pbx: str, linkedids: set[str]) -> dict[str, ToldCall]:
        """What the database knows of these calls, by linkedid; unknown calls are left out."""
        async with self.db.read() as session:
            found = await session.exec(
                select(Call.linkedid, Call.outcome, Call.merged_into_id, CallEvent.key)
                .join(CallEvent, col(CallEvent.call_id) == col(Call.id))
                .where(Call.pbx == pbx, col(Call.linkedid).in_(linkedids))
            )
            keys: dict[str, set[str]] = {}
            over, unknown = dict[str, bool](), dict[str, bool]()
            for linkedid, outcome, merged_into_id, key in found.all():
                keys.setdefault(linkedid, set()).add(key)
                over[linkedid] = outcome != Outcome.OPEN or merged_into_id is not None
                unknown[linkedid] = outcome == Outcome.UNKNOWN and merged_into_id is None
        return {name: ToldCall(over[name], frozenset(told), unknown[name]) for name, told in keys.items()}

    async def add_missing(self, batch: Batch) -> None:
        """Apply calls that a standby heard to their end and whose end the database lacks. Known endings stay unchanged."""
        async with self.db.write() as session:
            await leases.check_lease(session, batch.pbx, batch.lease, batch.heard_until)
            names = {fact.call.linkedid for fact in batch.facts}
            unended = [Outcome.OPEN.value, Outcome.UNKNOWN.value]
            is_over = or_(col(Call.outcome).not_in(unended), col(Call.merged_into_id).is_not(None))
            known = select(Call.linkedid).where(Call.pbx == batch.pbx, col(Call.linkedid).in_(names), is_over)
            over = set((await session.exec(known)).all())
            facts = tuple(fact for fact in batch.facts if fact.call.linkedid not in over)
            if facts:
                await apply_facts(session, await load_call_context(session, self.settings), facts)

    async def move_cursor(self, pbx: str, journal: str, cursor: JournalPosition) -> None:
        """Store how far a standby's journal is covered by what others have applied."""
        async with self.db.write() as session:
            await leases.move_cursor(session, pbx, journal, cursor)
        self._moved_to[pbx, journal] = cursor

    async def report(self, report: PbxReport, owner: str = "") -> None:
        """Store a listener's report; one from a listener without the lease is ignored while another holds it."""
        async with self.db.write() as session:
            status = await leases.locked_status(session, report.pbx)
            if status.lease_owner not in {"", owner} and owner:
                now = await database_now(session)
                if status.lease_until is not None and status.lease_until > now:
                    return
            changed = (status.state, status.code) != (report.state.value, report.code)
            status.state, status.code, status.params = report.state.value, report.code, report.params
            status.reported_at = report.at
            status.asterisk_version = report.asterisk_version or status.asterisk_version
            status.last_event_at = report.last_event_at or status.last_event_at
            status.last_contact_at = report.last_contact_at or status.last_contact_at
            status.clock_offset_seconds = (
                report.clock_offset_seconds if report.clock_offset_seconds is not None else status.clock_offset_seconds
            )
            status.lag_seconds = report.lag_seconds if report.lag_seconds is not None else status.lag_seconds
            if changed:
                emit(session, "pbx", report.pbx, report.at, roles=EVERYBODY)

    async def hold_lease(
        self,
        pbx: str,
        journal: str,
        owner: str,
        seconds: float,
        *,
        is_hearing: bool = True,
        has_waited: bool = True,
        answered_for: timedelta = timedelta(0),
    ) -> Lease | None:
        """Get or keep the right to apply facts of the PBX for ``seconds``; None while another listener has it."""
        async with self.db.write() as session:
            return await leases.hold_lease(
                session,
                pbx,
                journal,
                owner,
                seconds,
                is_hearing=is_hearing,
                has_waited=has_waited,
                answered_for=answered_for,
            )

    async def lease_left(self, pbx: str) -> float:
        """Seconds until the lease lapses if nobody renews it; 0 or less when it has lapsed or nobody has it."""
        async with self.db.read() as session:
            return await leases.lease_left(session, pbx)

    async def release_lease(self, pbx: str, owner: str) -> None:
        """Let a standby take over at once; called when a listener stops cleanly."""
        async with self.db.write() as session:
            await leases.release_lease(session, pbx, owner)
