"""Version 1: one module per resource, with its models and endpoints."""
