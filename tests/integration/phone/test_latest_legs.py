"""Questions about extensions look at the latest legs only: an office has millions after some years."""

import pytest

from pbxcrm.calls import queries as call_queries
from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.calls.queries import unmapped_extensions
from pbxcrm.phone.queries import last_pbx
from pbxcrm.shared.db import Database
from tests.calls import NOON
from tests.office import Office


async def test_only_the_latest_legs_are_looked_at(
    database: Database, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_queries, "_LATEST_LEGS", 2)
    async with database.write() as session:
        for n, extension in enumerate(("771", "772", "773")):
            call = Call(pbx=f"pbx{n}", linkedid=f"{n}.1", direction="inbound", outcome="answered", started_at=NOON)
            session.add(call)
            await session.flush()
            session.add(
                CallLeg(call_id=call.id or 0, channel_id="a", extension=extension, dialled_at=NOON, result="no_answer")
            )
            await session.flush()
    async with database.read() as session:
        assert await unmapped_extensions(session) == ["772", "773"]
        assert await last_pbx(session, "773") == "pbx2"
        assert await last_pbx(session, "771") is None  # it rang too long ago
