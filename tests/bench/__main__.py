"""``python -m tests.bench [NAME…]``: run the benchmarks one after the other and print the results.

A benchmark does not pass or fail, because machines differ. Comparisons are made within one run.
"""

import sys
from importlib import import_module

from pbxcrm.composition import compose
from tests.bench.table import show

BENCHES = {
    "tracker": "Bytes of AMI to call facts",
    "kinds": "What each kind of message costs, ours and theirs",
    "memory": "Memory of the tracker after 100,000 calls",
    "run": "Starting the product, and its memory",
    "apply": "Calls applied to the database",
    "pages": "Server time of pages, weight of the shell",
    "api": "Look-ups and lists over REST",
    "calendar": "Working time",
    "lamps": "Lamps that are due at once, and at a pace",
    "recompute": "Lamps after a changed norm",
    "fields": "Filters and sorting by custom fields",
    "board": "The board and the list: first paint, filters, a move; time and bytes",
    "card": "The card of a deal with 2,000 entries in its timeline",
    "steady": "Memory of the web process after 10,000 pages",
    "distribution": "Choosing who gets a deal by rules",
    "forms": "A web form posted 10,000 times",
    "rules": "What rules cost a move, and how fast they run",
    "trial": "The dry run of a rule over 100,000 deals",
    "funnel": "Stage editor, reports and counters with a million deals",
    "big": "Lists and searches after ten years of calls (asked for by name)",
    "ring": "From a ring to its commit, by processor time",
    "docks": "From the hint of a ring to its card, by processor time",
    "popup": "From the event at the socket to the card in Chromium",
    "recovery": "From the return of a part to the right card in Chromium",
}

LONG = {"big"}  # takes an hour and 15 GB, so it runs only where it is named


def main(names: list[str]) -> None:
    compose()
    for name in names or [name for name in BENCHES if name not in LONG]:
        show(BENCHES[name], import_module(f"tests.bench.bench_{name}").run())


if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - set(BENCHES)
    if unknown:
        sys.exit(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}.")
    main(sys.argv[1:])
