"""Notes: on a deal, on a client, about a call."""
