"""What contexts above the tasks may take part in; ``pbxcrm.composition`` registers who does."""

from datetime import datetime

from pbxcrm.shared.hooks import Hook

#: A task that a person planned for the deal of this id was made, put off, ended or opened again.
next_task_changed = Hook[int, datetime]("tasks.next_task_changed")
