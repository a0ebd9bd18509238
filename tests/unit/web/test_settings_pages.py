"""Each page of the settings that is served has templates that say which tab they are."""

import re
from pathlib import Path

import pytest

import web
from web.routes import all_routes
from web.settings_pages import SETTINGS_PAGES, SettingsPage
from web.static_files import StaticTree

TEMPLATES = Path(web.__file__).parent / "templates"
PATHS = {route.path for route in all_routes(StaticTree())}


@pytest.mark.parametrize("page", [page for page in SETTINGS_PAGES if page.path in PATHS], ids=lambda page: page.tab)
def test_its_templates_say_which_tab_they_are(page: SettingsPage) -> None:
    said = re.compile(rf"here_tab ?= ?'{page.tab}'")
    assert any(said.search(file.read_text()) for file in TEMPLATES.rglob("*.html"))
