"""``pbxcrm work`` on a machine whose clock is set: ``python -m tests.week.stepped FILE``, where the file holds the seconds it is off."""

import sys
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

from pbxcrm.cli import main as pbxcrm
from workers import work


def main() -> None:
    file = Path(sys.argv.pop(1))

    class SteppedClock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(seconds=int(file.read_text()))

    work.datetime = SteppedClock  # type: ignore[attr-defined]  # the class from which the worker gets the time
    sys.argv.append("work")
    pbxcrm()


if __name__ == "__main__":
    main()
