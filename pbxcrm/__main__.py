"""``python -m pbxcrm``, and the command ``pbxcrm``."""

import sys

# structlog loads rich where it is, and pygments with it, for coloured tracebacks that our logs do not have: 3 MB in each process.
sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # what is None there cannot be imported

from pbxcrm.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
