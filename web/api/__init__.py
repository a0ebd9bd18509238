"""The REST API: ``/api/v1`` for programs with a token."""
