"""The parts that ``pbxcrm run`` starts as children and ``web``, ``listen``, ``work`` start alone."""

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
import uvloop
from redis.asyncio import Redis

from pbxcrm import migrations
from pbxcrm.cli.bind import bind
from pbxcrm.cli.locks import in_use, prepared
from pbxcrm.files.store import Store
from pbxcrm.forms.actions import Surroundings
from pbxcrm.forms.imap import MailboxServer
from pbxcrm.forms.mail_actions import MailPoll
from pbxcrm.messages.mail import MailCarrier
from pbxcrm.messages.sender import MessageSender
from pbxcrm.messages.sms import SmsCarrier
from pbxcrm.messages.webhooks import WebhookCarrier
from pbxcrm.notices.digest_actions import Post
from pbxcrm.notices.mail import MailServer
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import BadSettings
from pbxcrm.shared.networks import parse_networks
from pbxcrm.shared.outgoing import Outgoing
from pbxcrm.shared.private_files import make_private
from pbxcrm.shared.redis_server import redis_url
from pbxcrm.shared.relay import Relay
from pbxcrm.shared.settings import Pbx, Settings
from pbxcrm.shared.wording import register_words

if TYPE_CHECKING:
    from ami.url import AmiUrl

log = structlog.get_logger()

_IDLE_SECONDS = 1.5  # a listener that was stopped in a transaction must not keep a standby waiting for its locks


@dataclass(frozen=True, slots=True)
class Resources:
    """What every part needs. Browsers hear of commits at once only while ``relay`` runs."""

    db: Database
    redis: Redis
    relay: Relay


@asynccontextmanager
async def open_resources(
    settings: Settings, *, idle_seconds: float | None = None, keeps_plans: bool = False
) -> AsyncIterator[Resources]:
    """Open the database (and check its revision) and Redis (which may be away); close them at the end.

    ``idle_seconds``, ``keeps_plans``: see ``Database``.
    """
    from pbxcrm.composition import compose

    compose()
    with in_use(settings.data_dir):
        make_private(settings.data_dir)
        db = Database(settings.database_url, idle_seconds=idle_seconds, keeps_plans=keeps_plans)
        redis = Redis.from_url(redis_url(settings), socket_connect_timeout=2)
        try:
            await prepared(settings.data_dir)
            await migrations.check(db)
            relay = Relay(db, redis)
            db.after_commit = relay.say
            yield Resources(db, redis, relay)
        finally:
            await redis.aclose()
            await db.close()


def set_aside() -> None:
    """Exclude the objects that exist after the start from garbage collection, because they are kept for good.

    With these 170,000 objects a full collection blocked the loop for 120 to 185 ms, without them 10 ms. Five hundred live
    streams doubled that, every three seconds; nearly all garbage is young or not in a cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 10)


def serve_web(settings: Settings, fd: int | None) -> None:
    """Serve pages and API on ``settings.bind``, or on the listening socket ``fd`` of a supervisor, until stopped."""
    from web.app import create_app
    from web.server import server_of

    async def serve() -> None:
        async with open_resources(settings) as on:
            listening = socket.socket(fileno=fd) if fd is not None else bind(settings)
            server = server_of(create_app(settings, on.db, on.redis), settings)

            def stop(_relaying: asyncio.Task[None]) -> None:
                server.should_exit = True

            relaying = asyncio.create_task(on.relay.run())
            relaying.add_done_callback(stop)
            set_aside()
            try:
                await server.serve(sockets=[listening])
                if relaying.done():  # without the relay browsers get no events: exit and be restarted
                    relaying.result()
            finally:
                relaying.cancel()
                await asyncio.gather(relaying, return_exceptions=True)
                listening.close()

    uvloop.run(serve())


def _post(settings: Settings, db: Database) -> Post | None:
    """The sender of digests; None if no mail server is set."""
    from web.digest import writer  # the texts are those of the pages

    return (
        Post(db, writer(settings), MailServer.of(settings.smtp_url, settings.mail_ca).deliver)
        if settings.smtp_url
        else None
    )


def _sender(settings: Settings, db: Database) -> MessageSender:
    """The sender of messages to clients. Without a mail server it says so on each e-mail, without a gateway on each SMS."""
    from web.i18n import word_in

    register_words(word_in)
    server = MailServer.of(settings.smtp_url, settings.mail_ca) if settings.smtp_url else None
    out = Outgoing(parse_networks(settings.outgoing_networks))
    mail = MailCarrier(server, settings.mail_from, settings.public_url)
    return MessageSender(db, (mail, SmsCarrier(db, out), WebhookCarrier(db, out)))


def _mail_poll(settings: Settings, db: Database, store: Store) -> MailPoll | None:
    """The reader of mailboxes; None if the settings name none."""
    servers = {mailbox.name: MailboxServer.of(mailbox.url, settings.mail_ca) for mailbox in settings.mailboxes}
    around = Surroundings(settings.region, settings.currency, settings.files_total_gb)
    return MailPoll(db, servers, store, around, settings.files_max_mb, settings.mail_from) if servers else None


def serve_worker(settings: Settings) -> None:
    """Run a worker until SIGTERM (``pbxcrm work``)."""
    from workers.work import WorkLoop

    async def serve() -> None:
        async with open_resources(settings) as on:
            log.info("worker.started")
            store = Store.of(settings)
            work = WorkLoop(
                on.db,
                on.relay,
                redis_url(settings),
                _post(settings, on.db),
                store,
                _mail_poll(settings, on.db, store),
                settings.region,
                _sender(settings, on.db),
                settings.currency,
            )
            set_aside()
            await work.run()

    _until_stopped(serve())


def serve_listeners(settings: Settings, only: str | None) -> None:
    """Run one listener per PBX, or only that of the PBX ``only``, until SIGTERM (``pbxcrm listen``). Raises BadSettings."""
    chosen = [pbx for pbx in settings.pbxs if only in {None, pbx.name}]
    if not chosen:
        what = f"There is no PBX “{only}” in the settings." if only else "No PBX is configured."
        raise BadSettings("pbx.none", what + " Set PBXCRM_AMI_URL=ami://user:secret@host:5038.")

    urls = {pbx.name: _url(pbx) for pbx in chosen}

    async def serve() -> None:
        async with (
            open_resources(settings, idle_seconds=_IDLE_SECONDS, keeps_plans=True) as on,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(on.relay.run())
            tasks.create_task(_answer_dialplans(settings, on))
            for pbx in chosen:
                tasks.create_task(_listen(settings, pbx, urls[pbx.name], on))
            await asyncio.sleep(0)  # let each task start and import its modules
            set_aside()

    _until_stopped(serve())


def _url(pbx: Pbx) -> "AmiUrl":
    from ami.errors import BadAmiUrl
    from ami.url import AmiUrl

    try:
        return AmiUrl.parse(pbx.ami_url)
    except BadAmiUrl as error:
        raise BadSettings("pbx.bad_url", str(error)) from None


async def _listen(settings: Settings, pbx: Pbx, url: "AmiUrl", on: Resources) -> None:
    from ami.commands import Dialling
    from ami.listener import Listener, ListenerSettings
    from ami.tracker import Tracker, TrackerSettings
    from pbxcrm.cli.phone_orders import PhoneOrders
    from pbxcrm.phone.order_source import Orders
    from pbxcrm.reactions.intake import Intake

    intake = Intake(on.db, settings)
    tracked = TrackerSettings(
        pbx=pbx.name,
        trunks=pbx.trunks,
        extension_pattern=pbx.extension_pattern or settings.extension_pattern,
        region=settings.region,
    )
    recover = None
    if pbx.cel_csv or pbx.cdr_csv:
        from ami.backfill import Backfill

        recover = Backfill(lambda: Tracker(tracked), pbx.cel_csv, pbx.cdr_csv)
    listener = Listener(
        pbx.name,
        url,
        settings.data_dir / "journal" / pbx.name,
        lambda: Tracker(tracked),
        intake,
        lambda: datetime.now(UTC),
        settings=ListenerSettings(
            keep=timedelta(days=settings.journal_keep_days),
            dialling=Dialling(channel=pbx.dial_channel, context=pbx.dial_context),
        ),
        commands=PhoneOrders(Orders(on.db, on.redis, lambda: datetime.now(UTC))),
        recover=recover,
    )
    await listener.run()


async def _answer_dialplans(settings: Settings, on: Resources) -> None:
    """Serve FastAGI caller lookups. Of several listeners one has the port; another takes over when it dies."""
    from ami.agi import LookupServer
    from pbxcrm.reactions.caller_lookup import Lookup
    from pbxcrm.upkeep.lookup_probe import installation_of

    lookup = Lookup(on.db, settings, lambda: datetime.now(UTC))
    host, _, port = settings.agi_bind.rpartition(":")
    try:
        server = LookupServer(
            lookup.find, parse_networks(settings.dialplan_networks), installation=installation_of(settings)
        )
        await server.run(host.strip("[]"), int(port))
    finally:
        await lookup.close()


def serve_simulator(settings: Settings, rate: float, seed: int | None) -> None:
    """Run a simulated PBX at the address in the settings; the sample clients call, too. Raises BadSettings."""
    from ami.simulator import simulate
    from ami.stories import StoryCaller
    from pbxcrm.demo.samples import SAMPLES

    if not settings.pbxs:
        raise BadSettings("pbx.none", "Say where in PBXCRM_AMI_URL=ami://demo:secret@127.0.0.1:5038.")
    url = _url(settings.pbxs[0])
    known = [StoryCaller(sample.number, sample.number) for sample in SAMPLES]  # operators seldom send a name
    _until_stopped(simulate(rate, url.host, url.port, seed, secret=url.secret, known=known))


def _until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run until it ends, or until SIGTERM or SIGINT cancels it."""

    async def guarded() -> None:
        task = asyncio.ensure_future(work)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with suppress(asyncio.CancelledError):
            await task

    uvloop.run(guarded())
