"""The command line. It is also the composition root: the only place that connects the parts."""

import sys


def main() -> None:
    """Run one command. Expected errors are one sentence on stderr: exit code 2 for usage and settings, 1 for the rest."""
    from pbxcrm.shared.errors import BadSettings, Invalid, PbxcrmError

    if sys.argv[1:2] == ["replay"]:
        # Other programs call replay often, for one file each: start it without importing the rest.
        from pbxcrm.cli.replay import main as replay

        sys.exit(replay(sys.argv[2:]))
    from pbxcrm.cli.app import app
    from pbxcrm.shared.private_files import keep_private

    keep_private()
    try:
        app(prog_name="pbxcrm", obj=main)
    except PbxcrmError as error:
        print(f"pbxcrm: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, BadSettings | Invalid) else 1)
    except _database_errors() as error:
        print(f"pbxcrm: the database: {getattr(error, 'orig', None) or error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


def _database_errors() -> tuple[type[Exception], ...]:
    """The errors of drivers when the database is away or locked; imported only when something was raised."""
    from sqlalchemy.exc import InterfaceError, OperationalError

    return (OperationalError, InterfaceError)
