"""Imports what the parts of ``pbxcrm run`` need, once for all of them."""

# ruff: noqa: F401

import gc


def preload() -> None:
    """Import the parts, connect them, and set all that aside from garbage collection, which would copy it into each fork.

    Nothing is opened here: no event loop, no database, no connection. Forks must not share such things.
    """
    gc.disable()  # nothing of this is garbage
    _import_parts()
    gc.enable()
    gc.collect()
    gc.freeze()


def _import_parts() -> None:
    """What the commands import when they run, and what these modules import only inside of functions."""
    from sqlalchemy.orm import configure_mappers

    import ami.agi
    import ami.backfill
    import ami.commands
    import ami.listener
    import ami.simulator
    import ami.tracker
    import pbxcrm.cli.database
    import pbxcrm.cli.parts
    import pbxcrm.cli.phone_orders
    import pbxcrm.phone.order_source
    import pbxcrm.reactions.caller_lookup
    import pbxcrm.reactions.intake
    import web.app
    import web.digest
    import web.server
    import workers.work
    from pbxcrm.composition import compose

    compose()
    configure_mappers()
