"""How fast faces get from `faces` to `assignments`: a real broker, with the index and cluster consumers as processes.

The broker, the consumers and the feed share this machine. Rates are from the first scan published until both consumers
have committed the last offsets. p50 and p99 are of single scans, from published until read in `assignments`. A restart
is from the start of both processes until a scan that was published meanwhile is read in `assignments`.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

import psutil
from kafka import KafkaConsumer, TopicPartition

from benchmarks.archive import Archive, analysed
from benchmarks.measurement import Row, percentiles
from benchmarks.parameters import by_default
from cli.common import now
from cli.supervisor import as_environment
from consumers.references import event_of
from index.entries import Analysed
from local import child
from local.services import services
from producers.references import publish_reference
from schemas.codec import encode
from schemas.topics import ASSIGNMENTS, FACES
from settings import KafkaSettings, Settings
from stream import clients
from stream.lag import LagReader, lag_reader
from stream.reading import partitions_of
from stream.stages import STAGES
from stream.topics import ensure_topics

_CONSUMERS = ("index", "cluster")
_SINGLE_SCANS = 100
_POLL_EVERY_S = 0.2
_TIMEOUT_S = 600.0


class Consumers:
    """A context manager that runs consumers as processes. At the end they write snapshots and stop."""

    def __init__(self, settings: Settings, logs: Path, names: Sequence[str] = _CONSUMERS) -> None:
        """`logs` is the folder for their log files."""
        self.names = names
        self._environment = os.environ | as_environment(settings)
        self._logs = logs
        self._children: dict[str, child.Child] = {}

    def __enter__(self) -> Self:
        """Start the processes."""
        for name in self.names:
            command = [sys.executable, "-m", "cli.main", name, "--member", "0"]
            self._children[name] = child.start(
                name, command, folder=Path.cwd(), log=self._logs / f"{name}.log", environment=self._environment
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the processes one after the other."""
        for running in self._children.values():
            running.stop(within=_TIMEOUT_S)

    def resident(self, name: str) -> int:
        """Bytes of memory that a consumer has resident."""
        memory: int = psutil.Process(self._children[name].process.pid).memory_info().rss
        return memory

    def processor_seconds(self) -> dict[str, float]:
        """Seconds of processor time so far, by process: the consumers, the broker, and this one (the feed)."""
        own = psutil.Process()
        consumers = {running.process.pid: name for name, running in self._children.items()}
        children = {consumers.get(process.pid, "broker"): _seconds(process) for process in own.children()}
        return {**children, "feed": _seconds(own)}

    def check(self) -> None:
        """Raise RuntimeError when a process has ended."""
        for name, running in self._children.items():
            if running.process.poll() is not None:
                raise RuntimeError(f"{name} has ended: {child.last_error_line(running.log)}")


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


class Feed:
    """Publishes analyses as the detect consumer does, and waits for their assignments."""

    def __init__(self, kafka: KafkaSettings, lags: LagReader, subscriber: KafkaConsumer) -> None:
        """`subscriber` has all partitions of `assignments` assigned."""
        self._producer = clients.producer(kafka)
        self._lags = lags
        self._subscriber = subscriber

    def publish(self, entry: Analysed) -> None:
        """Send an analysis to `faces`, without waiting for the broker."""
        record = encode(entry.scan, event_id=uuid4().hex, time=datetime.now(UTC), source="facestream/benchmark")
        self._producer.send(FACES.name, value=record.value, key=record.key, headers=list(record.headers))

    def wait_until_done(self, consumers: Consumers) -> None:
        """Wait until the consumers have committed the last offsets. Raises RuntimeError when one has ended."""
        self._producer.flush()
        stages = {name: STAGES[name] for name in consumers.names}
        while any(self._lags.lags(stages).values()):
            consumers.check()
            time.sleep(_POLL_EVERY_S)

    def seconds_to_assignment(self, entry: Analysed, since: float | None = None) -> float:
        """Publish a scan and wait for the assignments of its faces. Returns the seconds since publishing, or `since`.

        Raises RuntimeError after 600 s.
        """
        started = time.perf_counter() if since is None else since
        self.publish(entry)
        self._producer.flush()
        missing = {face.face_id.encode() for face in entry.scan.faces}
        while missing and time.perf_counter() < started + _TIMEOUT_S:
            for records in self._subscriber.poll(timeout_ms=500).values():
                missing -= {record.key for record in records}
        if missing:
            raise RuntimeError(f"no assignment within {_TIMEOUT_S:.0f} s")
        return time.perf_counter() - started

    def skip(self) -> None:
        """Skip the records that are in `assignments` now."""
        self._subscriber.seek_to_end()
        for partition in self._subscriber.assignment():
            self._subscriber.position(partition)  # seeks now, not with the next poll

    def close(self) -> None:
        """Close the producer."""
        self._producer.close()


@contextmanager
def broker_and_feed(folder: Path, *, database: bool = False) -> Iterator[tuple[Settings, KafkaConsumer, Feed]]:
    """A broker with the topics, its settings, a subscriber to `assignments`, and a feed that uses both.

    database: the settings have a database too, which is empty.
    """
    with ExitStack() as stack:
        running = stack.enter_context(services(Settings(data=folder), database=database, command="benchmark"))
        ensure_topics(running.kafka)
        lags = stack.enter_context(lag_reader(running.kafka))
        subscriber = clients.consumer(running.kafka)
        stack.callback(subscriber.close)
        partitions = partitions_of(subscriber, ASSIGNMENTS)
        subscriber.assign([TopicPartition(partition.topic, partition.partition) for partition in partitions])
        feed = Feed(running.kafka, lags, subscriber)
        stack.callback(feed.close)
        yield running, subscriber, feed


def measure(archive: Archive, batch: int, folder: Path) -> Iterator[Row]:
    """All measurements: insertion up to 1,000 faces, each tenfold of that and all; memory; restarts."""
    faces = len(archive.people)
    with broker_and_feed(folder) as (running, _, feed):
        reference = by_default(archive).reference
        if reference is not None:
            publish_reference(running.kafka, event_of(reference, now()), now)
        extra = _extra_scans(faces)
        with Consumers(running, folder) as consumers:
            feed.seconds_to_assignment(next(extra))
            yield from _insert(feed, consumers, archive, batch, extra)
        yield _restart("snapshots", running, folder, feed, extra, faces)
        shutil.rmtree(folder / "snapshots")
        yield _restart("the topics", running, folder, feed, extra, faces)


def _insert(feed: Feed, consumers: Consumers, archive: Archive, batch: int, extra: Iterator[Analysed]) -> Iterator[Row]:
    faces = len(archive.people)
    before = {name: consumers.resident(name) for name in _CONSUMERS}
    done, mark, seconds = 0, min(1000, faces), 0.0
    started, processor = time.perf_counter(), consumers.processor_seconds()
    used = dict.fromkeys(processor, 0.0)
    for entries in archive.batches(batch):
        for entry in entries:
            feed.publish(entry)
        done += sum(len(entry.scan.faces) for entry in entries)
        if done >= mark:
            feed.wait_until_done(consumers)
            seconds += time.perf_counter() - started
            for name, now in consumers.processor_seconds().items():
                used[name] += now - processor[name]
            feed.skip()
            latencies = [feed.seconds_to_assignment(next(extra)) for _ in range(_SINGLE_SCANS)]
            row = Row("through Kafka", done, done / seconds, *percentiles(latencies))
            yield replace(row, cores=sum(used.values()) / seconds)
            mark = min(10 * mark, faces)
            started, processor = time.perf_counter(), consumers.processor_seconds()
    for name, cpu_seconds in used.items():
        yield Row(
            f"through Kafka, processor time of the {name}", faces, faces / cpu_seconds, cores=cpu_seconds / seconds
        )
    for name in _CONSUMERS:
        grown = consumers.resident(name) - before[name]
        yield Row(f"memory of the {name} process", faces, bytes_per_face=grown / faces)


def _restart(source: str, running: Settings, folder: Path, feed: Feed, extra: Iterator[Analysed], faces: int) -> Row:
    started = time.perf_counter()
    with Consumers(running, folder):
        seconds = feed.seconds_to_assignment(next(extra), since=started)
    return Row(f"restart of both from {source}, through Kafka", faces, faces / seconds, seconds=seconds)


def _extra_scans(faces: int) -> Iterator[Analysed]:
    """Scans of other people, to add to an archive of so many faces."""
    for number, entries in enumerate(Archive(faces, seed=1).batches(2), start=faces):
        (entry,) = entries
        yield analysed(number, entry.vectors)
