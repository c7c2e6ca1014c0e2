"""Programs of others that tests run; where one is missing, the test is skipped, and fails in CI."""

from __future__ import annotations

import os
import shutil

import pytest


def missing(what: str) -> None:
    """End the test because something is not there: skipped with how to get it, or failed in CI."""
    message = f"{what} is missing on this machine: make tools"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def tool(name: str) -> str:
    """Where a program is."""
    found = shutil.which(name)
    if found is None:
        missing(name)
    return str(found)
