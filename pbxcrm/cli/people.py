"""The commands ``user add`` and ``token create``."""

import asyncio

from pbxcrm import migrations
from pbxcrm.composition import compose
from pbxcrm.people import actions, api_tokens
from pbxcrm.people.passwords import hash_password
from pbxcrm.people.queries import get_user_by_login
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import NotFound
from pbxcrm.shared.settings import Settings


def add_user(
    settings: Settings, *, login: str, name: str, role: str, extensions: list[str], team: str | None, password: str
) -> None:
    """Add a person with a hashed password from the command line. Raises Invalid, and BadSettings for an old database."""

    async def start() -> None:
        compose()
        db = Database(settings.database_url, pool_size=1)
        try:
            await migrations.check(db)
            hashed = await hash_password(password)
            async with db.write() as session:
                user = await actions.add_user(
                    session, login=login, name=name, role=role, extensions=extensions, team=team, password_hash=hashed
                )
            print(f"Added {user.login} ({user.role}).")
        finally:
            await db.close()

    asyncio.run(start())


def create_token(settings: Settings, login: str, name: str | None, days: int | None) -> None:
    """Create an API token for a person and print it, this one time. ``days`` None: valid until revoked."""

    async def start() -> None:
        compose()
        db = Database(settings.database_url, pool_size=1)
        try:
            await migrations.check(db)
            async with db.write() as session:
                user = await get_user_by_login(session, login)
                if user is None or not user.is_active:
                    raise NotFound("people.unknown_login", "Nobody active has the login “{login}”.", login=login)
                found = await api_tokens.create_token(session, user, name=name, days=days)
            print(found)
        finally:
            await db.close()

    asyncio.run(start())
