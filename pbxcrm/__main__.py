"""``python -m pbxcrm``."""

from pbxcrm.cli import main

main()
