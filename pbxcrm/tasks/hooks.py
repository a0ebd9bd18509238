"""The hooks of tasks for the contexts above; ``pbxcrm.composition`` registers their handlers."""

from datetime import datetime

from pbxcrm.shared.hooks import Hook

#: A task that a person planned for the deal with this id, or its planned next attempt, was created, postponed, closed or reopened.
next_task_changed = Hook[int, datetime]("tasks.next_task_changed")
