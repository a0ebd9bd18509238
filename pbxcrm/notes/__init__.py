"""Notes on a deal, on a client or about a call."""
