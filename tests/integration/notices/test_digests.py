"""Digests by a real mail server: once for each person and day, in their language, again where it refused."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest
from sqlmodel import col, select

from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.notices.digest_actions import Post
from pbxcrm.notices.mail import MailServer
from pbxcrm.notices.models import Digest, DigestState
from pbxcrm.notices.queries import troubled_digests
from pbxcrm.people.models import User
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.refusals import NotSent
from pbxcrm.shared.settings import Settings
from pbxcrm.upkeep.doctor.data import check_mail
from tests.calls import FactStory, batch
from tests.integration.checkpoints.conftest import DealDesk
from tests.office import Office
from tests.smtp_server import TakenMail, running_smtp
from web.digest import writer

MORNING = datetime(2026, 11, 19, 7, 0, tzinfo=UTC)  # Thursday 9:00 in Kyiv
MINUTE = timedelta(minutes=1)


@pytest.fixture
def desk(database: Database, office: Office, intake: Intake) -> DealDesk:
    return DealDesk(database, office, intake)


@pytest.fixture
def mailbox() -> TakenMail:
    return TakenMail()


@pytest.fixture
async def post(database: Database, settings: Settings, mailbox: TakenMail) -> AsyncIterator[Post]:
    """With a mail server on a port of its own."""
    async with running_smtp(mailbox) as url:
        ours = settings.model_copy(update={"mail_from": "crm@office.example", "public_url": "https://crm.example"})
        yield Post(database, writer(ours), MailServer.of(url).deliver)


async def wants(database: Database, login: str, at: str, *, language: str = "", quiet: str = "") -> None:
    async with database.write() as session:
        user = (await session.exec(select(User).where(User.login == login))).one()
        hour, minute = at.split(":")
        user.email, user.digest_at = f"{login}@office.example", 60 * int(hour) + int(minute)
        user.language, user.quiet_digest = language, quiet


async def digests(database: Database) -> list[Digest]:
    async with database.read() as session:
        return list((await session.exec(select(Digest).order_by(col(Digest.id)))).all())


async def a_lamp_burns(desk: DealDesk) -> None:
    """Ivan's deal: an hour of norm from the afternoon before, then one to be lit in the day."""
    await desk.deal("New request", at=MORNING - timedelta(hours=18))
    await desk.sweep(MORNING - timedelta(hours=16))
    async with desk.database.write() as session:
        await create_deal(
            session,
            await desk.viewer("admin"),
            title="Second",
            now=MORNING,
            currency="UAH",
            region="UA",
            stage_id=(await desk.stage("New request")).id,
            responsible_id=desk.office.id("ivan"),
        )


async def test_a_missed_call_is_called_so(
    desk: DealDesk, intake: Intake, post: Post, mailbox: TakenMail, database: Database
) -> None:
    """Its deal stands in no stage that matters here; it had a dash in place of the stage."""
    missed = FactStory("9.1", "+380671112233", at=MORNING - timedelta(hours=18)).ring("101").wait(9).end()
    await intake.apply(batch(missed))
    await desk.sweep(MORNING - timedelta(hours=16))
    await wants(database, "ivan", "9:00")
    assert await post.send_due(MORNING) == 1
    (mail,) = mailbox.of("ivan@office.example")
    (line,) = [line for line in mail.get_content().splitlines() if "/deals/" in line]
    assert " · A missed call — " in line


async def test_everybody_gets_theirs_once_a_day_at_their_time_and_in_their_language(
    desk: DealDesk, post: Post, mailbox: TakenMail, database: Database
) -> None:
    await a_lamp_burns(desk)
    await wants(database, "ivan", "9:00", language="uk")
    await wants(database, "maria", "9:30")
    assert await post.send_due(MORNING - MINUTE) == 0
    assert await post.send_due(MORNING) == 1
    for other in (post, Post(database, post.write, post.deliver)):  # another worker
        assert await other.send_due(MORNING + MINUTE) == 0
    (mail,) = mailbox.of("ivan@office.example")
    text = mail.get_content()
    assert "Зараз горить: 1 лампочка" in text
    assert "Сьогодні загориться: 1 лампочка" in text
    assert "Deal 1" in text
    assert "https://crm.example/deals/1" in text
    assert "прострочено" in mail["Subject"]
    assert mail["Message-ID"].endswith("2026-11-19@office.example>")
    assert await post.send_due(MORNING + 30 * MINUTE) == 1
    (mail,) = mailbox.of("maria@office.example")
    assert "By person:" in mail.get_content()
    assert "Ivan" in mail.get_content()
    assert await post.send_due(MORNING + timedelta(days=1)) == 1
    assert len(mailbox.of("ivan@office.example")) == 2
    assert await post.send_due(MORNING + timedelta(days=2)) == 0  # Saturday


async def test_a_refusal_is_shown_and_tried_again(
    desk: DealDesk, post: Post, mailbox: TakenMail, database: Database, settings: Settings
) -> None:
    await a_lamp_burns(desk)
    await wants(database, "ivan", "9:00")
    mailbox.refuses = "451 come back later"
    assert await post.send_due(MORNING) == 0
    (row,) = await digests(database)
    assert (row.state, row.tries, "come back later" in row.error) == (DigestState.WAITING, 1, True)
    with_mail = settings.model_copy(update={"smtp_url": "smtp://127.0.0.1:25", "mail_from": "crm@office.example"})
    (finding,) = await check_mail(database, with_mail, MORNING)
    assert "come back later" in finding.what
    (finding,) = await check_mail(database, settings, MORNING)
    assert "no mail server is set" in finding.what
    assert await post.send_due(MORNING + timedelta(seconds=30)) == 0
    mailbox.refuses = ""
    assert await post.send_due(MORNING + MINUTE) == 1
    (row,) = await digests(database)
    assert (row.state, row.error) == (DigestState.SENT, "")
    async with database.read() as session:
        assert not await troubled_digests(session, MORNING + MINUTE)


async def test_a_server_that_is_not_there_is_a_refusal() -> None:
    message = EmailMessage()
    message["From"], message["To"] = "a@office.example", "b@office.example"
    with pytest.raises(NotSent):
        await MailServer.of("smtp://127.0.0.1:1").deliver(message)


async def test_whoever_dies_while_sending_leaves_none_that_comes_twice(
    desk: DealDesk, post: Post, mailbox: TakenMail, database: Database
) -> None:
    await a_lamp_burns(desk)
    await wants(database, "ivan", "9:00")

    async def dies(message: EmailMessage) -> None:
        await post.deliver(message)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await Post(database, post.write, dies).send_due(MORNING)
    for minutes in (1, 10, 60):
        assert await post.send_due(MORNING + minutes * MINUTE) == 0
    assert len(mailbox.mails) == 1
    (row,) = await digests(database)
    assert (row.state, bool(row.error)) == (DigestState.FAILED, True)


async def test_two_workers_at_once_send_it_once(
    desk: DealDesk, post: Post, mailbox: TakenMail, database: Database
) -> None:
    await a_lamp_burns(desk)
    await wants(database, "ivan", "9:00")
    await wants(database, "maria", "9:00")
    sent = await asyncio.gather(*(Post(database, post.write, post.deliver).send_due(MORNING) for _ in range(3)))
    assert (sum(sent), len(mailbox.mails)) == (2, 2)


async def test_quiet_hours_hold_it_and_nothing_to_say_is_not_said(
    desk: DealDesk, post: Post, mailbox: TakenMail, database: Database
) -> None:
    await wants(database, "petro", "9:00")  # nothing burns, nothing will
    await wants(database, "ivan", "9:00", quiet="08:30-09:15")
    await a_lamp_burns(desk)
    assert await post.send_due(MORNING) == 0
    assert await post.send_due(MORNING + 15 * MINUTE) == 1
    assert [mail["To"] for mail in mailbox.mails] == ["ivan@office.example"]
    assert {row.state for row in await digests(database)} == {DigestState.SENT, DigestState.EMPTY}
