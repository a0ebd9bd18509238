"""The hook for changes of working time; ``pbxcrm.composition`` registers the functions."""

from datetime import datetime

from pbxcrm.shared.hooks import Hook

#: Working hours or leaves changed at this time; contexts with deadlines in working minutes recompute the pending ones. True: what would
#: be late only because of the change begins to count now.
calendar_changed = Hook[datetime, bool]("calendars.calendar_changed")

#: Who is away has changed at this time: a leave began, ended, was entered, changed or deleted. Whoever asks something of people looks
#: again whom to ask.
absences_changed = Hook[datetime]("calendars.absences_changed")
