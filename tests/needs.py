"""Requirements of tests: a test is skipped with a clear reason if the machine lacks something; in CI it fails."""

import os

import pytest


def need(condition: object, reason: str) -> None:
    """Skip the test unless ``condition`` holds; fail it with CI=true. ``reason`` says what is missing and how to install it."""
    if condition:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"missing in CI: {reason}", pytrace=False)
    pytest.skip(reason)
