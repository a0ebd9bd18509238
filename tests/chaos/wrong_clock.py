"""``pbxcrm`` on a machine whose clock is fast: ``python -m tests.chaos.wrong_clock SECONDS-AHEAD listen``."""

import sys
from datetime import datetime, timedelta, tzinfo
from typing import Self

from pbxcrm.cli import main as pbxcrm
from pbxcrm.cli import parts


def main() -> None:
    ahead = timedelta(seconds=int(sys.argv.pop(1)))

    class WrongClock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + ahead

    if ahead:
        parts.datetime = WrongClock  # type: ignore[attr-defined]  # the class from which the listener gets the time
    pbxcrm()


if __name__ == "__main__":
    main()
