"""What every context stands on. Nothing here knows a context."""
