"""A week of an office with an injected clock, and a slow reference that says which lamps should have lit."""
