"""A worker that kills itself (SIGKILL) at the worst moment: ``python -m tests.killed_at_work URL NOW step KIND`` after a step of this kind
has been taken and before its transaction ends; ``… carrier CHANNEL SMTP_URL`` after a message was handed over and before that is marked.
"""

import asyncio
import os
import signal
import sys
from datetime import datetime
from typing import Any

from pbxcrm.automation.runner import run_due
from pbxcrm.automation.steps.kinds import STEPS
from pbxcrm.composition import compose
from pbxcrm.messages.mail import MailCarrier
from pbxcrm.messages.models import Delivery, MessageChannel
from pbxcrm.messages.sender import Begin, Carrier, MessageSender
from pbxcrm.messages.sms import SmsCarrier
from pbxcrm.messages.webhooks import WebhookCarrier
from pbxcrm.notices.mail import MailServer
from pbxcrm.shared.db import Database
from pbxcrm.shared.networks import parse_networks
from pbxcrm.shared.outgoing import Outgoing

HERE = parse_networks("127.0.0.0/8, ::1")


def carriers(database: Database, smtp_url: str) -> dict[str, Carrier]:
    """Those of the product, which may reach this machine."""
    out = Outgoing(HERE)
    return {
        MessageChannel.EMAIL.value: MailCarrier(MailServer.of(smtp_url), "crm@office.example"),
        MessageChannel.SMS.value: SmsCarrier(database, out),
        MessageChannel.WEBHOOK.value: WebhookCarrier(database, out),
    }


async def die_in_step(database: Database, now: datetime, kind: str) -> None:
    step = type(STEPS[kind])
    do = step.do

    async def do_and_die(self: Any, context: Any, settings: Any) -> Any:
        taken = await do(self, context, settings)
        await context.session.flush()
        die()
        return taken

    step.do = do_and_die  # type: ignore[method-assign]
    await run_due(database, now, "UA")


async def die_in_carrier(database: Database, now: datetime, channel: str, smtp_url: str) -> None:
    carrier = carriers(database, smtp_url)[channel]
    await MessageSender(database, (_Dying(carrier),)).send_due(now)


class _Dying:
    def __init__(self, inner: Carrier) -> None:
        self._inner, self.channel, self.most_at_once = inner, inner.channel, 1
        self.may_repeat = inner.may_repeat

    async def carry(self, delivery: Delivery, begin: Begin) -> str:
        answer = await self._inner.carry(delivery, begin)
        die()
        return answer


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main() -> None:
    url, now, what, *more = sys.argv[1:]
    compose()
    database = Database(url)
    await (die_in_step if what == "step" else die_in_carrier)(database, datetime.fromisoformat(now), *more)


if __name__ == "__main__":
    asyncio.run(main())
