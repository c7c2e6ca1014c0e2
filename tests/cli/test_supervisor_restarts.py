"""How often a consumer may end before the command does, by how long it ran each time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from cli import supervisor
from cli.supervisor import Supervisor
from errors import UserError
from settings import Settings


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in its only entry. Every process that is started has ended with the same error when it is looked at."""
    time = [0.0]
    ended = SimpleNamespace(
        process=SimpleNamespace(poll=lambda: 1, pid=1),
        last_error="net.onnx is no network",
        log="detect.log",
        stop=lambda **_: None,
    )
    monkeypatch.setattr(supervisor, "time", SimpleNamespace(monotonic=lambda: time[0]))
    monkeypatch.setattr("local.child.start", lambda *_, **__: ended)
    return time


def test_a_consumer_whose_start_takes_long_and_fails_is_given_up_with_its_reason(
    tmp_path: Path, clock: list[float]
) -> None:
    with Supervisor(Settings(data=tmp_path), consumers=("detect",)) as running:
        for _ in range(5):
            clock[0] += 40
            running.check()
        clock[0] += 40
        with pytest.raises(UserError, match=r"detect ends again and again \(exit code 1\): net\.onnx is no network"):
            running.check()


def test_one_that_ran_for_a_while_or_has_done_something_is_started_again(tmp_path: Path, clock: list[float]) -> None:
    with Supervisor(Settings(data=tmp_path), consumers=("detect",)) as running:
        for _ in range(20):
            clock[0] += 100
            running.check()
        for _ in range(20):
            clock[0] += 1
            running.check()
            running.progressed("detect")
