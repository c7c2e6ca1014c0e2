"""A service is started again in place, and given up when it ends again and again."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local import child, keeper
from local.errors import LocalServiceError
from local.keeper import Keeper
from tests.builders.clock import wait_until

pytestmark = pytest.mark.process


class KilledAtFirst:
    """A server that is killed before it answers, so many times."""

    name = "the late one"

    def __init__(self, folder: Path, times: int) -> None:
        self.folder = folder
        self.times = times

    def is_broken(self, running: child.Child) -> bool:  # noqa: ARG002
        return False

    def start(self, ending: Callable[[], bool]) -> child.Child:
        running = child.start(self.name, ["sleep", "60"], folder=self.folder, log=self.folder / "log")
        is_killed = self.times > 0
        if is_killed:
            self.times -= 1
            running.process.kill()
        running.wait_until(lambda: not is_killed, within=10, ending=ending)
        return running


class Sleeper:
    """A server that does nothing, for so many seconds."""

    name = "the sleeper"

    def __init__(self, folder: Path, *seconds: float) -> None:
        self.folder = folder
        self.started: list[child.Child] = []
        self._seconds = list(seconds)

    def is_broken(self, running: child.Child) -> bool:
        return running.has_logged("cannot go on")

    def start(self, ending: Callable[[], bool]) -> child.Child:  # noqa: ARG002
        seconds = self._seconds.pop(0) if self._seconds else 60
        if not seconds:
            raise LocalServiceError("the sleeper did not come up")
        log = self.folder / "log"
        running = child.start(self.name, ["sleep", str(seconds)], folder=self.folder, log=log)
        self.started.append(running)
        return running


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are short."""
    monkeypatch.setattr(keeper, "_LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(keeper, "_LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(keeper, "_LOOK_FOR_SPACE_S", 0.02)


@pytest.mark.usefixtures("patience")
def test_what_ends_is_started_again_and_others_are_told_when_it_is_away_and_back(tmp_path: Path) -> None:
    lines: list[str] = []
    up: list[bool] = []
    service = Sleeper(tmp_path, 60, 0, 60)
    with Keeper(lines.append, lambda: up.append(kept.is_up)) as kept:
        kept.start(service)
        assert (kept.is_up, kept.restarts) == (True, 0)
        service.started[0].process.kill()
        wait_until(lambda: up == [False, True], lambda: str(up), within_s=10, every_s=0.02)
        kept.check()
        assert kept.restarts == 1
        (service.folder / "log").write_text("cannot go on")
        wait_until(lambda: len(service.started) > 2, "one that is broken is not replaced", within_s=10, every_s=0.02)
        (service.folder / "log").write_text("")
    assert lines[:2] == [
        "the sleeper was ended by signal 9 (SIGKILL): it is started again",
        "the sleeper answers again, after 0 s",
    ]
    assert all(running.process.poll() is not None for running in service.started)


@pytest.mark.usefixtures("patience")
def test_a_service_whose_log_is_deleted_is_kept_running(tmp_path: Path) -> None:
    lines: list[str] = []
    up: list[bool] = []
    service = Sleeper(tmp_path, 60, 60)
    with Keeper(lines.append, lambda: up.append(kept.is_up)) as kept:
        kept.start(service)
        (tmp_path / "log").unlink()
        time.sleep(0.2)
        kept.check()
        assert (lines, up) == ([], [])
        service.started[0].process.kill()
        wait_until(lambda: up == [False, True], lambda: str(up), within_s=10, every_s=0.02)
        kept.check()


def test_of_a_log_that_was_emptied_meanwhile_all_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("of an earlier start\n" * 3)
    running = child.start("one", ["sleep", "60"], folder=tmp_path, log=log)
    try:
        assert running.log_since(running.log_start) == ("", running.log_start)
        log.write_text("is ready\n")
        assert running.has_logged("is ready")
        assert running.log_since(running.log_start) == ("is ready\n", 9)
        log.unlink()
        assert running.log_since(9) == ("", 0)
    finally:
        running.stop()


@pytest.mark.usefixtures("patience")
def test_what_ends_again_and_again_is_given_up_with_one_line_unless_something_is_done_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "getsignal", lambda _: signal.SIG_DFL)
    service = Sleeper(tmp_path, *[0.05] * 50)
    with Keeper(print) as kept:
        kept.start(service)
        before = time.monotonic()
        while time.monotonic() < before + 1.5:
            kept.progressed()
            kept.check()
            time.sleep(0.01)
        wait_until(lambda: kept.has_failed, "it is not given up", within_s=20, every_s=0.02)
        with pytest.raises(LocalServiceError, match=r"^the sleeper ends again and again: [^\n]+$"):
            kept.check()


@pytest.mark.usefixtures("patience")
def test_on_a_full_disk_it_waits_for_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    service = Sleeper(tmp_path)
    with Keeper(lines.append) as kept:
        kept.start(service)
        with monkeypatch.context() as patch:
            patch.setattr(keeper, "_SPACE_BYTES", 2**60)
            service.started[0].process.kill()
            wait_until(lambda: len(lines) == 2, lambda: str(lines), within_s=10, every_s=0.02)
            time.sleep(0.2)
            assert len(service.started) == 1
        wait_until(lambda: len(service.started) == 2, "it is not started again", within_s=10, every_s=0.02)
    assert lines[1].startswith("the disk is full: the sleeper waits for ")


def test_a_service_that_is_killed_before_it_answers_is_started_again(tmp_path: Path) -> None:
    lines: list[str] = []
    with Keeper(lines.append) as kept:
        kept.start(KilledAtFirst(tmp_path, 2))
        assert (kept.is_up, kept.restarts) == (True, 0)
    assert len(lines) == 2
    assert all("was ended by signal 9 (SIGKILL) instead of starting" in line for line in lines)
    with Keeper(lines.append) as kept, pytest.raises(LocalServiceError, match=r"instead of starting"):
        kept.start(KilledAtFirst(tmp_path, 50))
