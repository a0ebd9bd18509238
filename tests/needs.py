"""What a test needs from the machine: skipped with one clear line where it is missing, an error where it must be there."""

import os

import pytest


def need(condition: object, reason: str) -> None:
    """Go on if ``condition`` holds. ``reason`` says what is missing and how to get it. With CI=true nothing may be skipped."""
    if condition:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"missing in CI: {reason}", pytrace=False)
    pytest.skip(reason)
