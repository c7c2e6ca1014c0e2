"""What the tests of the consumers share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from settings import Settings
from tests.builders.kafka import broker


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """A broker of each test's own: its topics are whole histories."""
    with broker(tmp_path / "kafka") as kafka:
        yield Settings(data=tmp_path, kafka=kafka)
