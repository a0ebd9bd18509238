"""Fields of every kind and deals with values, for the tests of this folder."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.deals.creation_actions import DealDraft, do_create_deal
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.deals.queries import default_pipeline, stages_of
from pbxcrm.fields.actions import FieldDraft, create_field
from pbxcrm.fields.definition_rules import OptionDraft
from pbxcrm.fields.models import FieldDefinition, FieldEntity, ValueKind
from pbxcrm.fields.relative_times import AskedAt
from pbxcrm.fields.rules import Checking
from pbxcrm.fields.value_actions import do_set_values
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.reasons import reason
from tests.calls import NOON
from tests.office import Office

KYIV = AskedAt(NOON, ZoneInfo("Europe/Kyiv"))
REGION = "UA"
OPTIONS = ("Brick", "Wood", "Steel", "Glass")
#: One field of each kind that needs no other row; ``link`` to the web.
KINDS = tuple(kind for kind in ValueKind if kind is not ValueKind.FILE)


async def make_field(
    session: AsyncSession,
    viewer: Viewer,
    kind: ValueKind,
    *,
    name: str = "",
    entity: FieldEntity = FieldEntity.DEAL,
    **draft: Any,
) -> FieldDefinition:
    given = {key: draft.pop(key) for key in ("key", "target") if key in draft}
    if kind in {ValueKind.CHOICE, ValueKind.SEVERAL}:
        draft.setdefault("options", [OptionDraft(each) for each in OPTIONS])
    if kind is ValueKind.LINK:
        given.setdefault("target", "web")
    given.setdefault("key", f"my_{kind.value}")
    return await create_field(
        session, viewer, entity=entity, kind=kind.value, draft=FieldDraft(name=name or kind.value, **draft),
        currency="UAH", now=NOON, **given,
    )  # fmt: skip


async def make_deal(session: AsyncSession, office: Office, title: str, login: str = "ivan") -> Deal:
    pipeline = await default_pipeline(session)
    assert pipeline is not None
    stage: Stage = next(each for each in await stages_of(session, pipeline.id or 0) if each.kind == "open")
    viewer = await office.viewer(session, login)
    why = reason("owner.by_hand", by=viewer.name, who=viewer.name)
    return await do_create_deal(
        session,
        DealDraft(title, stage, viewer.user_id, why, "UAH"),
        NOON,
        actor=viewer,
        people=await load_directory(session),
    )


async def set_values(session: AsyncSession, viewer: Viewer, deal: Deal, **values: Any) -> dict[str, Any]:
    return await do_set_values(session, viewer, FieldEntity.DEAL, deal, values, region=REGION)


async def checking(session: AsyncSession) -> Checking:
    return Checking(REGION, await load_directory(session))


def some_value(kind: ValueKind, draw: random.Random, office: Office) -> Any:
    """A value that several rows may share, or None."""
    if draw.random() < 0.2:
        return None
    day = datetime(2026, 11, 21, tzinfo=UTC) + timedelta(hours=draw.randrange(-100, 100))
    texts = ("Майстерня Бойко", "boiko", "Elm Street 7", "Вулиця Зелена, 12", "=cmd|' /C calc'!A0", "🙂🙂", "שלום עולם")
    return {
        ValueKind.TEXT: draw.choice(texts),
        ValueKind.LONG_TEXT: f"{draw.choice(texts)}\nsecond line",
        ValueKind.ADDRESS: draw.choice(texts),
        ValueKind.NUMBER: str(Decimal(draw.randrange(-30, 30)) / 4),
        ValueKind.MONEY: str(Decimal(draw.randrange(0, 500)) / 100),
        ValueKind.DATE: f"{day:%Y-%m-%d}",
        ValueKind.MOMENT: day.isoformat(),
        ValueKind.CHOICE: draw.choice(OPTIONS),
        ValueKind.SEVERAL: draw.sample(OPTIONS, draw.randrange(1, 4)),
        ValueKind.YES_NO: draw.choice((True, False)),
        ValueKind.PERSON: draw.choice(("ivan", "olena", "maria")),
        ValueKind.LINK: draw.choice(("https://example.com/a", "example.org", "http://example.net/x?y=1")),
        ValueKind.PHONE: f"+38067000{draw.randrange(10):04d}",
    }[kind]
