"""How fast faces get from `faces` to `assignments`: a real broker, and the index and cluster consumers as processes.

The broker, the consumers and the feed share this machine. Rates are from the first scan published until both consumers
have committed that they have done with all; p50 and p99 are of one scan by itself, from published until it is read in
`assignments`. A restart is from the start of both processes until a scan published meanwhile is in `assignments`.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
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
from cli.supervisor import as_environment
from consumers.stages import STAGES
from index.entries import Analysed
from local import child
from local.services import services
from schemas.codec import encode
from schemas.topics import ASSIGNMENTS, FACES
from settings import KafkaSettings, Settings
from stream import clients
from stream.lag import LagReader, lag_reader
from stream.reading import partitions_of
from stream.topics import ensure_topics

_CONSUMERS = ("index", "cluster")
_SINGLE_SCANS = 100
_ASK_EVERY_S = 0.2
_WITHIN_S = 600.0


class Consumers:
    """The two consumers as processes. Use it as a context: at its end they stop, having kept their state."""

    def __init__(self, settings: Settings, logs: Path) -> None:
        """They are started on entering."""
        self._environment = os.environ | as_environment(settings)
        self._logs = logs
        self._children: dict[str, child.Child] = {}

    def __enter__(self) -> Self:
        """Start them."""
        for name in _CONSUMERS:
            command = [sys.executable, "-m", "cli.main", name, "--member", "0"]
            self._children[name] = child.start(
                name, command, folder=Path.cwd(), log=self._logs / f"{name}.log", environment=self._environment
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop them one after the other."""
        for running in self._children.values():
            running.stop(within=_WITHIN_S)

    def resident(self, name: str) -> int:
        """Bytes that a consumer has in memory."""
        memory: int = psutil.Process(self._children[name].process.pid).memory_info().rss
        return memory

    def processor_seconds(self) -> dict[str, float]:
        """Seconds of processor time that each process has taken so far: the consumers, the broker, and this one."""
        own = psutil.Process()
        consumers = {running.process.pid: name for name, running in self._children.items()}
        taken = {consumers.get(it.pid, "broker"): _seconds(it) for it in own.children()}
        return {**taken, "feed": _seconds(own)}

    def check(self) -> None:
        """Raise RuntimeError when one has ended."""
        for name, running in self._children.items():
            if running.process.poll() is not None:
                raise RuntimeError(f"{name} has ended: {child.last_error_line(running.log)}")


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


class Feed:
    """Publishes analyses as detect does, and waits for what becomes of them."""

    def __init__(self, kafka: KafkaSettings, lags: LagReader, subscriber: KafkaConsumer) -> None:
        """`subscriber` is to read all of `assignments` from now on."""
        self._producer = clients.producer(kafka)
        self._lags = lags
        self._subscriber = subscriber

    def publish(self, entry: Analysed) -> None:
        """Into `faces`; it is there after `flush`."""
        record = encode(entry.scan, event_id=uuid4().hex, time=datetime.now(UTC), source="facestream/benchmark")
        self._producer.send(FACES.name, value=record.value, key=record.key, headers=list(record.headers))

    def wait_until_done(self, consumers: Consumers) -> None:
        """Until both consumers have committed that they have done with everything."""
        self._producer.flush()
        stages = {name: STAGES[name] for name in _CONSUMERS}
        while any(self._lags.lags(stages).values()):
            consumers.check()
            time.sleep(_ASK_EVERY_S)

    def seconds_to_assignment(self, entry: Analysed, since: float | None = None) -> float:
        """From published (or `since`) until the last face of the scan is read in `assignments`."""
        started = time.perf_counter() if since is None else since
        self.publish(entry)
        self._producer.flush()
        wanted = {face.face_id.encode() for face in entry.scan.faces}
        while wanted and time.perf_counter() < started + _WITHIN_S:
            for records in self._subscriber.poll(timeout_ms=500).values():
                wanted -= {record.key for record in records}
        if wanted:
            raise RuntimeError(f"no assignment within {_WITHIN_S:.0f} s")
        return time.perf_counter() - started

    def skip(self) -> None:
        """Leave out what was said in `assignments` so far."""
        self._subscriber.seek_to_end()
        for partition in self._subscriber.assignment():
            self._subscriber.position(partition)

    def close(self) -> None:
        """Close the producer."""
        self._producer.close()


@contextmanager
def fed(folder: Path) -> Iterator[tuple[Settings, KafkaConsumer, Feed]]:
    """A broker of its own with the topics, a subscriber to `assignments`, and a feed that it follows."""
    with ExitStack() as stack:
        running = stack.enter_context(services(Settings(data=folder), database=False, command="benchmark"))
        ensure_topics(running.kafka)
        lags = stack.enter_context(lag_reader(running.kafka))
        subscriber = clients.consumer(running.kafka)
        stack.callback(subscriber.close)
        subscriber.assign([TopicPartition(it.topic, it.partition) for it in partitions_of(subscriber, ASSIGNMENTS)])
        feed = Feed(running.kafka, lags, subscriber)
        stack.callback(feed.close)
        yield running, subscriber, feed


def measure(faces: int, batch: int, folder: Path) -> Iterator[Row]:
    """All rows: insertion up to each tenfold and all, memory, restarts."""
    with fed(folder) as (running, _, feed):
        extra = _extra_scans(faces)
        with Consumers(running, folder) as consumers:
            feed.seconds_to_assignment(next(extra))
            yield from _insert(feed, consumers, faces, batch, extra)
        yield _restart("snapshots", running, folder, feed, extra, faces)
        shutil.rmtree(folder / "snapshots")
        yield _restart("the topics", running, folder, feed, extra, faces)


def _insert(feed: Feed, consumers: Consumers, faces: int, batch: int, extra: Iterator[Analysed]) -> Iterator[Row]:
    before = {name: consumers.resident(name) for name in _CONSUMERS}
    done, mark, seconds = 0, min(1000, faces), 0.0
    started, processor = time.perf_counter(), consumers.processor_seconds()
    taken = dict.fromkeys(processor, 0.0)
    for entries in Archive(faces).batches(batch):
        for entry in entries:
            feed.publish(entry)
        done += sum(len(entry.scan.faces) for entry in entries)
        if done >= mark:
            feed.wait_until_done(consumers)
            seconds += time.perf_counter() - started
            for name, now in consumers.processor_seconds().items():
                taken[name] += now - processor[name]
            feed.skip()
            latencies = [feed.seconds_to_assignment(next(extra)) for _ in range(_SINGLE_SCANS)]
            row = Row("through Kafka", done, done / seconds, *percentiles(latencies))
            yield replace(row, cores=sum(taken.values()) / seconds)
            mark = min(10 * mark, faces)
            started, processor = time.perf_counter(), consumers.processor_seconds()
    for name, used in taken.items():
        yield Row(f"through Kafka, processor time of the {name}", faces, faces / used, cores=used / seconds)
    for name in _CONSUMERS:
        grown = consumers.resident(name) - before[name]
        yield Row(f"memory of the {name} process", faces, bytes_per_face=grown / faces)


def _restart(source: str, running: Settings, folder: Path, feed: Feed, extra: Iterator[Analysed], faces: int) -> Row:
    started = time.perf_counter()
    with Consumers(running, folder):
        seconds = feed.seconds_to_assignment(next(extra), since=started)
    return Row(f"restart of both from {source}, through Kafka", faces, faces / seconds, seconds=seconds)


def _extra_scans(faces: int) -> Iterator[Analysed]:
    """Scans beyond an archive of so many faces, of other people."""
    for number, entries in enumerate(Archive(faces, seed=1).batches(2), start=faces):
        (entry,) = entries
        yield analysed(number, entry.vectors)
