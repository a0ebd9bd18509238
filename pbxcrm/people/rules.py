"""Checks of logins, names, passwords, extensions and mobile numbers."""

import re
from datetime import timedelta

from pbxcrm.people.models import User
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import LONGEST_REPEATED, check_line
from pbxcrm.shared.numbers import read_numbers

LOGIN = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
# It becomes a part of the name of a channel that the PBX rings (``ami.commands``), so it must not be readable as anything else: an
# address, a list of channels or a feature code.
EXTENSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,31}")
PASSWORD_MIN = 8
PASSWORD_MAX = 1000  # characters; a longer one would only waste processor time
LONGEST_LIST = 1000  # characters of a field with several extensions or numbers
SESSION_LIFE = timedelta(days=14)


def check_login(login: str) -> str:
    """The login in lower case; raises Invalid."""
    login = login.strip().lower()
    if not LOGIN.fullmatch(login):
        raise Invalid("login", "people.login", "A login is 1 to 64 Latin letters, digits, dots, dashes or underscores.")
    return login


def check_name(name: str) -> str:
    """The name in one line. Raises Invalid at ``name``."""
    return check_line(name, User.name, "name", "people.name", "Write a name of up to {most} characters.")


def check_password(password: str) -> str:
    """The password unchanged. Raises Invalid at ``password`` if it is too short or too long."""
    if len(password) < PASSWORD_MIN:
        raise Invalid(
            "password", "people.password_short", "A password needs at least {count} characters.", count=PASSWORD_MIN
        )
    if len(password) > PASSWORD_MAX:
        raise Invalid(
            "password", "people.password_long", "A password may have at most {most} characters.", most=PASSWORD_MAX
        )
    return password


def check_mobiles(typed: str, region: str) -> list[str]:
    """The mobile numbers typed in a field, in E.164, without duplicates; raises Invalid for one that is not a public number."""
    found = []
    for text in re.split(r"[,;\n]", typed[:LONGEST_LIST]):
        if text.strip():
            numbers = [one.number for one in read_numbers(text, region)]
            if not numbers or not all(number.startswith("+") for number in numbers):
                raise Invalid(
                    "mobiles",
                    "people.mobile",
                    "“{number}” is not a mobile number.",
                    number=text.strip()[:LONGEST_REPEATED],
                )
            found += numbers
    return list(dict.fromkeys(found))


def check_extensions(extensions: list[str]) -> list[str]:
    """Extensions without spaces and duplicates, in the given order; raises Invalid."""
    wanted = list(dict.fromkeys(part.strip() for part in extensions if part.strip()))
    for extension in wanted:
        if not EXTENSION.fullmatch(extension):
            raise Invalid(
                "extensions",
                "people.extension",
                "“{extension}” is not an extension: that is 1 to 32 Latin letters, digits, dots, dashes or underscores, "
                "with a letter or a digit first.",
                extension=extension[:LONGEST_REPEATED],
            )
    return wanted
