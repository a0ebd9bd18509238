"""What others may take part in when working time changes; ``pbxcrm.composition`` registers them."""

from datetime import datetime

from pbxcrm.shared.hooks import Hook

#: Working hours or leaves changed at this time: whoever keeps deadlines in working minutes moves the pending ones.
calendar_changed = Hook[datetime]("calendars.calendar_changed")
