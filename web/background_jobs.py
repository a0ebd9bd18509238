"""Background jobs: who may see one, for pages and the API."""

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Role, Viewer
from pbxcrm.shared.background_jobs import BackgroundJob
from pbxcrm.shared.columns import LARGEST_ID
from pbxcrm.shared.errors import NotFound
from web.untrusted import whole_number


async def access_job(session: AsyncSession, viewer: Viewer, job_id: int) -> BackgroundJob:
    """The job, if the viewer started it or is an administrator. Raises NotFound."""
    job = await session.get(BackgroundJob, job_id)
    if job is None or (viewer.role is not Role.ADMIN and job.owner_id != viewer.user_id):
        raise NotFound("jobs.not_found", "There is no such work.")
    return job


async def shown_job(session: AsyncSession, viewer: Viewer, asked: str) -> BackgroundJob | None:
    """The job named by ``?job=12``; None if it no longer exists or belongs to another person."""
    job_id = whole_number(asked, LARGEST_ID)
    try:
        return await access_job(session, viewer, job_id) if job_id else None
    except NotFound:
        return None
