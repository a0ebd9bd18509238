"""The digest as an e-mail, in the words and the language of its reader."""

from collections.abc import Callable
from email.message import EmailMessage
from email.utils import format_datetime
from zoneinfo import ZoneInfo

from pbxcrm.checkpoints.burning_queries import ListedLamp
from pbxcrm.notices.digest_queries import DigestFacts
from pbxcrm.shared.settings import Settings
from web import words
from web.formats import day_date, day_time
from web.i18n import Here, Language, ngettext, speaking
from web.i18n import gettext as _


def writer(settings: Settings) -> Callable[[DigestFacts], EmailMessage]:
    """The function that writes a digest as an e-mail, with the sender and links of this installation."""

    def write(facts: DigestFacts) -> EmailMessage:
        language = Language.of(facts.language) or Language(settings.language)
        with speaking(Here(language, ZoneInfo(str(facts.timezone)), facts.now)):
            message = EmailMessage()
            message["From"], message["To"] = settings.mail_from, facts.email
            message["Subject"] = _subject(facts)
            message["Date"] = format_datetime(facts.now)
            domain = settings.mail_from.partition("@")[2]
            message["Message-ID"] = f"<digest-{facts.user_id}-{facts.day.isoformat()}@{domain}>"
            message["Auto-Submitted"] = "auto-generated"  # RFC 3834: automatic replies do not answer it
            message["Content-Language"] = language.value
            message.set_content("\n".join(_lines(facts, settings.public_url)))
            return message

    return write


def _subject(facts: DigestFacts) -> str:
    parts = [
        _("burns: {n}").format(n=facts.burns),
        _("will light today: {n}").format(n=facts.lights),
        _("overdue: {n}").format(n=facts.overdue),
    ]
    return f"{day_date(facts.day)} — {', '.join(parts)}".replace("\u00a0", " ")


def _lines(facts: DigestFacts, url: str) -> list[str]:
    lines = [_("Good day, {name}!").format(name=facts.name), ""]
    lines += _section(
        ngettext("Burns now: {n} lamp", "Burns now: {n} lamps", facts.burns),
        facts.burns,
        [_lamp(row, url) for row in facts.burning],
    )
    lines += _section(
        ngettext("Will light today: {n} lamp", "Will light today: {n} lamps", facts.lights),
        facts.lights,
        [_lamp(row, url) for row in facts.lighting],
    )
    lines += _section(
        ngettext("Overdue: {n} task", "Overdue: {n} tasks", facts.overdue),
        facts.overdue,
        [
            f"{words.task_title(task)} — {day_time(task.due_at)}{_link(url, f'/tasks/{task.id}')}"
            for task in facts.tasks
        ],
    )
    if facts.by_seller:
        lines += [_("By person:")]
        for each in facts.by_seller:
            figures = _("burns {burns}, will light today {lights}").format(burns=each.burns, lights=each.lights)
            lines.append(f"  {each.name or _('nobody')}: {figures}")
        lines.append("")
    if url:
        lines += [_("What burns"), f"  {url}/burning"]
    lines += [_("You choose in your profile when this comes."), *([f"  {url}/profile"] if url else [])]
    return [line.replace("\u00a0", " ") for line in lines]


def _section(heading: str, count: int, rows: list[str]) -> list[str]:
    if not count:
        return []
    more = [_("and {n} more").format(n=count - len(rows))] if count > len(rows) else []
    return [heading.format(n=count), *(f"  {row}" for row in [*rows, *more]), ""]


def _lamp(row: ListedLamp, url: str) -> str:
    at = row.lamp.lit_at or row.lamp.due_at
    if row.deal is None:
        return f"{_('A missed call')} — {day_time(at)}{_link(url, f'/callbacks/{row.lamp.callback_id}')}"
    where = words.stage(row.stage) if row.stage is not None else _("A missed call")
    return f"{words.deal_title(row.deal)} · {where} — {day_time(at)}{_link(url, f'/deals/{row.deal.id}')}"


def _link(url: str, path: str) -> str:
    return f"  {url}{path}" if url else ""
