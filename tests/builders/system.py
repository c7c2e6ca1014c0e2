"""The whole system, as the tests start it to trip it up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalogue.connection import connect
from cli.supervisor import Supervisor
from local.services import kept_services
from producers.feed import Feed
from producers.files import Source, scans_of
from settings import Settings
from stream.lag import LagReader, lag_reader
from stream.stages import STAGES
from stream.topics import ensure_topics
from tests.builders.clock import now
from tests.builders.stores import fetch_anywhere

# Crops of faces need no doubling, and without it they take a quarter of the time.
UPSAMPLE = 0


@dataclass(frozen=True)
class Running:
    """Consumers that are up, and their services."""

    settings: Settings
    supervisor: Supervisor
    lags: LagReader

    def publish(self, sources: Sequence[Source]) -> None:
        """Publish the scans in these files."""
        with Feed(self.settings.kafka, now) as feed:
            for source in sources:
                for scan in scans_of(source, now, fetch_anywhere):
                    feed.publish(scan)

    def wait_until_done(self, within_s: float = 240) -> None:
        """Wait for every lag to be 0, restarting what dies."""
        deadline = time.monotonic() + within_s
        while any(lags := self.lags.lags(STAGES).values()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"still behind: {lags}")
            time.sleep(0.2)
            self.supervisor.check()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the catalogue answers."""
        with connect(self.settings.database) as connection:
            return connection.execute(query.encode()).fetchall()


StartSystem = Callable[[], AbstractContextManager[Running]]


@contextmanager
def whole_system(data: Path) -> Iterator[Running]:
    """Consumers on this folder, and those services that the environment does not name."""
    settings = Settings.model_validate({"data": data, "models": {"upsample": UPSAMPLE}, "stores": {"roots": ["/"]}})
    with kept_services(settings, command="pytest") as opened:
        running = opened.settings
        ensure_topics(running.kafka)
        with Supervisor(running, opened.keeper) as supervisor, lag_reader(running.kafka) as lags:
            yield Running(running, supervisor, lags)
