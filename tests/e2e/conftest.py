"""The whole system, as a person starts it and as the tests start it to trip it up."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from catalogue.connection import connect
from cli.stages import STAGES
from cli.supervisor import Supervisor
from local.services import services
from settings import Settings
from stream.lag import LagReader, lag_reader
from stream.topics import ensure_topics

# Crops of faces need no doubling, and without it they take a quarter of the time.
_UPSAMPLE = 0


def facestream(*arguments: str | Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """The command as a person types it."""
    command = [sys.executable, "-m", "cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


@dataclass(frozen=True)
class Finished:
    """A run that has ended: its data folder and what `--json` printed."""

    data: Path
    summary: dict[str, Any]


@pytest.fixture(scope="session")
def johns(shared_data: Path) -> Path:
    """55 crops of 5 people, a folder each."""
    return shared_data / "dlib_examples" / "johns"


@pytest.fixture(scope="session")
def johns_run(johns: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """`facestream run` over the johns, undisturbed."""
    data = tmp_path_factory.mktemp("johns")
    done = facestream("run", johns, "--data", data, "--upsample", str(_UPSAMPLE), "--json")
    assert done.returncode == 0, done.stderr
    return Finished(data, json.loads(done.stdout))


@dataclass(frozen=True)
class Running:
    """Services and consumers that are up."""

    settings: Settings
    supervisor: Supervisor
    lags: LagReader

    def wait_until_done(self, within_s: float = 240) -> None:
        """Wait for every lag to be 0, restarting what dies."""
        deadline = time.monotonic() + within_s
        while any(lags := self.lags.lags(STAGES).values()):
            assert time.monotonic() < deadline, f"still behind: {lags}"
            time.sleep(0.2)
            self.supervisor.check()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the catalogue answers."""
        with connect(self.settings.database) as connection:
            return connection.execute(query.encode()).fetchall()


@pytest.fixture
def start(tmp_path: Path) -> Callable[[], AbstractContextManager[Running]]:
    """Starts services and consumers on a folder of the test's own."""

    @contextmanager
    def starting() -> Iterator[Running]:
        settings = Settings.model_validate({"data": tmp_path / "data", "models": {"upsample": _UPSAMPLE}})
        with services(settings, command="pytest") as running:
            ensure_topics(running.kafka)
            with Supervisor(running) as supervisor, lag_reader(running.kafka) as lags:
                yield Running(running, supervisor, lags)

    return starting
