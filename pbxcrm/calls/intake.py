"""Where facts enter the database: a batch and its journal position in one transaction (the listener's ``Sink``)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, case, func, update
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calls.applying import apply_facts
from pbxcrm.calls.facts import Batch, Cursor, Handover, PbxReport
from pbxcrm.calls.models import PbxStatus
from pbxcrm.calls.queries import open_calls, told_of_open_calls
from pbxcrm.calls.world import load_world
from pbxcrm.db import Database, UtcDateTime, lock
from pbxcrm.events import emit
from pbxcrm.people.models import Role
from pbxcrm.rows import tell
from pbxcrm.settings import Settings

EVERYBODY = [role.value for role in Role]


class Intake:
    """Applies what listeners say. Safe with several listeners at once: facts have keys, and clients are locked."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self.db = db
        self.settings = settings
        self._moved_to: dict[str, Cursor] = {}

    async def cursor(self, pbx: str) -> Cursor:
        async with self.db.read() as session:
            status = await session.get(PbxStatus, pbx)
        return Cursor(status.position, status.replay_from) if status is not None else Cursor(0, 0)

    async def handover(self, pbx: str) -> Handover:
        async with self.db.read() as session:
            status = await session.get(PbxStatus, pbx)
            heard = status.last_event_at if status is not None else None
            if status is not None and heard is not None:
                heard -= timedelta(seconds=status.lag_seconds or 0.0)  # what came later may not have been applied
            return Handover(heard, await open_calls(session, pbx), await told_of_open_calls(session, pbx))

    async def apply(self, batch: Batch) -> None:
        async with self.db.write() as session:
            await lock(session, f"pbx:{batch.pbx}")
            if batch.facts:
                await apply_facts(session, await load_world(session, self.settings), batch.facts)
            if self._moved_to.get(batch.pbx) != batch.cursor:
                await _move_on(session, batch)
        self._moved_to[batch.pbx] = batch.cursor

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


_STATUS: Any = SQLModel.metadata.tables["pbx_status"].c
_MOVE_ON = (  # built once, and past the ORM: it is done for each batch
    update(_STATUS.pbx.table)
    .where(_STATUS.pbx == bindparam("of"))
    .values(
        position=case((_STATUS.position > bindparam("to"), _STATUS.position), else_=bindparam("to")),
        replay_from=bindparam("replay"),
        last_event_at=func.coalesce(bindparam("heard", type_=UtcDateTime), _STATUS.last_event_at),
    )
)


async def _move_on(session: AsyncSession, batch: Batch) -> None:
    """The journal position, in the same transaction as what follows from it."""
    heard = max((fact.at for fact in batch.facts), default=None)
    position, replay = batch.cursor.position, batch.cursor.replay_from
    moved = {"of": batch.pbx, "to": position, "replay": replay, "heard": heard}
    if not await tell(session, _MOVE_ON, [moved]):
        session.add(PbxStatus(pbx=batch.pbx, position=position, replay_from=replay, last_event_at=heard))


async def _status(session: AsyncSession, pbx: str) -> PbxStatus:
    status = await session.get(PbxStatus, pbx)
    if status is None:
        status = PbxStatus(pbx=pbx)
        session.add(status)
        await session.flush()
    return status
