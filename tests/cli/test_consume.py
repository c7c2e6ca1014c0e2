"""A consumer as a command: what a person reads where the broker is lost while it starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from kafka.errors import KafkaConnectionError

from cli import consume
from cli.supervisor import as_environment
from settings import KafkaSettings, Settings
from tests.builders.commands import Facestream


@pytest.mark.parametrize("step", ["ensure_topics", "check_restored"])
def test_a_broker_that_is_lost_while_a_consumer_starts_is_one_line(
    step: str,
    tmp_path: Path,
    empty_kafka: KafkaSettings,
    facestream: Facestream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lost(_: object) -> None:
        raise KafkaConnectionError("socket disconnected")

    for name, value in as_environment(Settings(data=tmp_path, kafka=empty_kafka)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(consume, step, lost)
    ended = facestream("cluster", "--member", "0")
    assert ended.code == 1
    broker = empty_kafka.bootstrap_servers
    line = f"facestream: cluster lost the Kafka broker at {broker} (KafkaConnectionError: socket disconnected)"
    assert [it for it in ended.err.splitlines() if it.startswith("facestream")] == [line]
