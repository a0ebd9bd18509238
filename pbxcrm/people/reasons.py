"""Texts for who did something when nobody was logged in."""

from pbxcrm.shared.reasons import N_, Counted

REASONS: dict[str, str | Counted] = {
    "by.command_line": N_("Done on the command line of the server."),
}
