"""A field of a deal is declared once: everything that shows, takes or tells it derives from that."""

from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import col, select

from pbxcrm.audit.models import AuditEntry
from pbxcrm.deals.actions import edit_deal
from pbxcrm.deals.fields import FIELDS, FieldKind, Value
from pbxcrm.deals.models import Deal
from tests.calls import NOON, FactStory, batch
from tests.integration.callbacks.conftest import CallbackDesk
from tests.integration.callbacks.conftest import desk as desk  # noqa: PLC0414 - a fixture of theirs
from web.api.deal_fields import sent_values
from web.api.v1.deals import DealChange, DealOut, NewDeal
from web.i18n import Here, Language, speaking
from web.words import deal_changes

SOON = NOON + timedelta(days=1)
#: What is given, how it is stored as text, how it is shown.
NEW: dict[FieldKind, tuple[Value, str, str]] = {
    FieldKind.TEXT: ("Something new", "Something new", "Something new"),
    FieldKind.AMOUNT: ("99,5", "99.50", "99.50"),
    FieldKind.MOMENT: (SOON, SOON.isoformat(), "tomorrow\u00a014:00"),
}


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.key)
def test_the_api_takes_and_says_every_field(field: object) -> None:
    key = getattr(field, "key")  # noqa: B009 - the parameter is any of them
    assert all(key in model.model_fields for model in (DealOut, NewDeal, DealChange))


def test_what_a_request_leaves_away_is_not_sent() -> None:
    change = DealChange.model_validate({"amount": None})
    assert sent_values(change) == {"amount": None}


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.key)
async def test_a_change_is_checked_audited_and_told(desk: CallbackDesk, field: object) -> None:
    one = next(known for known in FIELDS if known is field)
    await desk.intake.apply(batch(FactStory("17.1").ring("101").answer("101").wait(9).end()))
    deal, ivan = await desk.one(Deal), await desk.viewer("ivan")
    given, told, said = NEW[one.kind]
    async with desk.database.write() as session:
        await edit_deal(session, ivan, deal.id or 0, version=deal.version, now=NOON, values={one.key: given})
    after = await desk.one(Deal)
    assert getattr(after, one.key) == (SOON if one.kind is FieldKind.MOMENT else type(getattr(after, one.key))(told))
    assert after.version == deal.version + 1
    async with desk.database.read() as session:
        query = select(AuditEntry).where(AuditEntry.action == "deal.edited").order_by(col(AuditEntry.id))
        (entry,) = (await session.exec(query)).all()
    assert entry.data["changed"][one.key]["after"] == told
    with speaking(Here(Language.EN, ZoneInfo("Europe/Kyiv"), NOON, "UAH")):
        [(_name, _before, shown)] = deal_changes(entry)
    assert shown == said


async def test_whatever_changes_together_is_one_version_and_nothing_is_none(desk: CallbackDesk) -> None:
    await desk.intake.apply(batch(FactStory("17.1").ring("101").answer("101").wait(9).end()))
    deal, maria = await desk.one(Deal), await desk.viewer("maria")

    async def edit(values: dict[str, Value], owner: str) -> int:
        async with desk.database.write() as session:
            changed = await edit_deal(
                session,
                maria,
                deal.id or 0,
                version=None,
                now=NOON,
                values=values,
                responsible_id=desk.office.id(owner),
            )
            return changed.version

    assert await edit({"title": "Fence", "amount": Decimal(5)}, "olena") == deal.version + 1
    assert await edit({"title": "Fence", "amount": "5"}, "olena") == deal.version + 1
    assert await edit({}, "ivan") == deal.version + 2
