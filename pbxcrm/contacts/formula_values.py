"""What formulas in custom fields may read of a client and of a company."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.models import Company, Contact
from pbxcrm.fields.hooks import OwnValues
from pbxcrm.shared.reasons import N_


async def _nobody(_session: AsyncSession, _row: Contact | Company, _now: datetime) -> None:
    """Their pages show fields anew when the worker has computed all of them."""


NAMES = {"name": N_("Name")}
CONTACT_VALUES = OwnValues(Contact, NAMES, lambda row: {"name": row.name}, lambda row: row.responsible_id, _nobody)
COMPANY_VALUES = OwnValues(Company, NAMES, lambda row: {"name": row.name}, lambda row: row.responsible_id, _nobody)
