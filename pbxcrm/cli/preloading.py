"""Imports what the parts of ``pbxcrm run`` need, once for all of them."""

import gc
from importlib import import_module

# What the commands import themselves when they run, and what those modules import only in functions.
_MODULES = (
    "pbxcrm.cli.parts",
    "web.app",
    "web.server",
    "web.digest",
    "workers.work",
    "ami.listener",
    "ami.commands",
    "ami.tracker",
    "ami.agi",
    "pbxcrm.cli.phone_orders",
    "pbxcrm.cli.database",
    "pbxcrm.phone.source",
    "pbxcrm.reactions.intake",
    "pbxcrm.reactions.caller_lookup",
)


def preload() -> None:
    """Import the parts, connect them, and set all that aside from garbage collection, which would copy it into each fork.

    Nothing is opened here: no event loop, no database, no connection. Forks must not share such things.
    """
    from sqlalchemy.orm import configure_mappers

    from pbxcrm.composition import compose

    gc.disable()  # nothing of this is garbage
    for name in _MODULES:
        import_module(name)
    compose()
    configure_mappers()
    gc.enable()
    gc.collect()
    gc.freeze()
