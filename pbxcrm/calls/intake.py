"""Where facts enter the database: a batch and its journal position in one transaction (the listener's ``Sink``)."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calls.actions import consider
from pbxcrm.calls.facts import Batch, CallFact, CallState, Cursor, Direction, FactKind, Leg, LegResult, PbxReport
from pbxcrm.calls.models import Call, CallEvent, CallLeg, PbxStatus
from pbxcrm.calls.rules import clean_name, line_of
from pbxcrm.calls.world import World, load_world
from pbxcrm.db import Database, lock
from pbxcrm.events import emit
from pbxcrm.numbers import normalise
from pbxcrm.people.models import Role
from pbxcrm.phone.following import follow
from pbxcrm.screenpop.actions import do_owe_wrap_up, say_dock_changed
from pbxcrm.settings import Settings

QUIET = {FactKind.OPENED, FactKind.QUEUED}  # nobody's screen shows these by themselves
EVERYBODY = [role.value for role in Role]


class Intake:
    """Applies what listeners say. Safe with several listeners at once: facts have keys, and clients are locked."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self.db = db
        self.settings = settings

    async def cursor(self, pbx: str) -> Cursor:
        async with self.db.read() as session:
            status = await session.get(PbxStatus, pbx)
        return Cursor(status.position, status.replay_from) if status is not None else Cursor(0, 0)

    async def apply(self, batch: Batch) -> None:
        async with self.db.write() as session:
            await lock(session, f"pbx:{batch.pbx}")
            if batch.facts:
                await apply_facts(session, await load_world(session, self.settings), batch.facts)
            status = await _status(session, batch.pbx)
            status.position = max(status.position, batch.cursor.position)
            status.replay_from = batch.cursor.replay_from
            if batch.facts:
                status.last_event_at = max(fact.at for fact in batch.facts)

    async def report(self, report: PbxReport) -> None:
        async with self.db.write() as session:
            status = await _status(session, report.pbx)
            changed = (status.state, status.code) != (report.state.value, report.code)
            status.state, status.code, status.params = report.state.value, report.code, report.params
            status.reported_at = report.at
            status.asterisk_version = report.asterisk_version or status.asterisk_version
            status.last_event_at = report.last_event_at or status.last_event_at
            status.clock_offset_seconds = (
                report.clock_offset_seconds if report.clock_offset_seconds is not None else status.clock_offset_seconds
            )
            status.lag_seconds = report.lag_seconds if report.lag_seconds is not None else status.lag_seconds
            if changed:
                emit(session, "pbx", report.pbx, report.at, roles=EVERYBODY)

    async def acquire_lease(self, pbx: str, owner: str, seconds: float) -> bool:
        """Whether ``owner`` may listen to the PBX for the next ``seconds``; renewing one's own lease always succeeds."""
        now = datetime.now(UTC)
        async with self.db.write() as session:
            await lock(session, f"pbx:{pbx}")
            status = await _status(session, pbx)
            if status.lease_owner not in {"", owner} and status.lease_until is not None and status.lease_until > now:
                return False
            status.lease_owner, status.lease_until = owner, now + timedelta(seconds=seconds)
            return True

    async def release_lease(self, pbx: str, owner: str) -> None:
        """Let a standby take over at once; called when a listener stops in good order."""
        async with self.db.write() as session:
            status = await _status(session, pbx)
            if status.lease_owner == owner:
                status.lease_owner, status.lease_until = "", None


async def apply_facts(session: AsyncSession, world: World, facts: tuple[CallFact, ...]) -> None:
    """Apply ``facts`` in order; one that was applied before changes nothing."""
    calls = await _calls(session, facts)
    known = await _known_keys(session, [call for call in calls.values() if call.id is not None])
    for fact in facts:
        state = fact.call
        call = calls.get((state.pbx, state.linkedid))
        if call is None:
            call = Call(
                pbx=state.pbx,
                linkedid=state.linkedid,
                direction=state.direction.value,
                outcome=state.outcome.value,
                started_at=state.started_at,
            )
            session.add(call)
            await session.flush()
            calls[state.pbx, state.linkedid] = call
        assert call.id is not None
        if (call.id, fact.key) in known:
            continue
        known.add((call.id, fact.key))
        session.add(
            CallEvent(call_id=call.id, key=fact.key[:200], kind=fact.kind.value, party=fact.party[:150], at=fact.at)
        )
        _refresh(call, state, world)
        legs = await _refresh_legs(session, call, state.legs, world)
        if fact.kind is FactKind.ABSORBED:
            await _absorb(session, call, calls, fact)
        else:
            await follow(session, call, state, fact.at)
            await consider(session, world, call, state, fact.at)
        await _show(session, call, fact, legs)
        _say_call_changed(session, call, legs, fact.at, world)


async def _calls(session: AsyncSession, facts: tuple[CallFact, ...]) -> dict[tuple[str, str], Call]:
    found = await session.exec(
        select(Call).where(
            col(Call.linkedid).in_({f.call.linkedid for f in facts}), col(Call.pbx).in_({f.call.pbx for f in facts})
        )
    )
    return {(call.pbx, call.linkedid): call for call in found.all()}


async def _known_keys(session: AsyncSession, calls: list[Call]) -> set[tuple[int, str]]:
    if not calls:
        return set()
    found = await session.exec(
        select(CallEvent.call_id, CallEvent.key).where(col(CallEvent.call_id).in_([call.id for call in calls]))
    )
    return {(call_id, key) for call_id, key in found.all()}


def _refresh(call: Call, state: CallState, world: World) -> None:
    """The row says what the PBX says now. What we made of the call (deal, owner, reason) stays."""
    region = line_of(state, world.lines).region or world.settings.region_of(state.pbx)
    if state.direction is Direction.INTERNAL or (state.withheld and state.direction is Direction.INBOUND):
        call.client_number = None
    else:
        call.client_number = (normalise(state.client_heard, region) or "")[:64] or None
    call.direction, call.outcome = state.direction.value, state.outcome.value
    call.missed_reason = state.missed_reason.value if state.missed_reason else None
    call.client_heard, call.client_name, call.withheld = (
        _cut(state.client_heard, 255),
        clean_name(state.client_name),
        state.withheld,
    )
    call.trunk, call.did, call.dialled, call.queue = (
        _cut(value, 100) for value in (state.trunk, state.did, state.dialled, state.queue)
    )
    call.made_by, call.answered_by = _cut(state.made_by, 32), _cut(state.answered_by, 32)
    call.rang, call.talked = list(state.rang), list(state.talked)
    call.ringing, call.talking = list(state.ringing), list(state.talking)
    call.transfers = [{"from": t.source, "to": t.target, "kind": t.kind.value} for t in state.transfers]
    call.started_at, call.answered_at, call.ended_at = state.started_at, state.answered_at, state.ended_at
    call.wait_seconds, call.talk_seconds = state.wait_seconds, state.talk_seconds
    call.click_to_call, call.channel_ids = state.click_to_call, list(state.channel_ids)
    call.recording = _cut(clean_name(state.recording), 500) or call.recording


async def _refresh_legs(session: AsyncSession, call: Call, legs: tuple[Leg, ...], world: World) -> list[CallLeg]:
    found = await session.exec(select(CallLeg).where(CallLeg.call_id == call.id))
    rows = {row.channel_id: row for row in found.all()}
    for leg in legs:
        row = rows.get(leg.channel_id)
        if row is None:
            user = world.people.user_of(leg.extension)
            row = CallLeg(
                call_id=call.id or 0,
                channel_id=leg.channel_id[:150],
                extension=leg.extension[:64],
                user_id=user.id if user else None,
                dialled_at=leg.dialled_at,
                result=leg.result.value,
            )
            session.add(row)
            rows[leg.channel_id] = row
        for name, value in asdict(leg).items():
            if name not in {"channel_id", "extension"}:
                setattr(row, name, value.value if isinstance(value, LegResult) else value)
    return list(rows.values())


async def _show(session: AsyncSession, call: Call, fact: CallFact, legs: list[CallLeg]) -> None:
    """Draw anew the docks of those whose screens this fact concerns: one phone's for a ring, everybody's for an answer."""
    if call.direction == Direction.INTERNAL or fact.kind in QUIET:
        return
    alone = fact.kind in {FactKind.RINGING, FactKind.SILENCED}
    users = {leg.user_id for leg in legs if not alone or leg.extension == fact.party}
    if fact.kind is FactKind.JOINED:
        for user_id in {leg.user_id for leg in legs if leg.extension == fact.party and leg.user_id is not None}:
            await do_owe_wrap_up(session, call, user_id, fact.at)
    say_dock_changed(session, fact.at, *users)


async def _absorb(session: AsyncSession, call: Call, calls: dict[tuple[str, str], Call], fact: CallFact) -> None:
    """``call`` turned out to be a part of another; it stays as a row, shown nowhere by itself."""
    survivor = calls.get((call.pbx, fact.party))
    if survivor is None:
        found = await session.exec(select(Call).where(Call.pbx == call.pbx, Call.linkedid == fact.party))
        survivor = found.first()
    if survivor is not None and survivor.id != call.id:
        call.merged_into_id = survivor.id
    call.ringing, call.talking = [], []


def _say_call_changed(session: AsyncSession, call: Call, legs: list[CallLeg], at: datetime, world: World) -> None:
    """Those whose phones take part, who is responsible, and their managers; nobody's call is for the managers."""
    users = world.people.audience(*(leg.user_id for leg in legs), call.responsible_id)
    nobodys = [Role.MANAGER.value] if call.responsible_id is None else []
    emit(session, "call", call.id, at, users=users, roles=[Role.ADMIN.value, Role.QC.value, *nobodys])


async def _status(session: AsyncSession, pbx: str) -> PbxStatus:
    status = await session.get(PbxStatus, pbx)
    if status is None:
        status = PbxStatus(pbx=pbx)
        session.add(status)
        await session.flush()
    return status


def _cut(value: str | None, length: int) -> str | None:
    return value[:length] if value is not None else None
