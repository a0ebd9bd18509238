"""Quality control reads everything and changes nothing, so nobody can give it work that it could not do."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calls.lines import LineRules, save_line
from pbxcrm.checkpoints.actions import change_checkpoint
from pbxcrm.checkpoints.drafts import CheckpointChange, StepChange
from pbxcrm.checkpoints.queries import list_checkpoints
from pbxcrm.contacts.actions import create_contact, edit_contact
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Invalid
from pbxcrm.tasks.actions import create_task, edit_task
from pbxcrm.tasks.stage_tasks import StageTaskChange, save_stage_tasks
from tests.calls import NOON
from tests.office import Office

LATER = NOON + timedelta(days=1)


async def test_no_path_gives_quality_control_a_client_or_a_task(database: Database, office: Office) -> None:
    kira = office.id("kira")
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        task = await create_task(session, admin, title="Call", due_at=LATER, now=NOON)
        contact = await create_contact(session, admin, name="Ann", now=NOON, region="UA")
        task_id, contact_id = task.id or 0, contact.id or 0
        [callbacks] = [row for row, _ in await list_checkpoints(session) if row.trigger == "callback"]
    steps = [StepChange(5, "role:qc", "task")]
    ways: list[tuple[str, Callable[[AsyncSession], Awaitable[object]]]] = [
        ("assignee_id", lambda s: create_task(s, admin, title="Call", due_at=LATER, now=NOON, assignee_id=kira)),
        ("assignee_id", lambda s: edit_task(s, admin, task_id, version=None, now=NOON, assignee_id=kira)),
        ("responsible_id", lambda s: create_contact(s, admin, name="Bo", now=NOON, region="UA", responsible_id=kira)),
        (
            "responsible_id",
            lambda s: edit_contact(s, admin, contact_id, version=None, now=NOON, region="UA", responsible_id=kira),
        ),
        ("owner_id", lambda s: save_line(s, admin, None, LineRules(name="Line", owner_id=kira), NOON)),
        ("whom", lambda s: save_stage_tasks(s, admin, 1, [StageTaskChange("Look", "role:qc")], seen=None, now=NOON)),
        ("whom", lambda s: save_stage_tasks(s, admin, 1, [StageTaskChange("Look", "user:kira")], seen=None, now=NOON)),
        (
            "steps",
            lambda s: change_checkpoint(
                s,
                admin,
                callbacks.id or 0,
                CheckpointChange("C", "callback", steps, work=callbacks.work, talked_seconds=callbacks.talked_seconds),
                now=NOON,
            ),
        ),
    ]
    for field, act in ways:
        with pytest.raises(Invalid) as refused:
            async with database.write() as session:
                await act(session)
        assert refused.value.field == field
        assert refused.value.code.endswith(("cannot_work", "cannot_call")), refused.value.code
