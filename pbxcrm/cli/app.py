"""The commands and their options. Their code is in the other modules here, imported only when a command runs."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.settings import Settings, load_settings

app = typer.Typer(
    help="A telephony-first CRM for people who run an Asterisk PBX.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
db = typer.Typer(help="The database.", no_args_is_help=True)
user = typer.Typer(help="People who log in.", no_args_is_help=True)
token = typer.Typer(help="Tokens for the API.", no_args_is_help=True)
app.add_typer(db, name="db")
app.add_typer(user, name="user")
app.add_typer(token, name="token")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"pbxcrm {version('pbxcrm')}")
        raise typer.Exit


@app.callback()
def pbxcrm(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A telephony-first CRM for people who run an Asterisk PBX."""


def settings_and_logs() -> Settings:
    """Load the settings, configure logging, and close the data directory to other users. Raises BadSettings."""
    from pbxcrm.shared.logs import configure
    from pbxcrm.shared.private_files import make_private

    settings = load_settings(dict(os.environ))
    configure(settings.log_level)
    make_private(settings.data_dir)
    return settings


@app.command()
def run(
    command: typer.Context,
    demo: Annotated[bool, typer.Option("--demo", help="With a simulated PBX and sample data.")] = False,
    rate: Annotated[float, typer.Option(help="Calls per minute of the simulated PBX.", hidden=True)] = 6.0,
) -> None:
    """Run everything: web, listeners, worker and, unless PBXCRM_REDIS_URL is set, an embedded Redis."""
    from pbxcrm.cli.run import run as start

    sys.exit(start(dict(os.environ), command.obj, demo=demo, rate=rate))


@app.command(hidden=True)
def prepare(demo: Annotated[bool, typer.Option("--demo")] = False) -> None:
    """Prepare the database, as ``run`` does first."""
    from pbxcrm.cli.database import prepare_to_run

    prepare_to_run(settings_and_logs(), demo=demo)


@app.command()
def web(fd: Annotated[int | None, typer.Option("--fd", hidden=True)] = None) -> None:
    """Run only the pages and the API."""
    from pbxcrm.cli.parts import serve_web

    serve_web(settings_and_logs(), fd)


@app.command()
def listen(pbx: Annotated[str | None, typer.Option(help="Only this PBX from the settings.")] = None) -> None:
    """Run only the listeners, one for every PBX in the settings."""
    from pbxcrm.cli.parts import serve_listeners

    serve_listeners(settings_and_logs(), pbx)


@app.command()
def work() -> None:
    """Run only the worker: deadlines, leftover events, digests, cleaning up."""
    from pbxcrm.cli.parts import serve_worker

    serve_worker(settings_and_logs())


@app.command(hidden=True)
def simulate(
    rate: Annotated[float, typer.Option(help="Calls per minute.")] = 6.0,
    seed: Annotated[int | None, typer.Option()] = None,
) -> None:
    """Run a simulated PBX at the address in PBXCRM_AMI_URL (its user is demo)."""
    from pbxcrm.cli.parts import serve_simulator

    serve_simulator(settings_and_logs(), rate, seed)


@db.command()
def upgrade() -> None:
    """Upgrade the database to this version."""
    from pbxcrm.cli.database import upgrade as start

    start(settings_and_logs())


@user.command("add")
def add_user(
    login: str,
    name: Annotated[str, typer.Option(help="The name colleagues see.")],
    role: Annotated[str, typer.Option(help="seller, manager, qc or admin.")],
    extension: Annotated[list[str] | None, typer.Option(help="An extension of this person; may be repeated.")] = None,
    team: Annotated[str | None, typer.Option(help="Team; created if it does not exist.")] = None,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
) -> None:
    """Add a person."""
    from pbxcrm.cli.people import add_user as start

    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        raise Invalid("password", "cli.password", "Give the password on stdin with --password-stdin.")
    start(
        settings_and_logs(), login=login, name=name, role=role, extensions=extension or [], team=team, password=password
    )


@token.command("create")
def create_token(
    login: str,
    name: Annotated[str | None, typer.Option(help="What the token is for, to recognise it later.")] = None,
    days: Annotated[int | None, typer.Option(help="Days the token is valid; by default until revoked.")] = None,
) -> None:
    """Create an API token for a person and print it. It is shown only once."""
    from pbxcrm.cli.people import create_token as start

    start(settings_and_logs(), login, name, days)


@app.command()
def doctor() -> None:
    """Check what works and what does not, and say what to do about it."""
    from pbxcrm.cli.doctor import doctor as start

    sys.exit(start(dict(os.environ)))


@app.command()
def backup(file: Path) -> None:
    """Copy the database into FILE, even while pbxcrm runs. FILE holds no secrets of the settings."""
    from pbxcrm.cli.database import backup as start

    start(settings_and_logs(), file)


@app.command()
def restore(file: Path, yes: Annotated[bool, typer.Option("--yes", help="Overwrite existing data.")] = False) -> None:
    """Restore a copy made by ``backup``. pbxcrm must not be running."""
    from pbxcrm.cli.database import restore as start

    start(settings_and_logs(), file, overwrite=yes)


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []})
def replay(context: typer.Context) -> None:
    """Feed recorded AMI streams to the tracker and print the calls: FILE.ami... --json [--trunk GLOB]... (see --help)."""
    from pbxcrm.cli.replay import main as start

    sys.exit(start(context.args))
