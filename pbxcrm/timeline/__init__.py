"""Everything that happened to a deal or with a client, in one list, newest first."""
