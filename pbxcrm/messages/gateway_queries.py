"""Queries on the gateway of SMS and what it was asked to send."""

from collections.abc import Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.messages.models import Delivery, MessageChannel, SmsGateway

FEW = 20


async def load_gateway(session: AsyncSession) -> SmsGateway | None:
    """The gateway; None if nobody has described one."""
    return (await session.exec(select(SmsGateway).order_by(col(SmsGateway.id)).limit(1))).first()


async def channels_unsent(session: AsyncSession, *, has_mail: bool) -> frozenset[str]:
    """The channels by which nothing can be sent now: no mail server is set (``has_mail``), or no gateway of SMS is on."""
    gateway = await load_gateway(session)
    sends = {MessageChannel.EMAIL.value: has_mail, MessageChannel.SMS.value: gateway is not None and gateway.is_on}
    return frozenset(channel for channel, does in sends.items() if not does)


async def access_gateway(session: AsyncSession, viewer: Viewer) -> SmsGateway | None:
    """The gateway, for administrators. Raises NotAllowed."""
    check(viewer, Permission.SETTINGS_EDIT)
    return await load_gateway(session)


async def latest_sms(session: AsyncSession, viewer: Viewer) -> Sequence[Delivery]:
    """The latest SMS, the newest first, with tests. Raises NotAllowed."""
    check(viewer, Permission.SETTINGS_EDIT)
    query = select(Delivery).where(Delivery.channel == MessageChannel.SMS.value).order_by(col(Delivery.id).desc())
    return (await session.exec(query.limit(FEW))).all()
