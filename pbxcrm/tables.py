"""Imports every table, so that SQLModel's metadata is complete; for migrations and entry points."""

from sqlmodel import SQLModel

from pbxcrm.audit import models as audit
from pbxcrm.automation import models as automation
from pbxcrm.calendars import models as calendars
from pbxcrm.callbacks import models as callbacks
from pbxcrm.calls import models as calls
from pbxcrm.checkpoints import models as checkpoints
from pbxcrm.contacts import models as contacts
from pbxcrm.deals import models as deals
from pbxcrm.distribution import models as distribution
from pbxcrm.fields import models as fields
from pbxcrm.files import models as files
from pbxcrm.flags import models as flags
from pbxcrm.forms import models as forms
from pbxcrm.messages import models as messages
from pbxcrm.money import models as money
from pbxcrm.notices import models as notices
from pbxcrm.pbx import models as pbx
from pbxcrm.people import models as people
from pbxcrm.phone import models as phone
from pbxcrm.screenpop import models as screenpop
from pbxcrm.shared import background_jobs, events, runtime_options, timers
from pbxcrm.tasks import models as tasks
from pbxcrm.views import models as views

metadata = SQLModel.metadata

__all__ = [
    "audit",
    "automation",
    "background_jobs",
    "calendars",
    "callbacks",
    "calls",
    "checkpoints",
    "contacts",
    "deals",
    "distribution",
    "events",
    "fields",
    "files",
    "flags",
    "forms",
    "messages",
    "metadata",
    "money",
    "notices",
    "pbx",
    "people",
    "phone",
    "runtime_options",
    "screenpop",
    "tasks",
    "timers",
    "views",
]
