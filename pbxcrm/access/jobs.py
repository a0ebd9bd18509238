"""Who may see a background job, and undo it."""

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Permission, Viewer, can
from pbxcrm.shared.background_jobs import BackgroundJob
from pbxcrm.shared.errors import NotFound


async def get_job(session: AsyncSession, viewer: Viewer, job_id: int) -> BackgroundJob | None:
    """The job, if the viewer started it or may change settings; else None."""
    job = await session.get(BackgroundJob, job_id)
    is_seen = job is not None and (job.owner_id == viewer.user_id or can(viewer, Permission.SETTINGS_EDIT))
    return job if is_seen else None


async def access_job(session: AsyncSession, viewer: Viewer, job_id: int) -> BackgroundJob:
    """The same. Raises NotFound."""
    job = await get_job(session, viewer, job_id)
    if job is None:
        raise NotFound("jobs.not_found", "There is no such work.")
    return job
