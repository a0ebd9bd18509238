"""What templates say and draw: in the reader's language, escaped, and the same however often it is asked for."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from jinja2 import meta, nodes
from redis.asyncio import Redis

from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from web.app import create_app
from web.i18n import Here, Language, speaking
from web.static_files import StaticTree
from web.templating import FOLDER, Templates

NOW = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def templates() -> Templates:
    return Templates(StaticTree())


def test_an_application_of_another_test_compiles_nothing_again(tmp_path: Path) -> None:
    """Each test has an application of its own; compiling takes five times as long as rendering (``tests/compiled_once.py``)."""
    settings = Settings(data_dir=tmp_path)
    one, other = (create_app(settings, Database(settings.database_url), Redis()) for _ in range(2))
    assert one.state.parts is not other.state.parts
    assert one.state.parts.templates is other.state.parts.templates
    assert one.routes[0] is other.routes[0]


def say(templates: Templates, template: str, language: Language = Language.EN, **facts: object) -> str:
    with speaking(Here(language, ZoneInfo("Europe/Kyiv"), NOW)):
        return templates.env.from_string(template).render(**facts)


def test_words_follow_the_reader_however_often_they_are_said(templates: Templates) -> None:
    template = "{{ _('Callbacks') }}"
    said = [say(templates, template, language) for language in (*Language, *Language)]
    assert said[:3] == said[3:]
    assert said[0] == "Callbacks"
    assert len(set(said)) == 3


def test_facts_and_messages_are_escaped(templates: Templates) -> None:
    template = "{{ _('%(name)s is working on it…', name=name) }}"
    assert say(templates, template, name="<b>") == "&lt;b&gt; is working on it…"
    assert say(templates, "{{ _('Search & <find>') }}") == "Search &amp; &lt;find&gt;"


def test_what_a_template_was_given_is_translated_and_neither_formatted_nor_trusted(templates: Templates) -> None:
    assert say(templates, "{{ translated(word) }}", Language.UK, word="Unsorted") == "Нерозібране"
    assert say(templates, "{{ translated(word) }}", word="50% <b>%s") == "50% &lt;b&gt;%s"
    assert say(templates, "{{ translated(word) }}", word="") == ""


def test_only_literals_are_messages(templates: Templates) -> None:
    """``_`` formats its message, so a stage that is called “50%” would break the page: what is no literal goes through ``translated``."""

    def is_literal(node: nodes.Node | None) -> bool:
        if isinstance(node, nodes.CondExpr):
            return is_literal(node.expr1) and (node.expr2 is None or is_literal(node.expr2))
        return isinstance(node, nodes.Const)

    messages = {"_": 1, "gettext": 1, "ngettext": 2, "pgettext": 2}
    found = [
        (str(path.relative_to(FOLDER)), call.lineno, is_literal(message))
        for path in sorted(FOLDER.rglob("*.html"))
        for call in templates.env.parse(path.read_text(encoding="utf-8")).find_all(nodes.Call)
        if isinstance(call.node, nodes.Name) and call.node.name in messages
        for message in call.args[: messages[call.node.name]]
    ]
    assert len(found) > 1000
    assert [(path, line) for path, line, literal in found if not literal] == []


def test_a_percent_sign_is_written_twice_with_or_without_facts(templates: Templates) -> None:
    assert say(templates, "{{ _('100 %% sure') }}") == "100 % sure"
    assert say(templates, "{{ _('%(n)s %% sure', n=5) }}") == "5 % sure"
    assert say(templates, "{{ _('') }}") == ""


def test_a_fact_that_is_not_given_is_an_error(templates: Templates) -> None:
    with pytest.raises(KeyError):
        say(templates, "{{ _('Waited %(time)s') }}")


def test_a_drawing_with_a_name_from_outside_stays_a_drawing(templates: Templates) -> None:
    drawn = say(templates, "{{ icon('phone', name) }}{{ icon('phone') }}", name='"><script>')
    assert "<script>" not in drawn
    assert 'aria-label="&#34;&gt;&lt;script&gt;"' in drawn
    assert drawn.count('aria-hidden="true"') == 1


def test_a_moment_is_said_in_each_language_and_zone(templates: Templates) -> None:
    for _ in range(2):
        english = say(templates, "{{ at | time_tag }}", at=NOW)
        assert english.startswith(
            '<time datetime="2026-11-18T12:00:00+00:00" title="Wednesday, 18 November 2026, 14:00:00">'
        )
        assert ">today\u00a014:00<" in english
        assert "середа" in say(templates, "{{ at | time_tag }}", Language.UK, at=NOW)


def test_macros_are_built_once(templates: Templates) -> None:
    """With the context of a page they would be built again for each, and each would be work for the garbage collector."""
    imports = [
        (path.name, found.template.value, found.with_context)  # type: ignore[attr-defined]  # a constant in all of ours
        for path in FOLDER.rglob("*.html")
        for found in templates.env.parse(path.read_text(encoding="utf-8")).find_all((nodes.FromImport, nodes.Import))
    ]
    assert len(imports) > 50
    assert [found for found in imports if found[2]] == []
    pages = {path.name for path in FOLDER.rglob("*.html") if "{% macro" in path.read_text(encoding="utf-8")}
    assert [name for name in pages if not name.endswith(("_macro.html", "macros.html"))] == []


def test_a_macro_uses_only_what_it_sees(templates: Templates) -> None:
    """An imported template does not see the variables of the page, so that one of their names in a macro is an error, but only when
    that line is reached.
    """
    env = templates.env
    trees = {str(path.relative_to(FOLDER)): env.parse(path.read_text()) for path in sorted(FOLDER.rglob("*.html"))}
    imported = {
        node.template.value
        for tree in trees.values()
        for node in tree.find_all(nodes.FromImport)
        if isinstance(node.template, nodes.Const) and not node.with_context
    }
    assert len(imported) > 10
    known = {*env.globals, "served"}
    unseen = {name: meta.find_undeclared_variables(trees[name]) - known for name in sorted(imported)}
    assert {name: names for name, names in unseen.items() if names} == {}
