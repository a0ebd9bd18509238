"""Creates the first people who can log in, with new passwords that are shown once."""

import secrets
import sys

from sqlmodel import select

from pbxcrm.people.actions import add_user
from pbxcrm.people.models import User
from pbxcrm.people.passwords import hash_password
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict
from pbxcrm.shared.settings import Settings

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # without letters that look alike


def new_password() -> str:
    """Like ``k7mq-t2xw-9fha``: 59 bits, easy to type from a screen."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(3))


async def first_admin(db: Database) -> None:
    """Create an administrator if there are no people yet, and print the password."""
    password = new_password()
    hashed = await hash_password(password)
    async with db.write() as session:
        if (await session.exec(select(User.id).limit(1))).first() is not None:
            return
        await add_user(session, login="admin", name="Administrator", role="admin", password_hash=hashed)
    _show([("admin", password, "admin", "")])


async def demo_people(db: Database, settings: Settings) -> None:
    """Create the sample people and data, once, and print their passwords. Raises Conflict if there are real people."""
    from pbxcrm.demo.filling import fill
    from pbxcrm.demo.people import COLLEAGUES, PEOPLE
    from pbxcrm.demo.recordings import write_recordings

    mark = settings.data_dir / "demo"
    async with db.read() as session:
        somebody = (await session.exec(select(User.id).limit(1))).first() is not None
    if somebody and not mark.exists():
        raise Conflict(
            "demo.real_data",
            "The database {url} has people in it, so no sample data is put there. Unset PBXCRM_DATA_DIR and"
            " PBXCRM_DATABASE_URL for the demo, or start without --demo.",
            url=db.engine.url.render_as_string(),
        )
    if somebody:
        print(
            f"Log in with the passwords of the first start. To start over with new ones: rm -r {settings.data_dir}",
            file=sys.stderr,
        )
        return
    passwords = {person.login: new_password() for person in PEOPLE}
    mark.touch()
    print("Making a sample company with a year of history …", file=sys.stderr, flush=True)
    if settings.recordings_dir is not None:
        write_recordings(settings.recordings_dir)
    await fill(db, settings, passwords)
    _show([(each.login, passwords[each.login], each.role, ", ".join(each.extensions)) for each in PEOPLE])
    print(f"Their {len(COLLEAGUES)} colleagues can log in once admin sets their passwords under People.", flush=True)


def _show(rows: list[tuple[str, str, str, str]]) -> None:
    head = ("login", "password", "role", "extension")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(4)]
    print("\nWho can log in (these passwords are shown this once):\n")
    for row in (head, *rows):
        print("   " + "   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    print(flush=True)
