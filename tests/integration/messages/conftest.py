"""An office with a mail server, from which messages to clients are sent."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlmodel import col, select

from pbxcrm.automation.rule_actions import save_rule
from pbxcrm.automation.rule_templates import TEMPLATES, draft_of_template
from pbxcrm.contacts.actions import create_contact
from pbxcrm.deals.queries import load_funnel
from pbxcrm.messages.actions import send_message
from pbxcrm.messages.mail import MailCarrier
from pbxcrm.messages.models import Delivery, MessageChannel
from pbxcrm.messages.samples import SAMPLES, add_sample
from pbxcrm.messages.sender import MessageSender
from pbxcrm.messages.template_actions import MessageDraft, save_message_template
from pbxcrm.notices.mail import MailServer
from pbxcrm.shared import reasons
from pbxcrm.shared.db import Database
from pbxcrm.shared.wording import register_words
from tests.integration.automation.conftest import REGION, RuleDesk, open_rule_desk
from tests.office import Office
from tests.smtp_server import TakenMail, running_smtp
from web.i18n import word_in

CLIENT = "petro@client.example"


@dataclass
class MessageDesk:
    """``rules`` makes rules and deals; ``sender`` sends to ``taken``."""

    rules: RuleDesk
    sender: MessageSender
    taken: TakenMail

    async def template(
        self, text: str = "Hello {client.name}!", subject: str = "About {deal.title}", **more: str
    ) -> int:
        async with self.rules.database.write() as session:
            viewer = await self.rules.office.viewer(session, "admin")
            texts, subjects = {"uk": text}, {"uk": subject}
            draft = MessageDraft(
                more.get("name", "Greeting"), more.get("channel", MessageChannel.EMAIL.value), texts, subjects
            )
            template = await save_message_template(session, viewer, None, draft, self.rules.now)
        return template.id or 0

    async def client(
        self, *emails: str, name: str = "Petro", language: str = "", birthday: str = "", phones: Sequence[str] = ()
    ) -> int:
        async with self.rules.database.write() as session:
            viewer = await self.rules.office.viewer(session, "ivan")
            found = await create_contact(
                session,
                viewer,
                name=name,
                emails=emails or (CLIENT,),
                phones=phones,
                now=self.rules.now,
                region=REGION,
                language=language,
                birthday=birthday,
            )
        return found.id or 0

    async def by_hand(self, deal_id: int, template_id: int, key: str = "1", login: str = "ivan") -> int:
        async with self.rules.database.write() as session:
            viewer = await self.rules.office.viewer(session, login)
            found = await send_message(session, viewer, deal_id, template_id, key, self.rules.now)
        return found.id or 0

    async def use(self, code: str) -> None:
        """One click: the rule of the template, switched on, with the message that it sends."""
        template = next(each for each in TEMPLATES if each.code == code)
        async with self.rules.database.write() as session:
            viewer = await self.rules.office.viewer(session, "admin")
            now = self.rules.now
            message_id = await add_sample(session, viewer, template.sample, SAMPLES[template.sample].name, now)
            funnel = await load_funnel(session)
            draft = draft_of_template(
                template, funnel, owner_id=viewer.user_id, state="on", say=str, message_id=message_id
            )
            assert draft is not None
            await save_rule(session, viewer, None, draft, version=None, region=REGION, now=now)

    async def send(self, after: timedelta = timedelta()) -> int:
        self.rules.now += after
        return await self.sender.send_due(self.rules.now)

    async def deliveries(self) -> Sequence[Delivery]:
        async with self.rules.database.read() as session:
            return (await session.exec(select(Delivery).order_by(col(Delivery.id)))).all()

    async def told(self) -> list[tuple[str, str]]:
        """The state of each delivery, and what is said about it."""
        return [(each.state, reasons.text(each.said)) for each in await self.deliveries()]


@pytest.fixture
def taken() -> TakenMail:
    return TakenMail()


@pytest.fixture
async def messages(database: Database, office: Office, taken: TakenMail) -> AsyncIterator[MessageDesk]:
    register_words(word_in)
    desk = await open_rule_desk(database, office)
    async with running_smtp(taken) as url:
        carrier = MailCarrier(MailServer.of(url), "crm@office.example")
        yield MessageDesk(desk, MessageSender(database, (carrier,)), taken)
