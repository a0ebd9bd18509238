"""Small things of the command line that need nothing."""

import os
import signal
import subprocess
import sys

import pytest
from sqlalchemy.engine import make_url

from pbxcrm.cli.first_people import new_password
from pbxcrm.people.rules import check_password
from pbxcrm.shared import child
from pbxcrm.upkeep.backup import libpq_environ
from pbxcrm.upkeep.doctor.findings import bad, good


def test_a_new_password_is_accepted_easy_to_type_and_never_the_same() -> None:
    found = {new_password() for _ in range(100)}
    assert len(found) == 100
    assert all(check_password(password) == password for password in found)
    assert not any(letter in password for password in found for letter in "01lio")


@pytest.mark.parametrize(
    ("url", "environ"),
    [
        ("postgresql://u:p%40ss@db:5433/crm", {"PGHOST": "db", "PGPORT": "5433", "PGUSER": "u", "PGPASSWORD": "p@ss", "PGDATABASE": "crm"}),
        ("postgresql://u@/crm?host=/run/pg", {"PGHOST": "/run/pg", "PGUSER": "u", "PGDATABASE": "crm"}),
    ],
)  # fmt: skip
def test_postgresqls_programs_are_told_where_by_their_environment(url: str, environ: dict[str, str]) -> None:
    assert libpq_environ(make_url(url)) == environ


def test_a_finding_is_one_line() -> None:
    assert str(good("Fine.")) == "✓ Fine."
    assert str(bad("Broken.", "Mend it.")) == "✗ Broken. Mend it."


def test_a_child_becomes_its_program() -> None:
    command = child.command([sys.executable, "-c", "import os; print(os.getppid())"], at_parents_death=signal.SIGKILL)
    ended = subprocess.run(command, capture_output=True, check=True, text=True)
    assert ended.stdout.strip() == str(os.getpid())  # it is our own child, with nothing in between


def test_a_child_whose_parent_is_gone_does_not_begin() -> None:
    command = child.command([sys.executable, "-c", "print('here')"], at_parents_death=signal.SIGKILL)
    command[command.index(str(os.getpid()))] = "1"
    ended = subprocess.run(command, capture_output=True, check=False, text=True)
    assert (ended.returncode, ended.stdout) == (1, "")
