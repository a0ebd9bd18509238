"""``python -m web.i18n.update``: collects the messages of the sources into the catalogues.

New messages arrive untranslated, those no longer used disappear, and nothing is guessed: a changed sentence must be
translated again. ``--check`` changes nothing and ends with 1 where a catalogue is not complete.
"""

import re
import sys
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po

from pbxcrm.pbx.report_sentences import REPORTS
from web.i18n import DOMAIN, Language, catalogue_path

ROOT = Path(__file__).parents[2]
ROOMS = ("pbxcrm", "web")
# The command line is in English: its own messages are not translated.
ONLY_ON_THE_SERVER = (
    "cli/",
    "migrations/",
    "upkeep/",
    "demo",
    "shared/redis_server",
    "shared/child",
    "shared/settings",
    "shared/logs",
)
METHODS = [("**.py", "python"), ("**.html", "jinja2")]
OPTIONS = {"**.html": {"encoding": "utf-8", "trimmed": "true", "extensions": "jinja2.ext.i18n, jinja2.ext.do"}}
# Errors of the business take their English sentence as an argument; Reason templates are marked with N_.
KEYWORDS = {
    **DEFAULT_KEYWORDS,
    "N_counted": (1, 2),
    "NotAllowed": (2,),
    "NotFound": (2,),
    "Conflict": (2,),
    "Invalid": (3,),
    "check_line": (5,),
    "check_text": (5,),
    "TooManyAttempts": (2,),
    "Unavailable": (2,),
}
TRANSLATED = (Language.UK, Language.RU)
IDLE_HEADERS = tuple(
    f'"{name}'.encode()
    for name in (
        "POT-Creation-Date",
        "PO-Revision-Date",
        "Last-Translator",
        "Report-Msgid-Bugs-To",
        "Language-Team",
        "Generated-By",
        "Project-Id-Version",
    )
)
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w*\}|<[^>]+>")


def collect() -> Catalog:
    """The catalogue of all messages in the sources."""
    catalogue = Catalog(domain=DOMAIN, charset="utf-8")
    for room in ROOMS:
        found = extract_from_dir(str(ROOT / room), METHODS, OPTIONS, KEYWORDS, comment_tags=("translators:",))
        for file, _line, message, comments, context in found:
            if room == "pbxcrm" and file.startswith(ONLY_ON_THE_SERVER):
                continue
            catalogue.add(message, auto_comments=comments, context=context)
    for sentence in REPORTS.values():
        catalogue.add(sentence)
    return catalogue


def read(language: Language) -> Catalog:
    """The catalogue on disk; an empty one if there is no file."""
    path = catalogue_path(language)
    if not path.exists():
        return Catalog(locale=language.value, domain=DOMAIN, charset="utf-8")
    with path.open("rb") as file:
        return read_po(file, locale=language.value, domain=DOMAIN)


def merge(sources: Catalog, old: Catalog, language: Language) -> Catalog:
    """The sources' messages with the translations that exist already, sorted by message so that diffs stay small."""
    merged = Catalog(locale=language.value, domain=DOMAIN, project="pbxcrm", charset="utf-8", fuzzy=False)
    merged.header_comment = f"# {language.own_name}: pbxcrm. Kept by python -m web.i18n.update"
    for message in sources:
        if message.id:
            known = old.get(message.id, message.context)
            merged.add(
                message.id,
                known.string if known else None,
                auto_comments=message.auto_comments,
                context=message.context,
            )
    return merged


def as_file(catalogue: Catalog) -> bytes:
    """The ``.po`` text without dates and addresses in its header: it changes only when a message does."""
    written = BytesIO()
    write_po(written, catalogue, width=120, sort_output=True, no_location=True)
    lines = written.getvalue().splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(IDLE_HEADERS))


def faults(sources: Catalog, catalogue: Catalog) -> list[str]:
    """The faults of a catalogue, one sentence per fault; empty when it is complete."""
    found: list[str] = []
    for message in sources:
        if not message.id:
            continue
        mine = catalogue.get(message.id, message.context)
        if mine is None:
            found.append(f"missing: {message.id!r}")
        elif mine.fuzzy:
            found.append(f"fuzzy: {message.id!r}")
        else:
            found.extend(_faults_of(message, mine, catalogue.num_plurals))
    return found


def _faults_of(source: Message, mine: Message, plurals: int) -> list[str]:
    if isinstance(source.id, str):
        wanted, strings = [source.id], [mine.string]
    else:
        # The singular may omit the number; the plural defines which parameters must be present.
        wanted, strings = [source.id[-1]] * plurals, list(mine.string or ())
        if len(strings) != plurals:
            return [f"{len(strings)} plural forms instead of {plurals}: {source.id!r}"]
    faults_found: list[str] = []
    for number, (english, ours) in enumerate(zip(wanted, strings, strict=True)):
        if not ours:
            faults_found.append(f"not translated: {source.id!r}")
        elif sorted(PLACEHOLDER.findall(str(english))) != sorted(PLACEHOLDER.findall(str(ours))):
            faults_found.append(f"other placeholders in form {number}: {source.id!r} {ours!r}")
    return faults_found


def main(arguments: list[str]) -> int:
    """Write the catalogues, or only check them (``--check``). Returns the exit status: 1 if a translation is missing."""
    sources = collect()
    broken = False
    for language in TRANSLATED:
        catalogue = read(language)
        if "--check" not in arguments:
            catalogue = merge(sources, catalogue, language)
            path = catalogue_path(language)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(as_file(catalogue))
        for fault in faults(sources, catalogue):
            broken = True
            sys.stdout.write(f"{language.value}: {fault}\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
