"""The listening socket for pages and API."""

import socket

from pbxcrm.shared.errors import BadSettings
from pbxcrm.shared.settings import Settings


def bind(settings: Settings) -> socket.socket:
    """The listening socket of ``settings.bind``; raises BadSettings if the address cannot be used."""
    host, _, port = settings.bind.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, int(port)))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise BadSettings(
            "bind.refused",
            "The address {bind} cannot be used: {why}. Set PBXCRM_BIND to another one, for example 127.0.0.1:8081.",
            bind=settings.bind,
            why=(error.strerror or str(error)).lower(),
        ) from error
    return listening
