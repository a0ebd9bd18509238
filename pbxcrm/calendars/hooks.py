"""The hook for changes of working time; ``pbxcrm.composition`` registers the functions."""

from datetime import datetime

from pbxcrm.shared.hooks import Hook

#: Working hours or leaves changed at this time; contexts with deadlines in working minutes recompute the pending ones.
calendar_changed = Hook[datetime]("calendars.calendar_changed")
