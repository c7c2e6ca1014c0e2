"""The whole system on this machine, fed by one publisher: started, supervised, its progress shown, stopped."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from typing import TypeVar

from kafka.errors import KafkaError
from psycopg import Connection, InterfaceError, OperationalError
from rich.progress import Progress, TextColumn

from catalogue import reader
from catalogue.connection import connect
from catalogue.errors import CatalogueUnavailable
from catalogue.reader import Counts
from cli import signals
from cli.archive import kafka_errors_in_one_line
from cli.erase_again import erase_again, has_come_back
from cli.printing import stderr
from cli.progress import ProgressLines, progress_bar
from cli.supervisor import Supervisor
from consumers.embedders import check_embedder
from errors import Fatal
from local.keeper import Keeper
from local.services import Services, kept_services
from producers.identity import Outcome, Verdict
from settings import Settings
from stream import waits
from stream.erasures import check_restored
from stream.generations import Generations, GenerationsReader, read_generations
from stream.lag import GroupProgress, LagReader, lag_reader
from stream.stages import stages_with
from stream.topics import ensure_topics
from telemetry import metrics
from telemetry.health import health
from telemetry.server import serving

Result = TypeVar("Result")

_TICK_S = 0.5
_GENERATIONS_EVERY_S = 2.0
_ASK_AGAIN_S = 0.5
_NOTICED_S = 1.0
# How long a question waits for a service that is started again.
_PATIENCE_S = 120.0

_LOST = (KafkaError, CatalogueUnavailable, OperationalError, InterfaceError)
"""What is raised where a connection is lost."""

_AWAY = (Fatal, *_LOST)
"""What is raised where a service does not answer."""


class System:
    """Created by `system`. `stop` is set by Ctrl-C or SIGTERM."""

    def __init__(
        self,
        settings: Settings,
        stop: threading.Event,
        supervisor: Supervisor,
        keeper: Keeper,
        progress: Progress,
        generations: Generations,
    ) -> None:
        self.settings = settings
        self.stop = stop
        self.published: Counter[Outcome] = Counter()
        self._counted: set[int] = set()
        self._counted_before: set[int] = set()
        self._supervisor = supervisor
        self._keeper = keeper
        self._progress = progress
        self._connections = ExitStack()
        self._opened: tuple[Connection, LagReader, GenerationsReader] | None = None
        self._generations_read_at = time.monotonic()
        self._stages = stages_with(generations)
        self.before: Counts = self.ask(reader.counts)
        self._bar = progress.add_task("starting", total=None)
        self._lines = ProgressLines()
        self._waits: dict[str, str] = {}
        self._lags: dict[str, int] = {}
        self._is_away = False
        self._restarts = 0
        self._breaks: set[str] = set()

    def count(self, verdict: Verdict) -> None:
        """Count a scan that the feed has published; once where it had to begin again."""
        scan = hash(verdict.scan.scan_id)
        if scan in self._counted_before and verdict.outcome in (Outcome.PUBLISHED, Outcome.ALREADY_THERE):
            return
        self._counted.add(scan)
        self.published[verdict.outcome] += 1

    def feed(self, publish: Callable[[], None]) -> None:
        """Run a feed in a thread until it ends, and update the bar meanwhile. Raises what the feed raises."""
        with ThreadPoolExecutor(1, thread_name_prefix="feed") as pool:
            feeding: Future[None] = pool.submit(self._fed, publish)
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
        while not self.stop.is_set() and not self._is_done():
            self.stop.wait(_TICK_S)

    def stay(self) -> None:
        """Keep everything running until `stop` is set, restarting what ends."""
        while not self.stop.wait(_TICK_S):
            self._check()
            with suppress(*_AWAY):
                self._follow_generations()

    def stay_with_progress(self) -> None:
        """The same, with the bar."""
        while not self.stop.wait(_TICK_S):
            self._tick()

    def end_progress(self) -> None:
        """Update the bar a last time; later output appears below it."""
        self._tick()
        self._progress.stop()

    def ask(self, query: Callable[[Connection], Result]) -> Result:
        """What a query of the catalogue returns; a service that is started again meanwhile is waited for.

        Raises FacestreamError where one does not answer.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            restarts = self._keeper.restarts
            try:
                return query(self._connected()[0])
            except _AWAY as error:
                self.close()
                self._keeper.check()
                is_restarted = not self._keeper.is_up or self._keeper.restarts > restarts
                if time.monotonic() > deadline or not (is_restarted or self._keeper.keeps):
                    raise _in_one_line(error) from error
            time.sleep(_ASK_AGAIN_S)

    def close(self) -> None:
        """Close the connections to the services."""
        self._opened = None
        self._connections.close()

    def _connected(self) -> tuple[Connection, LagReader, GenerationsReader]:
        if self._opened is None:
            connection = self._connections.enter_context(connect(self.settings.database))
            lags = self._connections.enter_context(lag_reader(self.settings.kafka))
            generations = self._connections.enter_context(GenerationsReader(self.settings.kafka))
            self._opened = connection, lags, generations
        return self._opened

    def _follow_generations(self) -> None:
        """Run the consumers of the generations that there are now. Looked at every other second."""
        if time.monotonic() < self._generations_read_at + _GENERATIONS_EVERY_S:
            return
        generations = self._connected()[2].read()
        self._generations_read_at = time.monotonic()
        self._supervisor.follow(generations)
        self._stages = stages_with(generations)

    def _fed(self, publish: Callable[[], None]) -> None:
        """Publish, again from the beginning where a service was started again meanwhile; nothing is published twice."""

        def begin() -> None:
            self._counted_before |= self._counted
            publish()

        through_restarts(self._keeper, self.stop, begin)

    def _is_done(self) -> bool:
        is_known = self._tick()
        given_up = self._supervisor.given_up
        return is_known and not any(lag for name, lag in self._lags.items() if name not in given_up)

    def _tick(self) -> bool:
        """Restart what has ended, and update the bar; whether all services answered."""
        self._check()
        if not self._keeper.is_up:
            health.not_ready()
            return False
        try:
            self._follow_generations()
            connection, lag_reader, _ = self._connected()
            progress = lag_reader.progress(self._stages)
            counts = reader.counts(connection)
            waiting = waits.waiting(lag_reader, self._stages)
        except _AWAY as error:
            self.close()
            self._keeper.check()
            # The keeper reports the services that it keeps.
            if not self._is_away and not self._keeper.keeps:
                _report(f"waiting: {_in_one_line(error)}")
            self._is_away = True
            return False
        self._is_away = False
        health.ready()
        lags = {name: one.lag for name, one in progress.items()}
        self._note_progress(lags)
        self._show(counts, lags)
        self._report_waits({one.store: one for one in waiting})
        self._report_breaks(progress.values())
        return True

    def _check(self) -> None:
        self._supervisor.check()
        health.turned()
        metrics.service_restarts.inc(self._keeper.restarts - self._restarts)
        self._restarts = self._keeper.restarts

    def _note_progress(self, lags: dict[str, int]) -> None:
        for name, lag in lags.items():
            if lag < self._lags.get(name, 0):
                self._supervisor.progressed(name)
                self._keeper.progressed()
        self._lags = lags

    def _show(self, counts: Counts, lags: Mapping[str, int]) -> None:
        waiting = "  ".join(f"{name} {lag}" for name, lag in lags.items() if lag)
        done, found = counts.analysed + counts.dead_scans, f"{counts.faces:,} faces, {counts.clusters:,} clusters"
        description = found + (f"  [dim]waiting: {waiting}" * bool(waiting))
        self._progress.update(self._bar, total=counts.scans, completed=done, description=description)
        line = f"scans: {done:,} of {counts.scans:,}, {found}" + (f", waiting: {waiting}" * bool(waiting))
        self._lines.update(line)

    def _report_breaks(self, progress: Iterable[GroupProgress]) -> None:
        """Print once which topics do not continue where their consumers have read up to. They say what they do."""
        lines = [one.line for stage in progress for one in stage.breaks]
        for line in dict.fromkeys(lines):
            if line not in self._breaks:
                self._breaks.add(line)
                _report(line)

    def _report_waits(self, now: Mapping[str, waits.Wait]) -> None:
        """Print which stores are waited for, and which answer again, when that changes."""
        for store, waiting in now.items():
            if self._waits.get(store) != waiting.reason:
                _report(f"waiting: {waiting.line}")
        for store in self._waits.keys() - now.keys():
            _report(f"no scan waits any more for {store}")
        self._waits = {store: waiting.reason for store, waiting in now.items()}


@contextmanager
def system(settings: Settings, command: str) -> Iterator[System]:
    """Run Kafka, PostgreSQL and the four consumers; stop them at the end, also after Ctrl-C or SIGTERM."""
    stop = threading.Event()
    with ExitStack() as stack:
        stack.enter_context(serving(settings.metrics))
        stack.enter_context(kafka_errors_in_one_line(settings.kafka))
        services = stack.enter_context(ExitStack())
        opened = _opened(services, settings, stop, command)
        if through_restarts(opened.keeper, stop, lambda: has_come_back(settings, opened.settings)):
            services.close()
            erase_again(settings)
            opened = _opened(services, settings, stop, command)
        through_restarts(opened.keeper, stop, lambda: check_restored(opened.settings))
        # Consumers that cannot go on would be restarted again and again before that is an error.
        through_restarts(opened.keeper, stop, lambda: check_embedder(opened.settings))
        # Its tables are made before the consumers start.
        through_restarts(opened.keeper, stop, lambda: connect(opened.settings.database).close())
        generations = through_restarts(opened.keeper, stop, lambda: read_generations(opened.settings.kafka))
        supervisor = stack.enter_context(Supervisor(opened.settings, opened.keeper, generations))
        progress = stack.enter_context(progress_bar("scans", TextColumn("{task.description}")))
        running = System(opened.settings, stop, supervisor, opened.keeper, progress, generations)
        stack.callback(running.close)
        yield running


def _opened(services: ExitStack, settings: Settings, stop: threading.Event, command: str) -> Services:
    """The services with their topics, until `services` is closed; meanwhile Ctrl-C sets `stop`."""
    services.enter_context(signals.setting(stop))
    opened = services.enter_context(kept_services(settings, exclusive=True, command=command, report=_report))
    for line in through_restarts(opened.keeper, stop, lambda: ensure_topics(opened.settings.kafka)):
        _report(line)
    return opened


def through_restarts(keeper: Keeper, stop: threading.Event, call: Callable[[], Result]) -> Result:
    """What a call returns. It is made again, from its beginning, where a service ended meanwhile, or a connection did:
    where one of its server processes is killed, PostgreSQL itself starts all of them again.
    """
    failing_since: float | None = None
    while True:
        restarts, began = keeper.restarts, time.monotonic()
        try:
            return call()
        except _AWAY as error:
            now = time.monotonic()
            # One that went well for long, such as a feed, has not failed since.
            if failing_since is None or now > began + _PATIENCE_S:
                failing_since = now
            # The error may be there before the keeper knows.
            stop.wait(_NOTICED_S)
            is_restarted = keeper.restarts > restarts
            is_lost = isinstance(error, _LOST) and keeper.keeps and not keeper.has_failed
            if stop.is_set() or not (is_restarted or (is_lost and now < failing_since + _PATIENCE_S)):
                raise
        while not (keeper.is_up or keeper.has_failed or stop.is_set()):
            time.sleep(_ASK_AGAIN_S)


def _report(line: str) -> None:
    stderr.print(line, soft_wrap=True)


def _in_one_line(error: Exception) -> Fatal:
    return Fatal(str(error).strip().partition("\n")[0])
