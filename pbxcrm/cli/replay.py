"""``replay FILE.ami... --json`` and ``replay --cel FILE.csv... --json``: feeds recorded streams, or Asterisk's CEL file, to the
tracker. It needs no database, no Redis and no settings file.
"""

import argparse
import io
import json
import os
import re
import sys
from pathlib import Path

# The same values as in pbxcrm.shared.settings, whose import would take longer than a replay.
EXTENSION_PATTERN = r"\d{2,5}"
REGION = "UA"


def main(arguments: list[str]) -> int:
    """Run the command. Exit code: 0 when every file was read, 2 for wrong arguments or a file that cannot be read."""
    parser = argparse.ArgumentParser(
        prog="pbxcrm replay", description="Feed recorded AMI streams (or CEL files) to the tracker and print the calls."
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument(
        "--cel", action="store_true", help="the files are CEL files, read as recovery after a gap reads them"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per call, one per line")
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
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # the reader closed the pipe; that is not an error
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
