"""The sentences for what is wrong with a stored calendar."""

from pbxcrm.shared.reasons import N_, Counted

REASONS: dict[str, str | Counted] = {
    "calendar.unreadable": N_("The calendar “{calendar}” cannot be read: {error}."),
    "calendar.no_zone": N_(
        "This machine does not know the time zone “{zone}” of the calendar “{calendar}”, so its hours count as UTC."
    ),
}
