"""What the tests of the producers share."""

from __future__ import annotations

from uuid import uuid4

import pytest


@pytest.fixture
def collection() -> str:
    """A name of the test's own: the topics are shared by the tests of a module."""
    return uuid4().hex
