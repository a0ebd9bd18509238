"""``python -m pbxcrm``, and the command ``pbxcrm``."""

import sys

# structlog imports rich and pygments if they are installed, for coloured tracebacks that we do not use. They take 3 MB per process.
sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # None makes the import fail

from pbxcrm.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
