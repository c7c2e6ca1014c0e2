"""The whole system on this machine while a feed publishes into it: watched, shown as it goes, and awaited."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from types import FrameType

from psycopg import Connection
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from catalogue import reader
from catalogue.connection import connect
from cli.printing import stderr
from cli.stages import STAGES
from cli.supervisor import Supervisor
from local.services import services
from producers.feed import Outcome
from schemas.scans import ScanPublished
from settings import Settings
from stream.lag import LagReader, lag_reader
from stream.topics import ensure_topics

_TICK_S = 0.5


class System:
    """Made by `system`. `stop` is set when the person at the keyboard wants an end."""

    def __init__(
        self,
        settings: Settings,
        stop: threading.Event,
        supervisor: Supervisor,
        lags: LagReader,
        connection: Connection,
        progress: Progress,
    ) -> None:
        self.settings = settings
        self.stop = stop
        self.connection = connection
        self.published: Counter[Outcome] = Counter()
        self._supervisor = supervisor
        self._lags = lags
        self._progress = progress
        self.before = reader.counts(connection)
        self._bar = progress.add_task("starting", total=None)

    def report(self, _scan: ScanPublished, outcome: Outcome) -> None:
        """Told by the feed of each scan."""
        self.published[outcome] += 1

    def feed(self, publish: Callable[[], None]) -> None:
        """Run a feed beside everything else until it ends. Raises what it raises."""
        with ThreadPoolExecutor(1, thread_name_prefix="feed") as pool:
            feeding: Future[None] = pool.submit(publish)
            try:
                while wait([feeding], timeout=_TICK_S).not_done:
                    self._tick()
            except BaseException:
                self.stop.set()
                raise
            feeding.result()

    def wait_until_done(self) -> None:
        """Until every consumer has done with everything that was published, or `stop` is set."""
        while not self.stop.is_set() and any(self._tick().values()):
            self.stop.wait(_TICK_S)

    def end_progress(self) -> None:
        """Leave the bar as it stands; what is printed next comes below it."""
        self._tick()
        self._progress.stop()

    def _tick(self) -> dict[str, int]:
        self._supervisor.check()
        lags = self._lags.lags(STAGES)
        counts = reader.counts(self.connection)
        waiting = "  ".join(f"{name} {lag}" for name, lag in lags.items() if lag)
        self._progress.update(
            self._bar,
            total=counts.scans,
            completed=counts.analysed + counts.dead_scans,
            description=f"{counts.faces:,} faces, {counts.clusters:,} clusters"
            + (f"  [dim]waiting: {waiting}" * bool(waiting)),
        )
        return lags


@contextmanager
def system(settings: Settings, command: str) -> Iterator[System]:
    """Kafka, PostgreSQL and the four consumers, up; stopped and awaited at the end, also after Ctrl-C or SIGTERM."""
    stop = threading.Event()
    with ExitStack() as stack:
        stack.enter_context(_signals(stop))
        running = stack.enter_context(services(settings, exclusive=True, command=command))
        ensure_topics(running.kafka)
        connection = stack.enter_context(connect(running.database))
        lags = stack.enter_context(lag_reader(running.kafka))
        supervisor = stack.enter_context(Supervisor(running))
        progress = stack.enter_context(
            Progress(
                TextColumn("scans"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.description}"),
                console=errors,
            )
        )
        yield System(running, stop, supervisor, lags, connection, progress)


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    def tell(_signal: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        errors.print("stopping: what is at hand is brought to its end (again to stop at once)")

    before = {number: signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
