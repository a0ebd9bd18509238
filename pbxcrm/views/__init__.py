"""Saved views of the board and of the lists of deals, clients and companies."""
