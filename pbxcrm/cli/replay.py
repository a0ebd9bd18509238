"""``replay FILE.ami... --json`` and ``replay --cel FILE.csv... --json``: recorded streams, or Asterisk's CEL file, through the
tracker; needs no database, no Redis, no settings file.
"""

import argparse
import io
import json
import os
import re
import sys
from pathlib import Path

# As in pbxcrm.shared.settings, which would take longer to import than a file takes to replay.
EXTENSION_PATTERN = r"\d{2,5}"
REGION = "UA"


def main(arguments: list[str]) -> int:
    """The exit code: 0 when every file was read, 2 for a wrong call or a file that cannot be read."""
    parser = argparse.ArgumentParser(
        prog="pbxcrm replay", description="Feed recorded AMI streams (or CEL files) to the tracker and print the calls."
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--cel", action="store_true", help="the files are CEL files: what recovery makes of them alone")
    parser.add_argument("--json", action="store_true", help="one JSON object a call, a line each")
    parser.add_argument("--trunk", action="append", default=[], metavar="GLOB", help="an endpoint that is a trunk")
    parser.add_argument("--extension-pattern", default=None, metavar="RE", help="what an extension looks like")
    options = parser.parse_args(arguments)
    pattern = options.extension_pattern or os.environ.get("PBXCRM_EXTENSION_PATTERN") or EXTENSION_PATTERN
    try:
        re.compile(pattern)
    except re.error as error:
        print(f"pbxcrm: {pattern!r} is not a regular expression: {error}", file=sys.stderr)
        return 2
    from ami.replay import replay_files

    out = sys.stdout if options.json else io.StringIO()
    try:
        region = os.environ.get("PBXCRM_REGION") or REGION
        code = replay_files(options.files, tuple(options.trunk), pattern, region, out, from_cel=options.cel)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads any more; that is no error
        return 0
    if isinstance(out, io.StringIO):
        for line in out.getvalue().splitlines():
            print(_for_people(json.loads(line)))
    return code


def _for_people(call: dict[str, object]) -> str:
    who = call["client_number"] or "internal or withheld"
    reason = f" ({call['missed_reason']})" if call["missed_reason"] else ""
    phones = ", ".join(str(each) for each in (call["talked"] or call["rang"] or ["no phone"]))  # type: ignore[attr-defined]
    return f"{call['started_at']}  {call['direction']:<8}  {call['outcome']}{reason}  {who}  {phones}  [{call['file']}]"
