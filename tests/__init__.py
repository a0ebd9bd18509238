"""Tests. A package, so that tests can import shared modules such as ``tests.office``."""
