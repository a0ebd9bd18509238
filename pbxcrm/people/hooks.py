"""The hooks for changes of people; ``pbxcrm.composition`` registers the functions."""

from datetime import datetime

from pbxcrm.shared.hooks import Hook

#: The person with this id has left, has come back, or has another role or team. Whatever waits for them or runs by their hours is
#: decided again; if True, lamps that would be late only by other hours are counted from now.
person_changed = Hook[int, datetime, bool]("people.person_changed")

#: Whatever lets somebody in without a log-in as the person with this id ends: the password is a new one, or they have left.
access_ended = Hook[int, datetime]("people.access_ended")
