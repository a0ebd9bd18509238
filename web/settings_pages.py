"""The pages of the settings, each declared once: the tabs of all of them and the rail derive from this list."""

from dataclasses import dataclass

from pbxcrm.access import Permission
from web.i18n import N_


@dataclass(frozen=True, slots=True)
class SettingsPage:
    """``path`` begins with ``/settings/``; ``word`` is English, the template translates. Shown only where the path is served."""

    path: str
    word: str
    needs: Permission = Permission.SETTINGS_EDIT

    @property
    def tab(self) -> str:
        """The value of ``here_tab`` in the template of this page: the last part of the path."""
        return self.path.rpartition("/")[2]


SETTINGS_PAGES = (
    SettingsPage("/settings/start", N_("First steps")),
    SettingsPage("/settings/pipelines", N_("Pipelines")),
    SettingsPage("/settings/fields", N_("Fields")),
    SettingsPage("/settings/products", N_("Products")),
    SettingsPage("/settings/lines", N_("Lines")),
    SettingsPage("/settings/forms", N_("Forms")),
    SettingsPage("/settings/messages", N_("Messages")),
    SettingsPage("/settings/callbacks", N_("Callbacks")),
    SettingsPage("/settings/distribution", N_("Distribution")),
    SettingsPage("/settings/calendars", N_("Working hours")),
    SettingsPage("/settings/tokens", N_("API tokens"), Permission.PEOPLE_EDIT),
    SettingsPage("/settings/audit", N_("Audit log")),
)
