"""The Jinja templates: translation, formats and components. Everything is escaped.

A handler calls ``render(request, "calls/list.html", fragment="calls/_list.html", calls=calls)``: an htmx request gets
the fragment, a browser's own request the whole page. A template that uses a name which was not passed to it raises an error.

Macros see their arguments and globals, never the context. So they are built once. When they were built
for each page and card, they made ten thousand objects per second, and garbage collection blocked the event loop.
"""

from collections.abc import Callable, Hashable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from pbxcrm.access import Permission, Viewer, can
from pbxcrm.access.owners import leads_owner
from pbxcrm.calendars import deadline_parser
from pbxcrm.deals.access import edits_deal, sees_deal
from pbxcrm.deals.models import Deal
from pbxcrm.files.kinds import PICTURES, SHOWN
from pbxcrm.people.directory import Directory
from pbxcrm.people.rules import LONGEST_LIST, PASSWORD_MAX
from pbxcrm.shared import numbers
from pbxcrm.shared.lengths import LONGEST_SEARCH, longest_of
from pbxcrm.shared.typed_reasons import LONGEST_WHY
from pbxcrm.tasks import rules
from pbxcrm.tasks.models import Task
from web import custom_values, formats, i18n, lamp_words, message_words, money_words, rule_words, words
from web.cursors import next_of_entry
from web.settings_pages import SETTINGS_PAGES
from web.static_files import StaticTree

FOLDER = Path(__file__).parent / "templates"


class PlainGlobals(Environment):
    """An environment whose templates have no globals of their own."""

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """The globals themselves: no template has globals of its own. Jinja wraps them for each template in a ChainMap, which
        is copied and compared for each template and macro import of each page; that took a third of the time of a small one.
        """
        return self.globals if d is None else super().make_globals(d)


class Templates:
    """The Jinja environment of the application; made once per process."""

    def __init__(self, static: StaticTree) -> None:
        self.env = PlainGlobals(
            loader=FileSystemLoader(FOLDER),
            autoescape=select_autoescape(["html", "svg"], default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
            auto_reload=False,
        )
        self.env.install_gettext_callables(  # type: ignore[attr-defined]  # added by the i18n extension
            i18n.gettext, i18n.ngettext, newstyle=True, pgettext=i18n.pgettext
        )
        self.env.globals.update(
            _=said,
            gettext=said,
            translated=translated,
            here=i18n.here,
            languages=tuple(i18n.Language),
            can=can,
            leads_owner=leads_owner,
            longest=longest_of,
            LONGEST_DEADLINE=deadline_parser.LONGEST,
            LONGEST_LIST=LONGEST_LIST,
            LONGEST_SEARCH=LONGEST_SEARCH,
            LONGEST_WHY=LONGEST_WHY,
            PASSWORD_MAX=PASSWORD_MAX,
            may=may,
            may_open=may_open,
            may_dial=may_dial,
            may_accept=may_accept,
            may_judge=may_judge,
            may_edit=may_edit,
            Permission=Permission,
            words=words,
            custom_values=custom_values,
            lamp_words=lamp_words,
            rule_words=rule_words,
            money_words=money_words,
            message_words=message_words,
            settings_pages=SETTINGS_PAGES,
            SHOWN_FILES=SHOWN,
            PICTURES=PICTURES,
            static=static.url,
            icon=_icon_of(static),
        )
        self.env.filters.update(
            cursor=next_of_entry,
            day_time=formats.day_time,
            day_date=formats.day_date,
            birthday=lambda client: formats.birthday(client.birth_year, client.birth_day),
            language_name=lambda code: i18n.Language(code).own_name,
            full_time=formats.full_time,
            clock_seconds=formats.clock_seconds,
            span=formats.span,
            took=formats.took,
            waited=formats.waited,
            working_span=formats.working_span,
            age=formats.age,
            money=formats.money,
            number=formats.number,
            file_size=formats.file_size,
            initials=formats.initials,
            tint=formats.tint,
            phone=numbers.format_for_people,
            dialled=numbers.format_line,
            time_tag=time_tag,
            pair=lambda thing, *names: tuple(getattr(thing, name) for name in names),
            browser=browser,
        )

        self._repeated = lru_cache(maxsize=3_000)(self._repeat)

    def text(self, name: str, **context: Any) -> str:  # template contexts are of any shape
        """The rendered template. Needs ``i18n.speaking``; for the live push and mails, where there is no request."""
        return self.env.get_template(name).render(**context)

    def repeated(self, name: str, **context: Hashable) -> Markup:
        """The rendered template, cached by language and context: for a part that many cards repeat. It must depend on nothing else."""
        return self._repeated(name, i18n.here().language, *context.items())

    def _repeat(self, name: str, _language: i18n.Language, *context: tuple[str, Hashable]) -> Markup:
        return Markup(self.text(name, **dict(context)))  # noqa: S704 (a template escapes what people typed)


@dataclass(frozen=True, slots=True)
class Reader:
    """The person for whom a page is rendered; ``viewer`` is None on pages that need no log-in."""

    viewer: Viewer | None
    people: Directory | None


_NOBODY = Reader(None, None)
_reader: ContextVar[Reader] = ContextVar("pbxcrm_reader", default=_NOBODY)


@contextmanager
def facing(reader: Reader) -> Iterator[None]:
    """A context in which templates are rendered for this reader."""
    token = _reader.set(reader)
    try:
        yield
    finally:
        _reader.reset(token)


def may(permission: Permission) -> bool:
    """Whether the reader of the page may do this; for macros, which do not see ``viewer``."""
    viewer = _reader.get().viewer
    return viewer is not None and can(viewer, permission)


def may_dial() -> bool:
    """Whether the reader of the page has a phone to call with."""
    viewer = _reader.get().viewer
    return viewer is not None and bool(viewer.extensions) and can(viewer, Permission.PHONE_USE)


def may_open(deal: Deal) -> bool:
    """Whether the reader of the page may open this deal."""
    reader = _reader.get()
    return reader.viewer is not None and reader.people is not None and sees_deal(reader.viewer, deal, reader.people)


def may_accept(task: Task) -> bool:
    """Whether the reader of the page may accept this assignment."""
    reader = _reader.get()
    return reader.viewer is not None and rules.may_accept(reader.viewer, task)


def may_judge(task: Task) -> bool:
    """Whether the reader of the page may approve or return this assignment."""
    reader = _reader.get()
    return reader.viewer is not None and rules.may_judge(reader.viewer, task)


def may_edit(deal: Deal) -> bool:
    """Whether the reader of the page may change this deal."""
    reader = _reader.get()
    return reader.viewer is not None and reader.people is not None and edits_deal(reader.viewer, deal, reader.people)


def translated(text: str) -> str:
    """Text that a template was given: a word of ours in the language of ``i18n.here``, and what a person typed as it is.

    ``_`` is for literals only, because it formats and marks its answer as safe.
    """
    return i18n.gettext(text) if text else ""


def said(message: str, **facts: object) -> Markup:
    """``_('Waited %(time)s', time=…)`` in templates, in the language of ``i18n.here``; facts are escaped. ``message`` is a literal."""
    language = i18n.here().language
    return _phrase(language, message) % facts if facts else _plain(language, message)


# Cached: a page uses the same few phrases hundreds of times.
@lru_cache(maxsize=10_000)
def _phrase(language: i18n.Language, message: str) -> Markup:
    return escape(i18n.translations(language).gettext(message) if message else "")


@lru_cache(maxsize=10_000)
def _plain(language: i18n.Language, message: str) -> Markup:
    """The translation of a message without parameters. As in Jinja, ``%%`` stands for a percent sign."""
    return _phrase(language, message) % {}


def time_tag(value: datetime | None, form: str = "day") -> Markup:
    """A ``<time>`` that machines can read, with the whole date on hover. ``form``: ``day`` (today 14:05) or ``age``."""
    if value is None:
        return Markup("—")
    text = formats.age(value) if form == "age" else formats.day_time(value)
    # These words come from formats and the catalogue, never from a person. They are escaped all the same.
    machine, whole = value.isoformat(timespec="seconds"), escape(formats.full_time(value))
    ages = " data-age" if form == "age" else ""  # js/ages.js keeps it up to date
    return Markup(f'<time datetime="{machine}" title="{whole}"{ages}>{escape(text)}</time>')  # noqa: S704


def browser(user_agent: str) -> str:
    """The name of a browser: ``Firefox, Windows``. A guess, used only in the list of one's own logged-in browsers."""
    names = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
    systems = (
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
    )
    name = next((word for sign, word in names if sign in user_agent), user_agent[:40] or "?")
    system = next((word for sign, word in (*systems, ("Linux", "Linux")) if sign in user_agent), "")
    return f"{name}, {system}" if system else name


def _icon_of(static: StaticTree) -> Callable[..., Markup]:
    address = escape(static.url("icons.svg"))

    @lru_cache(maxsize=2_000)  # a page has hundreds of the same few
    def icon(name: str, label: str = "") -> Markup:
        """One icon of the sprite. With ``label`` screen readers read the label; without it they ignore the icon."""
        said = f'role="img" aria-label="{escape(label)}"' if label else 'aria-hidden="true"'
        return Markup(f'<svg class="icon" {said}><use href="{address}#i-{escape(name)}"/></svg>')  # noqa: S704

    return icon
