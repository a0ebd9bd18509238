"""Each page of the settings is served, and its templates say which tab they are."""

import re
from pathlib import Path

import pytest

import web
from web.routes import all_routes
from web.settings_pages import SETTINGS_PAGES, SettingsPage
from web.static_files import StaticTree

TEMPLATES = Path(web.__file__).parent / "templates"
PATHS = {route.path for route in all_routes(StaticTree())}


@pytest.mark.parametrize("page", SETTINGS_PAGES, ids=lambda page: page.tab)
def test_it_is_served_and_its_templates_say_which_tab_they_are(page: SettingsPage) -> None:
    assert page.path in PATHS
    said = re.compile(rf"here_tab ?= ?'{page.tab}'")
    assert any(said.search(file.read_text()) for file in TEMPLATES.rglob("*.html"))
