"""What the tests of the consumers share."""

from __future__ import annotations

from pathlib import Path

import pytest

from settings import KafkaSettings, Settings


@pytest.fixture
def settings(tmp_path: Path, empty_kafka: KafkaSettings) -> Settings:
    """An empty broker for each test: its topics are whole histories."""
    return Settings(data=tmp_path, kafka=empty_kafka)
