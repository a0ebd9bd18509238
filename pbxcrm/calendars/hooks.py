"""The hook for changes of working time; ``pbxcrm.composition`` registers the functions."""

from datetime import datetime

from pbxcrm.shared.hooks import Hook

#: Working hours or leaves changed at this time; contexts with deadlines in working minutes recompute the pending ones. True: what would
#: be late only because of the change begins to count now.
calendar_changed = Hook[datetime, bool]("calendars.calendar_changed")

#: The leave of this person (user id) has begun; whoever asks something of them asks somebody else meanwhile.
leave_begun = Hook[int, datetime]("calendars.leave_begun")
