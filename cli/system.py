"""The whole system on this machine, fed by one publisher: started, supervised, its progress shown, stopped."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from types import FrameType

from psycopg import Connection
from rich.progress import Progress, TextColumn

from catalogue import reader
from catalogue.connection import connect
from cli.printing import stderr
from cli.progress import ProgressLines, progress_bar
from cli.supervisor import Supervisor
from consumers import waits
from consumers.stages import DETECT, STAGES
from local.services import services
from producers.identity import Outcome, Verdict
from settings import Settings
from stream.lag import LagReader, lag_reader
from stream.topics import ensure_topics

_TICK_S = 0.5


class System:
    """Created by `system`. `stop` is set by Ctrl-C or SIGTERM."""

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
        self._lines = ProgressLines()
        self._waits: dict[str, str] = {}

    def count(self, verdict: Verdict) -> None:
        """Count a scan that the feed has published."""
        self.published[verdict.outcome] += 1

    def feed(self, publish: Callable[[], None]) -> None:
        """Run a feed in a thread until it ends, and update the bar meanwhile. Raises what the feed raises."""
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
        """Wait until every consumer has processed everything that was published, or `stop` is set."""
        # What a start has published counts in the lags that are read after it.
        while not self.stop.is_set() and self._supervisor.starting:
            self._tick()
            self.stop.wait(_TICK_S)
        while not self.stop.is_set() and any(self._tick().values()):
            self.stop.wait(_TICK_S)

    def stay(self) -> None:
        """Keep everything running until `stop` is set, restarting what ends."""
        while not self.stop.wait(_TICK_S):
            self._supervisor.check()

    def stay_with_progress(self) -> None:
        """The same, with the bar."""
        while not self.stop.wait(_TICK_S):
            self._tick()

    def end_progress(self) -> None:
        """Update the bar a last time; later output appears below it."""
        self._tick()
        self._progress.stop()

    def _tick(self) -> dict[str, int]:
        self._supervisor.check()
        lags = self._lags.lags(STAGES)
        counts = reader.counts(self.connection)
        waiting = "  ".join(f"{name} {lag}" for name, lag in lags.items() if lag)
        done, found = counts.analysed + counts.dead_scans, f"{counts.faces:,} faces, {counts.clusters:,} clusters"
        description = found + (f"  [dim]waiting: {waiting}" * bool(waiting))
        self._progress.update(self._bar, total=counts.scans, completed=done, description=description)
        line = f"scans: {done:,} of {counts.scans:,}, {found}" + (f", waiting: {waiting}" * bool(waiting))
        self._lines.update(line)
        self._report_waits()
        return lags

    def _report_waits(self) -> None:
        """Print which stores are waited for, and which answer again, when that changes."""
        now = {waiting.store: waiting for waiting in waits.decode(self._lags.all_checkpoint_metadata(DETECT))}
        for store, waiting in now.items():
            if self._waits.get(store) != waiting.reason:
                stderr.print(f"waiting: {waiting.line}", soft_wrap=True)
        for store in self._waits.keys() - now.keys():
            stderr.print(f"no scan waits any more for {store}", soft_wrap=True)
        self._waits = {store: waiting.reason for store, waiting in now.items()}


@contextmanager
def system(settings: Settings, command: str) -> Iterator[System]:
    """Run Kafka, PostgreSQL and the four consumers; stop them at the end, also after Ctrl-C or SIGTERM."""
    stop = threading.Event()
    with ExitStack() as stack:
        stack.enter_context(_signals(stop))
        running = stack.enter_context(services(settings, exclusive=True, command=command))
        ensure_topics(running.kafka)
        connection = stack.enter_context(connect(running.database))
        lags = stack.enter_context(lag_reader(running.kafka))
        supervisor = stack.enter_context(Supervisor(running))
        progress = stack.enter_context(progress_bar("scans", TextColumn("{task.description}")))
        yield System(running, stop, supervisor, lags, connection, progress)


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    def handle(_signal: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        stderr.print("stopping: records in progress are finished first (again to stop at once)")

    earlier = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
