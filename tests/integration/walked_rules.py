"""What the walks find of automation: one rule and one incoming webhook, made with the first team."""

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.hook_queries import secret_hash
from pbxcrm.automation.models import AutomationRule, IncomingHook
from pbxcrm.messages.models import Webhook
from pbxcrm.messages.webhook_rules import new_secret
from tests.calls import NOON
from tests.office import Office


async def walked_rule(session: AsyncSession, office: Office) -> AutomationRule:
    """The one rule."""
    known = (await session.exec(select(AutomationRule))).first()
    if known is None:
        known = AutomationRule(
            name="Walked rule", owner_id=office.id("admin"), state="off", mode="once", when={"kind": "deal_created"},
            steps=[{"kind": "stop"}], created_at=NOON,
        )  # fmt: skip
        session.add(known)
        await session.flush()
    return known


async def walked_hook(session: AsyncSession) -> IncomingHook:
    """The one webhook, whose secret is ``walked``."""
    known = (await session.exec(select(IncomingHook))).first()
    if known is None:
        fields = [{"key": "deal_id", "path": "deal", "kind": "text"}]
        known = IncomingHook(
            name="Shop", secret_hash=secret_hash("walked"), fields=fields, per_minute=60, created_at=NOON
        )
        session.add(known)
        await session.flush()
    return known


async def walked_webhook(session: AsyncSession) -> Webhook:
    """The one outgoing webhook."""
    known = (await session.exec(select(Webhook))).first()
    if known is None:
        address = "https://walk.example/"
        known = Webhook(name="Stock", address=address, secret=new_secret(), created_at=NOON)
        session.add(known)
        await session.flush()
    return known
