"""What upper contexts may take part in."""

from datetime import datetime

from pbxcrm.messages.models import Delivery
from pbxcrm.shared.hooks import Hook

#: A delivery of a rule was sent, has failed for good, was refused or put off by a guard, or nobody knows what became of it.
delivery_told: Hook[Delivery, datetime] = Hook("messages.delivery_told")
