"""What a stage asks for when a request makes a deal there."""

import pytest
from sqlmodel import select

from pbxcrm.deals.models import Deal, Stage, StageKind
from pbxcrm.deals.pipeline_rules import Requirements
from pbxcrm.fields.actions import FieldDraft, create_field
from pbxcrm.fields.models import FieldEntity
from pbxcrm.shared import reasons
from pbxcrm.shared.db import Database
from pbxcrm.tasks.models import Task
from tests.calls import NOON
from tests.forms import make_form, send
from tests.office import Office


@pytest.mark.parametrize("sent", [{"colour": "red"}, {}])
async def test_a_field_of_the_form_is_filled_in_before_the_gate_is_asked(
    database: Database, office: Office, sent: dict[str, str]
) -> None:
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        await create_field(
            session,
            admin,
            entity=FieldEntity.DEAL,
            kind="text",
            key="colour",
            draft=FieldDraft(name="Colour"),
            currency="UAH",
            now=NOON,
        )
        for stage in (await session.exec(select(Stage).where(Stage.kind == StageKind.UNSORTED))).all():
            stage.requires = Requirements(fields=("colour",)).stored()
    request = await send(database, await make_form(database, admin, NOON), NOON, **sent)
    async with database.read() as session:
        deal = await session.get_one(Deal, request.deal_id)
        asked = [task for task in (await session.exec(select(Task))).all() if task.about == f"gate:{deal.id}"]
    assert bool(deal.custom) == bool(sent)
    assert len(asked) == (0 if sent else 1)
    assert all("Colour" in reasons.text(task.reason) for task in asked)
