"""Who reads and changes the rules of distribution: whoever edits the settings."""

from pbxcrm.access import Permission, Viewer, check


def check_rules(viewer: Viewer) -> None:
    """Raise NotAllowed unless the viewer may read and change the rules."""
    check(viewer, Permission.SETTINGS_EDIT)
