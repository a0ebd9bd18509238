"""The commands and what they are called with; what they do is next door, imported only when asked for."""

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
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """A telephony-first CRM for people who run an Asterisk PBX."""


def settings_and_logs() -> Settings:
    """Settings of this process, with logging set up by them. Raises BadSettings."""
    from pbxcrm.shared.logs import configure

    settings = load_settings(dict(os.environ))
    configure(settings.log_level)
    return settings


@app.command()
def run(
    demo: Annotated[bool, typer.Option("--demo", help="With a simulated PBX and sample data.")] = False,
    rate: Annotated[float, typer.Option(help="Calls a minute of the simulated PBX.", hidden=True)] = 6.0,
) -> None:
    """Everything in one command: web, listener, worker and, unless PBXCRM_REDIS_URL is set, a Redis of its own."""
    from pbxcrm.cli.run import run as start

    sys.exit(start(dict(os.environ), demo=demo, rate=rate))


@app.command(hidden=True)
def prepare(demo: Annotated[bool, typer.Option("--demo")] = False) -> None:
    """What ``run`` does to the database first."""
    from pbxcrm.cli.database import prepare_to_run

    prepare_to_run(settings_and_logs(), demo=demo)


@app.command()
def web(fd: Annotated[int | None, typer.Option("--fd", hidden=True)] = None) -> None:
    """The pages and the API alone."""
    from pbxcrm.cli.parts import serve_web

    serve_web(settings_and_logs(), fd)


@app.command()
def listen(pbx: Annotated[str | None, typer.Option(help="Only this PBX of the settings.")] = None) -> None:
    """The listener alone: hears every PBX of the settings."""
    from pbxcrm.cli.parts import serve_listeners

    serve_listeners(settings_and_logs(), pbx)


@app.command()
def work() -> None:
    """The worker alone: deadlines, leftovers, tidying."""
    from pbxcrm.cli.parts import serve_worker

    serve_worker(settings_and_logs())


@app.command(hidden=True)
def simulate(
    rate: Annotated[float, typer.Option(help="Calls a minute.")] = 6.0,
    seed: Annotated[int | None, typer.Option()] = None,
) -> None:
    """A simulated PBX at the address of PBXCRM_AMI_URL (its user is demo)."""
    from pbxcrm.cli.parts import serve_simulator

    serve_simulator(settings_and_logs(), rate, seed)


@db.command()
def upgrade() -> None:
    """Bring the database to the shape this version needs."""
    from pbxcrm.cli.database import upgrade as start

    start(settings_and_logs())


@user.command("add")
def add_user(
    login: str,
    name: Annotated[str, typer.Option(help="As colleagues know them.")],
    role: Annotated[str, typer.Option(help="seller, manager, qc or admin.")],
    extension: Annotated[list[str] | None, typer.Option(help="A phone of theirs; may be given several times.")] = None,
    team: Annotated[str | None, typer.Option(help="Made if it does not exist.")] = None,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
) -> None:
    """Add a person."""
    from pbxcrm.cli.people import add_user as start

    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        raise Invalid("password", "cli.password", "Give the password on stdin and say --password-stdin.")
    start(
        settings_and_logs(), login=login, name=name, role=role, extensions=extension or [], team=team, password=password
    )


@token.command("create")
def create_token(
    login: str,
    name: Annotated[str, typer.Option(help="What it is for, to know it again.")] = "command line",
    days: Annotated[int | None, typer.Option(help="Valid for so many days; else until it is revoked.")] = None,
) -> None:
    """Print a new API token of a person. It is shown this once."""
    from pbxcrm.cli.people import create_token as start

    start(settings_and_logs(), login, name, days)


@app.command()
def doctor() -> None:
    """Say what works, what does not, and what to do about it."""
    from pbxcrm.cli.doctor import doctor as start

    sys.exit(start(dict(os.environ)))


@app.command()
def backup(file: Path) -> None:
    """Copy the database into FILE, also while everything runs. No secret is in it."""
    from pbxcrm.cli.database import backup as start

    start(settings_and_logs(), file)


@app.command()
def restore(file: Path, yes: Annotated[bool, typer.Option("--yes", help="Overwrite what is there.")] = False) -> None:
    """Put back what ``backup`` copied. Nothing may be running."""
    from pbxcrm.cli.database import restore as start

    start(settings_and_logs(), file, overwrite=yes)


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []})
def replay(context: typer.Context) -> None:
    """Feed recorded AMI streams to the tracker and print the calls: FILE.ami... --json [--trunk GLOB]... (see --help)."""
    from pbxcrm.cli.replay import main as start

    sys.exit(start(context.args))
