"""Takes out of tasks what names a client who is erased: their words, not the fact that there was a task."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import delete, update
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.tasks.models import Task, TaskComment

_TASKS = SQLModel.metadata.tables[str(Task.__tablename__)]
_COMMENTS = SQLModel.metadata.tables[str(TaskComment.__tablename__)]


async def do_forget_tasks(session: AsyncSession, task_ids: Collection[int], title: str, why: dict[str, Any]) -> None:
    """Leave dates, people and states of the tasks; ``title`` and the stored reason ``why`` stand for their words."""
    words = {"title": title, "title_folded": title, "title_code": {}, "note": "", "instruction": "", "checklist": []}
    told = {"result": "", "result_code": {}, "reason": why, "contact_id": None, "about": ""}
    connection = await session.connection()
    await connection.execute(update(_TASKS).where(_TASKS.c.id.in_(task_ids)).values(**words, **told))
    await connection.execute(delete(_COMMENTS).where(_COMMENTS.c.task_id.in_(task_ids)))
