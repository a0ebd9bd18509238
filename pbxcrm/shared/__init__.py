"""Code that every context uses. Nothing here imports a context."""
