"""`facestream status`: once, for programs, and as a board that renews itself; on a real broker and catalogue."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from settings import KafkaSettings
from tests.builders.commands import Facestream
from tests.builders.kafka import name_broker, publish
from tests.builders.transforms import scan


@pytest.fixture(autouse=True)
def _archive(empty_kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three scans that nobody reads; the catalogue is empty."""
    monkeypatch.setenv("COLUMNS", "120")
    name_broker(empty_kafka, monkeypatch)
    publish(empty_kafka, [scan(f"album/{number}") for number in range(3)])


def test_lags_members_counts_and_the_live_generation_are_shown(facestream: Facestream) -> None:
    (status,) = facestream("status", "--json").json_lines()
    assert status["lag"] == {"detect": 3, "index": 0, "cluster": 0, "catalogue": 3}
    assert status["members"] == dict.fromkeys(status["lag"], 0)
    assert (status["live"], status["scans"], status["waiting"], status["breaks"]) == ("blue", 0, [], [])
    assert ["detect", "scans", "0", "3"] in facestream("status").table_rows()


def test_the_board_renews_itself_until_ctrl_c(facestream: Facestream, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def sleep(_: float) -> None:
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt

    # Of this module alone: the clients sleep as well.
    monkeypatch.setattr("cli.status.time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    board = facestream("status", "--watch")
    assert (board.code, len(seen)) == (0, 3)
    assert ["blue", "live"] in board.table_rows()
    assert "Ctrl-C ends it" in board.out
