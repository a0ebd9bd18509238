"""Version 1: a module a resource, each with its shapes and its endpoints."""
